package console

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
	"github.com/seed-dbc68772/slipway/controlplane/lifecycle"
)

// open hands a browser that may open an instance a one-time ticket to its host.
// The edge sent it here, and bound what it gets to a cookie there by nonce.
func (s *console) open(w http.ResponseWriter, r *http.Request, id string) {
	q := r.URL.Query()
	rest, nonce := q.Get("rest"), q.Get("nonce")
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" && mode != "navigate" {
		s.fail(w, r, controlplane.Errorf(controlplane.CodeForbidden, "instances are opened by going to them").WithHint("follow a link to the instance"))
		return
	}
	if !isID(id) || !isRest(rest) || !isHash(nonce) {
		s.fail(w, r, controlplane.Errorf(controlplane.CodeInvalid, "this is no way to an instance").WithHint("open the instance by its own address"))
		return
	}
	actor, ok := s.visitor(w, r, "/open/"+id+"?"+escaped("rest", rest, "nonce="+nonce))
	if !ok {
		return
	}
	ticket := identity.NewTicket()
	in, err := s.Service.OpenInstance(r.Context(), actor, controlplane.OpenRequest{
		Instance: id, Ticket: identity.HashToken(ticket), Nonce: nonce,
		Host: func(in *controlplane.Instance) string {
			u, err := url.Parse(lifecycle.CanonicalURL(s.Site, in))
			if err != nil {
				return ""
			}
			return u.Hostname()
		},
	})
	if err != nil {
		s.fail(w, r, err)
		return
	}
	// The browser itself keeps the fragment over redirects.
	redirect(w, lifecycle.CanonicalURL(s.Site, in)+".slipway/ticket?"+escaped("rest", rest, "ticket="+ticket))
}

// isRest reports whether it can be the path and query below an instance.
func isRest(rest string) bool {
	return strings.HasPrefix(rest, "/") && len(rest) <= maxNext && !strings.ContainsFunc(rest, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// isHash reports whether it is a SHA-256, hexadecimal.
func isHash(s string) bool { return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == "" }
