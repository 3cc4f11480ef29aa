package caddymodule

import (
	"crypto/tls"
	"net/http"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddytls"

	"github.com/seed-dbc68772/slipway/routing"
)

var misdirected = page{status: http.StatusMisdirectedRequest, code: "misdirected",
	text: "The certificate of this connection is not for this host. Ask again on a new connection."}

// isMisdirected reports whether the request's host is not covered by the
// certificate of its connection (spec routing.md §1). A browser sends requests
// for every name of a certificate over one connection, so that another name
// than the handshake's is no fault by itself.
func isMisdirected(r *http.Request, kind routing.Kind) bool {
	if r.TLS == nil {
		return false
	}
	switch kind {
	case routing.BadRequest, routing.MethodNotAllowed, routing.NotImplemented, routing.Options:
		return false
	}
	return !covered(r.TLS, hostOf(r))
}

// hostOf is the request's host, which has been parsed: without port and final
// dot.
func hostOf(r *http.Request) string {
	name, _, _ := strings.Cut(r.Host, ":")
	return strings.TrimSuffix(name, ".")
}

func covered(state *tls.ConnectionState, host string) bool {
	if strings.EqualFold(state.ServerName, host) {
		return true
	}
	if state.ServerName == "" {
		return true // a client without SNI got the default certificate, and has to be content with it
	}
	for _, certificate := range caddytls.AllMatchingCertificates(state.ServerName) {
		if certificate.Leaf != nil && certificate.Leaf.VerifyHostname(host) == nil {
			return true
		}
	}
	return false
}
