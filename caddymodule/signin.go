package caddymodule

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/seed-dbc68772/slipway/caddymodule/session"
	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/routing"
)

// A sign-in at an instance's host goes by way of the console (spec access.md
// §6):
//
//	the app's URL             302 to the console, with what follows the name
//	console /open/<ID>        signs in, if nobody is, and gives a ticket
//	/.slipway/ticket          trades it for the cookie, and 302 to the app's URL
//
// A nonce in a cookie of the app's host binds the three to one browser: a
// ticket that was taken from somebody, or that somebody planted, is good for
// nothing. The fragment of the URL is never sent; browsers carry it along.

// maxRest is the longest path and query that is carried through a sign-in, as
// it stands in a URL: the console takes no longer request line.
const maxRest = 24 << 10

// signInTime is how long a sign-in may take, in seconds.
const signInTime = 15 * 60

// signIn sends a page load to the console.
func (h *Handler) signIn(w http.ResponseWriter, r *http.Request, v *visit, d routing.Decision) error {
	name := h.cookies.Nonce(d.Instance.ID.String())
	nonce := nonceOf(r, name)
	if nonce == "" {
		nonce = rand.Text()
	}
	location, ok := h.wayToSignIn(d, nonce)
	if !ok {
		p := tooLongToSignIn
		p.signIn = h.runtime.Table().CanonicalURL(h.site, d.Instance, "/", "")
		return h.end(w, r, v, outDenied, p)
	}
	header := w.Header()
	header.Add("Set-Cookie", h.cookies.Set(name, nonce, signInTime)) // several tabs share it
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Location", location)
	w.WriteHeader(http.StatusFound)
	h.done(w, r, v, outSignIn, http.StatusFound)
	return nil
}

// wayToSignIn is where a visitor of an instance signs in; false where too much
// would have to be carried along.
func (h *Handler) wayToSignIn(d routing.Decision, nonce string) (location string, ok bool) {
	rest := d.Rest
	if d.HasQuery {
		rest += "?" + d.Query
	}
	rest = url.QueryEscape(rest)
	return h.site.ConsoleURL() + "open/" + d.Instance.ID.String() + "?rest=" + rest + "&nonce=" + hashOf(nonce), len(rest) <= maxRest
}

// nonceOf is the nonce that a browser has already; "" if it has none, or not
// one of ours.
func nonceOf(r *http.Request, name string) string {
	nonce, count := session.Find(r.Header, name)
	if count != 1 || len(nonce) != nonceSize || strings.Trim(nonce, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
		return ""
	}
	return nonce
}

// nonceSize is the length of what rand.Text gives.
const nonceSize = 26

var tooLongToSignIn = page{status: http.StatusUnauthorized, code: "unauthenticated",
	text: "The address is too long to be kept through a sign-in. Sign in at the app's first page, then open it again."}

func hashOf(nonce string) string {
	sum := sha256.Sum256([]byte(nonce))
	return hex.EncodeToString(sum[:])
}

// ticket trades a one-time ticket of the console for the cookie of this host.
func (h *Handler) ticket(w http.ResponseWriter, r *http.Request, v *visit, d routing.Decision) error {
	if r.Method != http.MethodGet {
		p := page{status: http.StatusMethodNotAllowed, code: "method_not_allowed", text: "A ticket comes with a redirect.", allow: http.MethodGet}
		return h.end(w, r, v, outDenied, p)
	}
	query, _ := url.ParseQuery(d.Query) // what is malformed is missing
	id := d.Instance.ID.String()
	table := h.runtime.Table()
	p := ticketRefused
	p.signIn = table.CanonicalURL(h.site, d.Instance, "/", "")
	nonce := nonceOf(r, h.cookies.Nonce(id))
	if nonce == "" {
		return h.end(w, r, v, outDenied, p)
	}
	header := w.Header()
	header.Add("Set-Cookie", h.cookies.Set(h.cookies.Nonce(id), "", 0))
	known, err := h.runtime.tradeTicket(r.Context(), d.Instance.ID, v1.TicketTrade{
		Ticket: query.Get("ticket"), Nonce: nonce, Instance: id, Host: hostname(table.CanonicalOrigin(h.site, d.Instance)),
	})
	switch {
	case err == nil:
	case controlplane.CodeOf(err) == controlplane.CodeUnauthorized:
		return h.end(w, r, v, outDenied, p)
	default:
		p := signInUnavailable
		p.signIn = table.CanonicalURL(h.site, d.Instance, "/", "")
		return h.end(w, r, v, outUnavailable, p)
	}
	path, restQuery, ok := routing.SplitRest(d.Instance, query.Get("rest"))
	if !ok {
		path, restQuery = "/", ""
	}
	header.Add("Set-Cookie", h.cookies.Set(h.cookies.Pass(id), known.Token(), known.Seconds(time.Now())))
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Location", table.CanonicalURL(h.site, d.Instance, path, restQuery))
	w.WriteHeader(http.StatusFound)
	h.done(w, r, v, outSignIn, http.StatusFound)
	return nil
}

// hostname is the host of an origin, without a port: a ticket is good for one.
func hostname(origin string) string {
	_, host, _ := strings.Cut(origin, "://")
	host, _, _ = strings.Cut(host, ":")
	return host
}

// The answers to a ticket that is not traded.
var (
	ticketRefused = page{status: http.StatusUnauthorized, code: "unauthenticated",
		text: "This sign-in is over, was used already or was begun elsewhere. Open the app again; the browser must accept cookies."}
	signInUnavailable = page{status: http.StatusServiceUnavailable, code: "sign_in_unavailable", retryAfter: 2,
		text: "Nobody can sign in right now: no control plane answers. Who is signed in stays so."}
)
