package upstream

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed-dbc68772/slipway/routing"
)

// IsGRPC reports whether the request is a gRPC call. Such an app speaks HTTP/2
// without TLS, from the first byte; every other one HTTP/1.1.
func (r *Request) IsGRPC() bool {
	if r.ProtoMajor < 2 || r.Method != http.MethodPost {
		return false
	}
	kind, isGRPC := strings.CutPrefix(r.Header.Get("Content-Type"), "application/grpc")
	return isGRPC && (kind == "" || kind[0] == '+' || kind[0] == ';')
}

type grpcTarget struct{}

// call ends a call of gRPC.
type call context.CancelCauseFunc

func (c call) cut() { c(ErrEnded) }

// watchedBody tells a body that the visitor broke from an app that did not
// answer.
type watchedBody struct {
	io.ReadCloser
	read   func() // called after each read
	ended  func() // called at the end
	failed atomic.Bool
}

func (b *watchedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.read()
	if errors.Is(err, io.EOF) {
		b.ended()
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, http.ErrBodyReadAfterClose) {
		b.failed.Store(true)
	}
	return n, err
}

// newGRPC makes the transport for gRPC. It tells connections apart by the host
// of the URL, which is the instance and its generation.
func (c *Client) newGRPC() *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Transport{
		Protocols: protocols,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			nc, err := c.dial(ctx, ctx.Value(grpcTarget{}).(*routing.Instance))
			if err != nil {
				return nil, errors.Join(ErrConnect, err)
			}
			return nc, nil
		},
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxHead,
		IdleConnTimeout:        idleTimeout,
	}
}

// serveGRPC sends a gRPC call.
func (c *Client) serveGRPC(w http.ResponseWriter, r *Request, in *routing.Instance) error {
	ctx, cancel := context.WithCancelCause(context.WithValue(r.Context(), grpcTarget{}, in))
	defer cancel(nil)
	if !r.cutting.begin(call(cancel)) {
		return ErrEnded
	}
	defer r.cutting.end()
	firstByte := time.AfterFunc(r.FirstByte, func() { cancel(ErrTimeout) })
	defer firstByte.Stop()
	began := time.Now()
	body := &watchedBody{ReadCloser: r.Body, read: func() { firstByte.Reset(r.FirstByte); r.Use.Sent(began) }}
	out := r.outgoing(ctx, in, body)
	// The transport looks at the trailers once it has the end of the body.
	body.ended = func() { forEachTrailer(r, out.Trailer.Add) }
	resp, err := c.grpc.RoundTrip(out)
	r.Waited += time.Since(began)
	if err != nil {
		switch {
		case errors.Is(context.Cause(ctx), ErrTimeout):
			return ErrTimeout
		case errors.Is(context.Cause(ctx), ErrEnded):
			return ErrEnded
		case r.Context().Err() != nil:
			return ErrLeft
		case body.failed.Load():
			return errors.Join(ErrRequestBody, err)
		case errors.Is(err, ErrConnect):
			return err
		}
		return errors.Join(ErrNoAnswer, err)
	}
	defer resp.Body.Close()
	firstByte.Stop()
	if !r.cutting.answer(w) {
		return ErrEnded
	}
	x := &exchange{client: c, w: w, r: r, answer: answer{status: resp.StatusCode, chunked: true}}
	for name, values := range resp.Header {
		for _, value := range values {
			x.answer.names, x.answer.values = append(x.answer.names, name), append(x.answer.values, value)
		}
	}
	x.passHeaders(w.Header())
	x.writeHead(resp.StatusCode)
	if resp.ContentLength == 0 {
		return nil // one frame, and its end is the call's: clients look there for its status
	}
	x.flush()
	if err := x.stream(resp.Body); err != nil {
		return errors.Join(ErrCutOff, err)
	}
	for name, values := range resp.Trailer {
		for _, value := range values {
			if value, pass := x.passHeader(name, value); pass {
				w.Header().Add(http.TrailerPrefix+name, value)
			}
		}
	}
	return nil
}

// outgoing is the call as the app gets it.
func (r *Request) outgoing(ctx context.Context, in *routing.Instance, body io.ReadCloser) *http.Request {
	host := in.ID.String() + "-" + strconv.FormatInt(in.Generation, 10)
	// An opaque URL is sent as it is.
	u := &url.URL{Scheme: "http", Host: host, Opaque: string(appendTarget(nil, r.Target))}
	out := (&http.Request{
		Method: r.Method, URL: u, Host: r.Host, Header: make(http.Header, len(r.Header)+4),
		Body: body, ContentLength: r.ContentLength, Trailer: make(http.Header, len(r.Trailer)),
	}).WithContext(ctx)
	for name := range r.Trailer {
		if !notForApps(name) {
			out.Trailer[name] = nil // its value comes later
		}
	}
	forEachHeader(r, func(name, value string) { out.Header.Add(name, value) })
	if _, has := out.Header["User-Agent"]; !has {
		out.Header["User-Agent"] = nil // else the transport adds its own
	}
	return out
}

// stream passes a body on, each piece as it comes.
func (x *exchange) stream(from io.Reader) error {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	for {
		n, err := from.Read(*buffer)
		if n > 0 {
			if _, err := x.w.Write((*buffer)[:n]); err != nil {
				return err
			}
			x.flush()
			x.r.Use.Received(x.answer.status, x.r.Answered)
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
	}
}
