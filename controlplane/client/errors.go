package client

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"os"
	"strings"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// Error is a call that did not succeed. Where nothing answered, Problem holds
// code "unavailable", a status of 0 and what was tried.
type Error struct {
	Problem v1.Problem
	Cause   error // nil where the server answered
}

// Error is the problem's detail, or its title where it has none.
func (e *Error) Error() string {
	switch {
	case e.Problem.Detail != "":
		return e.Problem.Detail
	case e.Problem.Title != "":
		return strings.ToLower(e.Problem.Title)
	}
	return fmt.Sprintf("the server answered with status %d", e.Problem.Status)
}

func (e *Error) Unwrap() error { return e.Cause }

// Unavailable reports that nothing answered, or something that says that the
// control plane does not work now: the same call may succeed later.
func (e *Error) Unavailable() bool {
	return e.Problem.Code == string(controlplane.CodeUnavailable)
}

// CodeOf is the code of the first Error in err's chain; see
// [controlplane.CodeOf] for all others.
func CodeOf(err error) controlplane.Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return controlplane.Code(e.Problem.Code)
	}
	return controlplane.CodeOf(err)
}

// invalid is a call refused before it is sent.
func invalid(format string, args ...any) *Error {
	return &Error{Problem: v1.Problem{
		Type: "about:blank", Title: http.StatusText(http.StatusBadRequest), Status: http.StatusBadRequest,
		Detail: fmt.Sprintf(format, args...), Code: string(controlplane.CodeInvalid),
	}}
}

// unreachable is a request that got no answer.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if cause := ctx.Err(); errors.Is(cause, context.Canceled) || errors.Is(err, context.Canceled) {
		return fmt.Errorf("call %s: %w", c.endpoint, context.Canceled)
	}
	what := rootCause(err).Error()
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) {
		what = "no answer in time"
	}
	return &Error{
		Problem: v1.Problem{
			Type: "about:blank", Title: http.StatusText(http.StatusServiceUnavailable),
			Detail: fmt.Sprintf("reach %s: %s", c.endpoint, what),
			Code:   string(controlplane.CodeUnavailable),
			Hint:   hintOf(err),
		},
		Cause: err,
	}
}

// hintOf is how to mend a request that got no answer.
func hintOf(err error) string {
	const where = "SLIPWAY_ENDPOINT or the configuration file says where it listens"
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return "the server's certificate is not trusted here, or is another name's: is the endpoint right? SSL_CERT_FILE names the certificates of a CA of your own"
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok || errors.Is(err, http.ErrSchemeMismatch) {
		return "it does not speak TLS there: is the endpoint one of http://, or another port's?"
	}
	if e, ok := errors.AsType[*net.DNSError](err); ok && e.IsNotFound {
		return "nothing has that name: is the endpoint spelled right? " + where
	}
	return "is slipway up running? " + where
}

// rootCause leaves out the layers of a network error that repeat what was
// tried: "dial tcp 127.0.0.1:8080: connect: connection refused" says no more
// than its end.
func rootCause(err error) error {
	if e, ok := errors.AsType[*net.OpError](err); ok {
		err = e.Err
		if s, ok := errors.AsType[*os.SyscallError](err); ok {
			err = s.Err
		}
		return err
	}
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}

// refusal is the error that a response of status 300 or more stands for.
func (c *Client) refusal(res *http.Response) error {
	if res.StatusCode < 400 {
		return c.redirected(res)
	}
	e := &Error{}
	body, err := io.ReadAll(io.LimitReader(res.Body, maxProblem))
	media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if err != nil || media != "application/problem+json" || json.Unmarshal(body, &e.Problem) != nil {
		// Not the API: a proxy's page, or something else on that port. Its
		// body is for browsers.
		e.Problem = v1.Problem{Detail: fmt.Sprintf("%s answered %s", c.endpoint, status(res.StatusCode))}
	}
	p := &e.Problem
	if foreign(res, p) {
		*p = v1.Problem{
			Detail: fmt.Sprintf("%s answered %s, and is no Slipway API", c.endpoint, status(res.StatusCode)),
			Code:   string(controlplane.CodeInvalid),
			Hint:   "the endpoint is the base URL of the installation, or its console's, and no app's",
		}
	}
	p.Status = res.StatusCode
	if p.Type == "" {
		p.Type = "about:blank"
	}
	if p.Title == "" {
		p.Title = http.StatusText(res.StatusCode)
	}
	if p.Code == "" {
		p.Code = string(codeOf(res.StatusCode))
	}
	return e
}

// foreign reports whether a refusal is not the API's, which names each request: a
// name below the base domain is an app's or nobody's, and who answers there says
// nothing of what was asked for.
func foreign(res *http.Response, p *v1.Problem) bool {
	switch res.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed:
		return p.RequestID == "" && res.Header.Get("X-Request-Id") == ""
	}
	return false
}

func (c *Client) redirected(res *http.Response) error {
	to := res.Header.Get("Location")
	if u, err := res.Location(); err == nil {
		u.RawQuery, u.Fragment, u.User = "", "", nil
		to = u.String()
	}
	return &Error{Problem: v1.Problem{
		Type: "about:blank", Title: http.StatusText(res.StatusCode), Status: res.StatusCode,
		Detail: fmt.Sprintf("%s redirects to %q, which is not followed: the token is for %s only", c.endpoint, to, c.endpoint),
		Code:   string(controlplane.CodeInvalid),
		Hint:   "if that is where the API is, make it the endpoint",
	}}
}

func status(code int) string {
	if text := http.StatusText(code); text != "" {
		return fmt.Sprintf("%d %s", code, text)
	}
	return fmt.Sprint(code)
}

// codeOf is the code that a status stands for, where the answer names none.
func codeOf(status int) controlplane.Code {
	switch status {
	case http.StatusBadRequest:
		return controlplane.CodeInvalid
	case http.StatusUnauthorized:
		return controlplane.CodeUnauthorized
	case http.StatusForbidden:
		return controlplane.CodeForbidden
	case http.StatusNotFound, http.StatusGone:
		return controlplane.CodeNotFound
	case http.StatusConflict:
		return controlplane.CodeConflict
	case http.StatusPreconditionFailed:
		return controlplane.CodeStale
	case http.StatusRequestEntityTooLarge:
		return controlplane.CodeTooLarge
	case http.StatusUnprocessableEntity:
		return controlplane.CodeUnprocessable
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout, http.StatusTooManyRequests:
		return controlplane.CodeUnavailable
	}
	return controlplane.CodeInternal
}
