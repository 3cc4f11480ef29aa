package caddymodule

import (
	"context"
	"net"
	"net/http"
	"strings"
	"time"
)

// remoteTransport has a transport for each kind of call: how long a control
// plane may take to the first byte of its answer depends on what it is asked.
type remoteTransport struct{ usual, waiting, importing *http.Transport }

func newRemoteTransport(dial func(ctx context.Context, network, address string) (net.Conn, error)) remoteTransport {
	with := func(firstByte time.Duration) *http.Transport {
		return &http.Transport{
			DialContext: dial, ResponseHeaderTimeout: firstByte, IdleConnTimeout: remoteIdle,
			MaxIdleConnsPerHost: 32, MaxResponseHeaderBytes: 64 << 10, DisableCompression: true, ExpectContinueTimeout: time.Second,
		}
	}
	return remoteTransport{with(remoteFirstByte), with(remoteWait), with(remoteImport)}
}

// RoundTrip implements http.RoundTripper.
func (t remoteTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/api/v1/bundles":
		return t.importing.RoundTrip(r)
	case strings.Contains(r.URL.RawQuery, "wait="):
		return t.waiting.RoundTrip(r)
	}
	return t.usual.RoundTrip(r)
}

// CloseIdleConnections closes those that carry no call.
func (t remoteTransport) CloseIdleConnections() {
	for _, each := range []*http.Transport{t.usual, t.waiting, t.importing} {
		each.CloseIdleConnections()
	}
}

// progressConn ends a connection whose other side takes nothing any more.
type progressConn struct{ net.Conn }

// Write implements net.Conn.
func (c progressConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(remoteProgress)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
