package caddymodule

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// watchedBody tells a body that the client broke from an app that did not
// answer: the proxy sees the same failed request in both.
type watchedBody struct {
	io.ReadCloser
	broken atomic.Bool
}

// watchBody watches the request's body, if it has one.
func watchBody(r *http.Request) *watchedBody {
	b := &watchedBody{}
	if r.Body != nil && r.Body != http.NoBody {
		b.ReadCloser, r.Body = r.Body, b
	}
	return b
}

// Read notes an error that is the client's. A read after the proxy has closed
// the body is not one.
func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, http.ErrBodyReadAfterClose) {
		b.broken.Store(true)
	}
	return n, err
}

var pageOfBrokenBody = page{status: http.StatusBadRequest, code: "bad_body", text: "The body of the request broke off or is malformed."}
