// Package extendedconnect makes Go's HTTP/2 servers take extended CONNECT, by
// which WebSockets go over HTTP/2 (RFC 8441). Import it for its effect.
//
// They read GODEBUG once, when their package is initialized, and have no other
// switch. Go initializes the packages that are ready in the order of their
// import paths; this one needs os alone, and comes before golang.org/x/net and
// net/http. What the operator has set counts.
package extendedconnect

import (
	"os"
	"strings"
)

func init() {
	const setting = "http2xconnect="
	if debug := os.Getenv("GODEBUG"); !strings.Contains(debug, setting) {
		os.Setenv("GODEBUG", strings.TrimPrefix(debug+","+setting+"1", ","))
	}
}
