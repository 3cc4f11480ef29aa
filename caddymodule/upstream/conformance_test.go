package upstream_test

import (
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	_ "github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	_ "github.com/seed-dbc68772/slipway/caddymodule/extendedconnect" // for the suite's server
	"github.com/seed-dbc68772/slipway/caddymodule/upstream"
	"github.com/seed-dbc68772/slipway/caddymodule/upstream/upstreamtest"
	"github.com/seed-dbc68772/slipway/routing"
)

func instance(t testing.TB, endpoint string, generation int64) *routing.Instance {
	t.Helper()
	in, err := instanceOf(endpoint, generation)
	if err != nil {
		t.Fatal(err)
	}
	return in
}

func instanceOf(endpoint string, generation int64) (*routing.Instance, error) {
	e, err := routing.ParseEndpoint(endpoint)
	return &routing.Instance{ID: routing.ID{1}, Endpoint: e, Generation: generation}, err
}

// serve answers as the module's handler does.
func serve(client *upstream.Client, w http.ResponseWriter, r *upstream.Request, in *routing.Instance) {
	status := http.StatusBadGateway
	switch err := client.Serve(w, r, in); {
	case err == nil:
		return
	case errors.Is(err, upstream.ErrCutOff):
		panic(http.ErrAbortHandler)
	case errors.Is(err, upstream.ErrRequest):
		status = http.StatusBadRequest
	case errors.Is(err, upstream.ErrRequestBody):
		w.Header().Set("Connection", "close")
		status = http.StatusBadRequest
	case errors.Is(err, upstream.ErrTimeout):
		status = http.StatusGatewayTimeout
	case errors.Is(err, upstream.ErrEnded):
		status = http.StatusForbidden
	case errors.Is(err, upstream.ErrLeft):
		status = 499
	}
	w.WriteHeader(status)
}

// request is what the module's handler makes of one.
func request(r *http.Request, prefix string) *upstream.Request {
	ip, _, _ := net.SplitHostPort(r.RemoteAddr)
	return &upstream.Request{
		Request: r, Target: r.RequestURI, Prefix: prefix, FirstByte: upstreamtest.FirstByte,
		WebSocket: r.Method == http.MethodConnect || strings.EqualFold(r.Header.Get("Upgrade"), "websocket"),
		Forwarded: upstream.Forwarded{For: ip, Host: r.Host, Proto: "http"},
	}
}

func TestOurWay(t *testing.T) {
	upstreamtest.Run(t, func(app upstreamtest.App) (http.Handler, func(), error) {
		in, err := instanceOf(app.Endpoint, 1)
		client := upstream.New(upstream.Config{})
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			serve(client, w, request(r, app.Prefix), in)
		}), client.Close, err
	}, nil)
}

func TestTheStandardLibrarysWay(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: the comparison takes most of a minute")
	}
	upstreamtest.Run(t, func(app upstreamtest.App) (http.Handler, func(), error) {
		protocols := new(http.Protocols)
		protocols.SetHTTP1(true)
		transport := &http.Transport{DisableCompression: true, Protocols: protocols, ResponseHeaderTimeout: upstreamtest.FirstByte, MaxResponseHeaderBytes: 64 << 10}
		proxy := &httputil.ReverseProxy{
			Transport: transport, ErrorLog: log.New(io.Discard, "", 0), FlushInterval: -1,
			Rewrite: func(r *httputil.ProxyRequest) {
				r.SetURL(&url.URL{Scheme: "http", Host: app.Endpoint})
				r.SetXForwarded()
				r.Out.Host = r.In.Host
			},
			ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
				var timeout net.Error
				if errors.As(err, &timeout) && timeout.Timeout() {
					w.WriteHeader(http.StatusGatewayTimeout)
					return
				}
				w.WriteHeader(http.StatusBadGateway)
			},
		}
		return proxy, transport.CloseIdleConnections, nil
	}, standardDifferences)
}

func TestCaddysWay(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: the comparison takes most of a minute")
	}
	config := new(caddy.Config)
	if err := json.Unmarshal([]byte(`{"admin":{"disabled":true},"logging":{"logs":{"default":{"writer":{"output":"discard"}}}}}`), config); err != nil {
		t.Fatal(err)
	}
	parent, err := caddy.ProvisionContext(config)
	if err != nil {
		t.Fatal(err)
	}
	upstreamtest.Run(t, func(app upstreamtest.App) (http.Handler, func(), error) {
		ctx, cancel := caddy.NewContext(parent)
		module, err := ctx.LoadModuleByID("http.handlers.reverse_proxy", []byte(`{"upstreams":[{"dial":"`+app.Endpoint+`"}],`+
			`"flush_interval":-1,"transport":{"protocol":"http","versions":["1.1"],"response_header_timeout":1000000000,"max_response_header_size":65536}}`))
		if err != nil {
			cancel()
			return nil, nil, err
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, &caddyhttp.Server{})
			err := module.(caddyhttp.MiddlewareHandler).ServeHTTP(w, r, caddyhttp.HandlerFunc(func(http.ResponseWriter, *http.Request) error { return nil }))
			if failure, ok := errors.AsType[caddyhttp.HandlerError](err); ok {
				w.WriteHeader(failure.StatusCode)
			} else if err != nil {
				w.WriteHeader(http.StatusBadGateway)
			}
		}), cancel, nil
	}, caddyDifferences)
}
