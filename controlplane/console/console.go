package console

import (
	"net/http"
	"strings"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
	"github.com/seed-dbc68772/slipway/routing"
)

// Config is what the console works with. All fields but Provider are required.
type Config struct {
	Service *controlplane.Service
	Site    *routing.Site
	// API answers below /api/, and takes the cookies of Sessions.
	API      http.Handler
	Sessions *Sessions
	// Provider signs people in; nil where one-time links do.
	Provider *identity.Provider
	Sealer   *identity.Sealer
	Log      *zap.Logger
}

type console struct {
	Config
	origin string // of this host, without a final slash
	pages  map[string]methods
}

// methods are the handlers of one path.
type methods struct{ get, post http.HandlerFunc }

// New makes the handler of the console's host.
func New(c Config) http.Handler {
	s := &console{Config: c, origin: strings.TrimSuffix(c.Site.ConsoleURL(), "/")}
	s.pages = map[string]methods{
		"/":       {get: s.list},
		"/login":  {get: s.login},
		"/logout": {post: s.logout},
		"/device": {get: s.device, post: s.decideDevice},
		"/tokens": {get: s.tokens, post: s.changeTokens},
	}
	if c.Provider != nil {
		s.pages["/callback"] = methods{get: s.callback}
		s.pages["/backchannel-logout"] = methods{post: s.backChannelLogout}
	} else {
		s.pages["/link"] = methods{get: s.link, post: s.useLink}
	}
	return s
}

// formLimit is the size of the largest form, in bytes.
const formLimit = 64 << 10

func (s *console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	// Not no-referrer: browsers would send our own forms with Origin: null.
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Content-Security-Policy", policy(""))
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()")
	if s.Site.Scheme() == "https" {
		h.Set("Strict-Transport-Security", "max-age=31536000")
	}
	if strings.HasPrefix(r.URL.Path, "/api/") {
		if id, present := s.Sessions.id(r); present && id == "" {
			s.Sessions.clear(w)
		}
		s.API.ServeHTTP(w, r)
		return
	}
	if s.Sessions.protection.Check(r) != nil {
		s.fail(w, r, errForeign)
		return
	}
	page, known := s.pages[r.URL.Path]
	if id, open := strings.CutPrefix(r.URL.Path, "/open/"); open {
		page, known = methods{get: func(w http.ResponseWriter, r *http.Request) { s.open(w, r, id) }}, true
	} else if id, one := strings.CutPrefix(r.URL.Path, "/instances/"); one {
		page, known = methods{get: func(w http.ResponseWriter, r *http.Request) { s.instance(w, r, id) }}, true
	}
	switch {
	case !known:
		s.fail(w, r, noPage(s.Site.ConsoleURL()))
	case page.get != nil && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		page.get(w, r)
	case page.post != nil && r.Method == http.MethodPost:
		r.Body = http.MaxBytesReader(w, r.Body, formLimit)
		page.post(w, r)
	default:
		allow := "GET, HEAD"
		if page.get == nil {
			allow = "POST"
		} else if page.post != nil {
			allow += ", POST"
		}
		h.Set("Allow", allow)
		s.show(w, r, http.StatusMethodNotAllowed, view{Title: "This does not work here", Text: "The page does not take " + r.Method + "."})
	}
}

// errForeign is the answer to a form of another host.
var errForeign = controlplane.Errorf(controlplane.CodeForbidden, "this form was not sent by the console").WithHint("go to the console, and try again there")

// actor is who is signed in; the zero Actor for nobody. Unusable cookies are
// cleared. What the store does not answer is an error.
func (s *console) actor(w http.ResponseWriter, r *http.Request) (controlplane.Actor, error) {
	actor, clear, err := s.Sessions.find(r)
	if clear {
		s.Sessions.clear(w)
	}
	actor.Address = controlplane.ClientAddress(r.Context())
	return actor, err
}

// visitor is who asks for a page that needs a sign-in; false where the answer is
// written: the way to the sign-in, which leads back to next.
func (s *console) visitor(w http.ResponseWriter, r *http.Request, next string) (actor controlplane.Actor, ok bool) {
	actor, err := s.actor(w, r)
	switch {
	case err != nil:
		s.fail(w, r, err)
	case actor.User == "":
		redirect(w, s.loginURL(next))
	default:
		return actor, true
	}
	return actor, false
}

// formActor is who sent a form of ours; false where the answer is written.
func (s *console) formActor(w http.ResponseWriter, r *http.Request) (actor controlplane.Actor, ok bool) {
	if !s.Sessions.ours(r) {
		s.fail(w, r, errForeign)
		return actor, false
	}
	if err := r.ParseForm(); err != nil {
		s.fail(w, r, controlplane.Errorf(controlplane.CodeInvalid, "the form cannot be read"))
		return actor, false
	}
	actor, err := s.actor(w, r)
	if err == nil && actor.User == "" {
		err = controlplane.Errorf(controlplane.CodeUnauthorized, "nobody is signed in any more").WithHint("sign in, and try again")
	}
	if err != nil {
		s.fail(w, r, err)
		return actor, false
	}
	return actor, true
}

// redirect answers 302 to a URL of ours or of the provider's.
func redirect(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusFound)
}
