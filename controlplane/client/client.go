package client

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// CallTimeout bounds every call but those that stream, the reading of the
// answer included.
const CallTimeout = 60 * time.Second

// The most that is read of an answer, in bytes.
const (
	maxAnswer  = 64 << 20
	maxProblem = 1 << 20
)

const (
	apiPath    = "/api/v1"
	acceptJSON = "application/json, application/problem+json"
)

// Config is what New needs.
type Config struct {
	// Endpoint is where the API's host answers, e.g. http://localhost:8080:
	// http or https, with a path where the API is below one. A final /api/v1
	// is taken as part of the API.
	Endpoint string
	Token    string       // sent as a bearer token; empty sends none
	HTTP     *http.Client // nil, or without a Transport: LoopbackTransport. It is copied.
}

// Client calls the API.
type Client struct {
	endpoint string // without a final slash
	token    string
	http     *http.Client
	revision atomic.Int64 // see Revision
}

// New checks the configuration. It connects to nothing.
func New(c Config) (*Client, error) {
	u, err := url.Parse(c.Endpoint)
	switch {
	case err != nil:
		return nil, invalid("endpoint %q is not a URL", c.Endpoint)
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, invalid("endpoint %q does not begin with http:// or https://", c.Endpoint)
	case u.Hostname() == "":
		return nil, invalid("endpoint %q has no host", c.Endpoint)
	case u.User != nil:
		return nil, invalid("endpoint %q has a user name in it; a token goes into its own setting", u.Redacted())
	case u.RawQuery != "" || u.Fragment != "" || u.ForceQuery:
		return nil, invalid("endpoint %q has a query or a fragment", c.Endpoint)
	case strings.ContainsAny(c.Token, "\r\n\x00"):
		return nil, invalid("the token has a line break in it")
	}
	u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), ""
	u.Path = strings.TrimRight(strings.TrimSuffix(u.Path, apiPath), "/")
	h := http.Client{}
	if c.HTTP != nil {
		h = *c.HTTP
	}
	if h.Transport == nil {
		h.Transport = LoopbackTransport()
	}
	h.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{endpoint: u.String(), token: c.Token, http: &h}, nil
}

// Endpoint is where the client sends its calls, without a final slash.
func (c *Client) Endpoint() string { return c.endpoint }

// call is one request.
type call struct {
	method string
	path   []string // segments below /api/v1, escaped here
	query  url.Values
	body   any // nil sends none
}

// do sends a call and decodes the answer into out; nil takes any answer.
func (c *Client) do(ctx context.Context, k call, out any) error {
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	var body io.Reader
	header := http.Header{"Accept": {acceptJSON}}
	if k.body != nil {
		data, err := json.Marshal(k.body)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(data)
		header.Set("Content-Type", "application/json")
	}
	req, err := c.request(ctx, k, body, header)
	if err != nil {
		return err
	}
	return c.answer(req, out)
}

func (c *Client) request(ctx context.Context, k call, body io.Reader, header http.Header) (*http.Request, error) {
	target := c.endpoint + apiPath
	for _, segment := range k.path {
		if segment == "" || segment == "." || segment == ".." {
			return nil, invalid("%q names nothing", segment)
		}
		target += "/" + url.PathEscape(segment)
	}
	if len(k.query) > 0 {
		target += "?" + k.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, k.method, target, body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header = header
	req.Header.Set("User-Agent", "slipway")
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return req, nil
}

// send returns a response below 300, whose body is the caller's to close.
func (c *Client) send(req *http.Request) (*http.Response, error) {
	res, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(req.Context(), err)
	}
	if res.StatusCode < 300 {
		c.noteRevision(res.Header.Get("Slipway-Revision"))
		return res, nil
	}
	defer res.Body.Close()
	return nil, c.refusal(res)
}

