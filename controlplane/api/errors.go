package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// statuses maps what kind of error it is to the answer's status.
var statuses = map[controlplane.Code]int{
	controlplane.CodeInvalid:       http.StatusUnprocessableEntity,
	controlplane.CodeUnprocessable: http.StatusUnprocessableEntity,
	controlplane.CodeBaseURLPublic: http.StatusUnprocessableEntity,
	controlplane.CodeQuota:         http.StatusConflict,
	controlplane.CodeTooManyStarts: http.StatusTooManyRequests,
	controlplane.CodeNotFound:      http.StatusNotFound,
	controlplane.CodeConflict:      http.StatusConflict,
	controlplane.CodeTooLarge:      http.StatusRequestEntityTooLarge,
	controlplane.CodeUnauthorized:  http.StatusUnauthorized,
	controlplane.CodeForbidden:     http.StatusForbidden,
	controlplane.CodeStale:         http.StatusGone,
	controlplane.CodePrecondition:  http.StatusPreconditionFailed,
	controlplane.CodeUnavailable:   http.StatusServiceUnavailable,
	controlplane.CodeTimeout:       http.StatusGatewayTimeout,
	controlplane.CodeInternal:      http.StatusInternalServerError,
	controlplane.CodeDiskFull:      http.StatusInsufficientStorage,
	controlplane.CodeTooMany:       http.StatusTooManyRequests,
	controlplane.CodePending:       http.StatusBadRequest,
	controlplane.CodeSlowDown:      http.StatusBadRequest,
	controlplane.CodeDenied:        http.StatusBadRequest,
	controlplane.CodeExpired:       http.StatusBadRequest,
}

// problem is a v1.Problem as an answer of huma.
type problem struct {
	v1.Problem
	retryAfter time.Duration
}

func (p *problem) Error() string             { return p.Detail }
func (p *problem) GetStatus() int            { return p.Status }
func (p *problem) ContentType(string) string { return "application/problem+json" }

// GetHeaders implements huma.HeadersError.
func (p *problem) GetHeaders() http.Header {
	h := http.Header{}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", `Bearer realm="slipway"`)
	}
	if p.retryAfter > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((p.retryAfter+time.Second-1)/time.Second), 10))
	}
	return h
}

// newProblem is what a caller may know of an error.
func newProblem(ctx context.Context, err error) *problem {
	p := &problem{Problem: v1.Problem{Type: "about:blank", RequestID: requestIDOf(ctx)}}
	known, ok := errors.AsType[*controlplane.Error](err)
	if !ok {
		known = controlplane.Errorf(controlplane.CodeInternal, "something broke inside the control plane").
			WithHint("the log has more under request id %s", p.RequestID)
	}
	p.Status, p.retryAfter = statuses[known.Code], known.RetryAfter
	p.Title, p.Code, p.Detail, p.Hint = http.StatusText(p.Status), string(known.Code), known.What, known.Hint
	for _, f := range known.Faults {
		p.Errors = append(p.Errors, v1.Fault(f))
	}
	for _, f := range known.Warnings {
		p.Warnings = append(p.Warnings, v1.Fault(f))
	}
	if len(p.Errors) == 0 && p.Status == http.StatusUnprocessableEntity {
		p.Errors = []v1.Fault{{Code: p.Code, Message: known.What}} // the one
	}
	return p
}

func writeProblem(w http.ResponseWriter, p *problem) {
	body, err := json.Marshal(p)
	if err != nil {
		http.Error(w, "", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", p.ContentType(""))
	w.WriteHeader(p.Status)
	_, _ = w.Write(body) // a caller who left needs no answer
}

// init makes huma's own errors, those of validation, problems of ours. huma
// keeps its constructors in package variables; nobody else here uses huma.
func init() {
	huma.DefaultArrayNullable = false
	huma.ValidateStrictCasing = true
	huma.NewErrorWithContext = func(ctx huma.Context, status int, message string, errs ...error) huma.StatusError {
		p := humaProblem(status, message, errs)
		if ctx != nil {
			p.RequestID = requestIDOf(ctx.Context())
		}
		return p
	}
	huma.NewError = func(status int, message string, errs ...error) huma.StatusError {
		return humaProblem(status, message, errs)
	}
}

// humaHints mend what huma refuses.
var humaHints = map[int]string{
	http.StatusBadRequest:            "send the body as JSON; GET /api/openapi.json has its shape",
	http.StatusRequestTimeout:        "send the body without pauses",
	http.StatusRequestEntityTooLarge: "a JSON body has at most 1 MiB; a bundle goes to POST /api/v1/bundles as application/zip",
	http.StatusUnsupportedMediaType:  "send Content-Type: application/json",
	http.StatusUnprocessableEntity:   "GET /api/openapi.json has the names, in their very case, and the types of all fields and parameters",
}

func humaProblem(status int, message string, errs []error) *problem {
	p := &problem{Problem: v1.Problem{Type: "about:blank", Title: http.StatusText(status), Status: status, Code: string(controlplane.CodeInvalid), Detail: message}}
	if status >= http.StatusInternalServerError {
		p.Code = string(controlplane.CodeInternal)
	}
	p.Hint = humaHints[status]
	for _, err := range errs {
		if d, ok := err.(huma.ErrorDetailer); ok {
			detail := d.ErrorDetail()
			p.Errors = append(p.Errors, v1.Fault{Code: "field", Where: detail.Location, Message: detail.Message})
		} else if err != nil {
			p.Errors = append(p.Errors, v1.Fault{Message: err.Error()})
		}
	}
	return p
}

// fail logs what the caller may not read and returns what they may.
func (s *server) fail(ctx context.Context, err error) error {
	p := newProblem(ctx, err)
	if p.Status >= http.StatusInternalServerError {
		s.logFailure(p, err)
	}
	return p
}
