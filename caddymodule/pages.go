package caddymodule

import (
	"errors"
	"net/http"

	"github.com/seed-dbc68772/slipway/caddymodule/upstream"
	"github.com/seed-dbc68772/slipway/routing"
)

// visitorLeft answers nobody; the access log shows the status.
var visitorLeft = page{status: 499}

// notFound is alike for every unknown, inactive and hidden name, so that the
// answer does not tell which names exist.
var notFound = page{status: http.StatusNotFound, code: "not_found", text: "There is no app at this address."}

// starting is the answer of a process that does not know its routes yet.
var starting = page{status: http.StatusServiceUnavailable, code: "starting", retryAfter: 1,
	text: "This edge has just started and does not know its routes yet."}

// pageOf is the answer to a request that the decision refuses.
func pageOf(d routing.Decision) page {
	switch d.Kind {
	case routing.NotFound, routing.Own:
		return notFound
	case routing.MethodNotAllowed:
		return pageOfRefusal(d.Status, "method_not_allowed")
	case routing.NotImplemented:
		return page{status: d.Status, code: "not_implemented", text: "This protocol is not spoken here."}
	}
	return page{status: http.StatusBadRequest, code: "bad_request", text: "The request cannot be understood: " + d.Rule.String() + "."}
}

// pageOfRefusal is the answer to a request that breaks the rules of framing, or
// its limits.
func pageOfRefusal(status int, code string) page {
	text := "The request cannot be understood."
	switch code {
	case "request_line_too_long":
		text = "The address is longer than 32 KiB."
	case "headers_too_large":
		text = "The request line and the headers are larger than 64 KiB."
	case "too_many_fields":
		text = "The request has more than 200 header fields."
	case "method_not_allowed":
		text = "This method is not taken here."
	case "expectation_failed":
		text = "The only expectation that is met here is 100-continue."
	case "unsupported_version":
		text = "This version of HTTP is not spoken here."
	case "unsupported_transfer_coding":
		text = "The only transfer coding that is understood here is chunked."
	case "bad_framing":
		text = "It is not clear where the request ends, or it breaks the rules of HTTP."
	}
	return page{status: status, code: code, text: text}
}

// pageOfFailure is the answer when the app did not give one.
func pageOfFailure(w http.ResponseWriter, err error) page {
	switch {
	case errors.Is(err, upstream.ErrLeft):
		return visitorLeft
	case errors.Is(err, upstream.ErrRequest):
		return page{status: http.StatusBadRequest, code: "bad_request", text: "The method of the request is not valid."}
	case errors.Is(err, upstream.ErrRequestBody):
		w.Header().Set("Connection", "close")
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return page{status: http.StatusRequestEntityTooLarge, code: "body_too_large", text: "The body of the request is too large."}
		}
		return page{status: http.StatusBadRequest, code: "bad_body", text: "The body of the request broke off or is malformed."}
	case errors.Is(err, upstream.ErrTimeout):
		return page{status: http.StatusGatewayTimeout, code: "app_timeout", text: "The app took too long to answer. The request may still be running."}
	case errors.Is(err, upstream.ErrBadAnswer):
		return page{status: http.StatusBadGateway, code: "app_bad_answer", text: "What the app answered is not HTTP."}
	}
	return page{status: http.StatusBadGateway, code: "app_unreachable", text: "The app stopped answering."}
}

// noWebSocket is the answer to one for the control plane, which has none.
var noWebSocket = page{status: http.StatusMethodNotAllowed, code: "method_not_allowed", text: "There is no WebSocket here."}
