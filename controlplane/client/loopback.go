package client

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const dialTimeout = 10 * time.Second

var dialer = net.Dialer{Timeout: dialTimeout, KeepAlive: 30 * time.Second}

// LoopbackTransport returns a new transport like http.DefaultTransport, but
// for names that [IsLocalhost] knows: these it dials by [DialLoopback], and
// never through a proxy.
func LoopbackTransport() *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DialContext = DialLoopback
	t.Proxy = func(r *http.Request) (*url.URL, error) {
		if IsLocalhost(r.URL.Hostname()) {
			return nil, nil
		}
		return http.ProxyFromEnvironment(r)
	}
	return t
}

// IsLocalhost reports whether host is localhost or a name below it, in any
// case, with or without a final dot.
func IsLocalhost(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// DialLoopback dials addr; where its host is localhost or below, that is
// 127.0.0.1, and where nothing answers there, [::1].
func DialLoopback(ctx context.Context, network, addr string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || !IsLocalhost(host) {
		return dialer.DialContext(ctx, network, addr)
	}
	conn, err := dialer.DialContext(ctx, network, net.JoinHostPort("127.0.0.1", port))
	if err == nil || ctx.Err() != nil {
		return conn, err
	}
	if conn, err6 := dialer.DialContext(ctx, network, net.JoinHostPort("::1", port)); err6 == nil {
		return conn, nil
	}
	return nil, err
}
