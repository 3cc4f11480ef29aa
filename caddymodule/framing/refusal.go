package framing

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// refusal is why a head is not let through.
type refusal struct {
	status  int
	code    string
	request string // what the server reads in its place
}

const (
	refusedHost  = "refused.invalid"
	refusedField = "Slipway-Refused"
)

// token proves that a refusal is this process's, not a client's invention.
var token = rand.Text()

var (
	requestLineTooLong = refuse(http.StatusRequestURITooLong, "request_line_too_long")
	headersTooLarge    = refuse(http.StatusRequestHeaderFieldsTooLarge, "headers_too_large")
	tooManyFields      = refuse(http.StatusRequestHeaderFieldsTooLarge, "too_many_fields")
	badFraming         = refuse(http.StatusBadRequest, "bad_framing")
	badRequest         = refuse(http.StatusBadRequest, "bad_request")
	methodNotAllowed   = refuse(http.StatusMethodNotAllowed, "method_not_allowed")
	expectationFailed  = refuse(http.StatusExpectationFailed, "expectation_failed")
	unsupportedVersion = refuse(http.StatusHTTPVersionNotSupported, "unsupported_version")
	unsupportedCoding  = refuse(http.StatusNotImplemented, "unsupported_transfer_coding")
)

func refuse(status int, code string) *refusal {
	return &refusal{status: status, code: code, request: fmt.Sprintf(
		"GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n%s: %s %d %s\r\n\r\n", refusedHost, refusedField, token, status, code)}
}

// Refusal tells whether a request stands for one that the guard refused, and
// what to answer: a status, and a code for machines. Over HTTP/1 the answer is
// the last of its connection; over HTTP/2 there is only 431 headers_too_large.
//
//	414 request_line_too_long
//	431 headers_too_large, too_many_fields
//	400 bad_framing                  who reads it decides where it ends
//	400 bad_request                  the target or Host cannot be used
//	405 method_not_allowed           TRACE, CONNECT
//	417 expectation_failed           Expect is not 100-continue
//	501 unsupported_transfer_coding
//	505 unsupported_version
func Refusal(r *http.Request) (status int, code string, ok bool) {
	if r.Host != refusedHost {
		return 0, "", false
	}
	given, rest, _ := strings.Cut(r.Header.Get(refusedField), " ")
	if subtle.ConstantTimeCompare([]byte(given), []byte(token)) == 0 {
		return 0, "", false
	}
	number, code, _ := strings.Cut(rest, " ")
	status, err := strconv.Atoi(number)
	return status, code, err == nil
}

// Judge tells what the guard would answer to a head, which ends with its empty
// line, over HTTP/1: as [Refusal] does, and ok is false where it would let the
// head through.
func Judge(head []byte) (status int, code string, ok bool) {
	var s headScan
	n, r := s.scan(head)
	switch {
	case r != nil:
		return r.status, r.code, true
	case n == 0 || n != len(head):
		return badFraming.status, badFraming.code, true // it ends before its end, or does not end
	}
	return 0, "", false
}