// answer sends req and decodes the answer. An empty 202 or 204 leaves out as
// it is.
func (c *Client) answer(req *http.Request, out any) error {
	res, err := c.send(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body, err := c.read(req.Context(), res, 0)
	if err != nil {
		return err
	}
	if out == nil || body == "" && (res.StatusCode == http.StatusAccepted || res.StatusCode == http.StatusNoContent) {
		return nil
	}
	if err := c.isJSON(res); err != nil {
		return err
	}
	if err := json.Unmarshal([]byte(body), out); err != nil {
		return c.unknownJSON(err)
	}
	return nil
}

// body sends a call and returns the answer, which is JSON, of about this size.
func (c *Client) body(ctx context.Context, k call, size int) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	req, err := c.request(ctx, k, nil, http.Header{"Accept": {acceptJSON}})
	if err != nil {
		return "", err
	}
	res, err := c.send(req)
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	body, err := c.read(ctx, res, size)
	if err != nil {
		return "", err
	}
	return body, c.isJSON(res)
}

// read reads an answer, of about this size, to its end.
func (c *Client) read(ctx context.Context, res *http.Response, size int) (string, error) {
	var body strings.Builder
	body.Grow(min(max(int(res.ContentLength), size, 512), 1<<20))
	if _, err := io.Copy(&body, io.LimitReader(res.Body, maxAnswer+1)); err != nil {
		return "", c.unreachable(ctx, err)
	}
	if body.Len() > maxAnswer {
		return "", c.strange("has more than %d bytes", maxAnswer)
	}
	return body.String(), nil
}

func (c *Client) isJSON(res *http.Response) error {
	if media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); media != "application/json" {
		other := c.strange("is %q, not JSON", res.Header.Get("Content-Type"))
		other.Problem.Code = string(controlplane.CodeInvalid) // some other site
		return other
	}
	return nil
}

func (c *Client) unknownJSON(err error) error {
	return c.strange("is not the JSON that this version knows: %v", err)
}

// strange is a success that cannot be one of the API's.
func (c *Client) strange(format string, args ...any) *Error {
	return &Error{Problem: v1.Problem{
		Type: "about:blank", Title: "Unexpected answer", Status: http.StatusOK,
		Detail: fmt.Sprintf("the answer of %s "+format, append([]any{c.endpoint}, args...)...),
		Code:   string(controlplane.CodeInternal),
		Hint:   "is the endpoint a Slipway API? It is the base URL of the installation, or its console's",
	}}
}

// Page asks for one page of a list. Zeroes are the server's: 100 items, from
// the beginning.
type Page struct {
	Limit  int    // at most 1000
	Cursor string // NextCursor of the page before
}

func (p Page) query() url.Values {
	q := url.Values{}
	if p.Limit > 0 {
		q.Set("limit", strconv.Itoa(p.Limit))
	}
	if p.Cursor != "" {
		q.Set("cursor", p.Cursor)
	}
	return q
}

// all yields the items of every page, and ends after an error.
func all[T any](page func(Page) (*v1.List[T], error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		p := Page{Limit: 1000}
		for {
			list, err := page(p)
			if err != nil {
				yield(zero, err)
				return
			}
			for _, item := range list.Items {
				if !yield(item, nil) {
					return
				}
			}
			if list.NextCursor == nil || *list.NextCursor == "" {
				return
			}
			if *list.NextCursor == p.Cursor {
				yield(zero, repeated(p.Cursor))
				return
			}
			p.Cursor = *list.NextCursor
		}
	}
}

func repeated(cursor string) error {
	return fmt.Errorf("list: the server repeats cursor %q", cursor)
}

// get is a GET of one object.
func get[T any](ctx context.Context, c *Client, query url.Values, path ...string) (*T, error) {
	return send[T](ctx, c, call{method: http.MethodGet, path: path, query: query})
}

func send[T any](ctx context.Context, c *Client, k call) (*T, error) {
	out := new(T)
	if err := c.do(ctx, k, out); err != nil {
		return nil, err
	}
	return out, nil
}
