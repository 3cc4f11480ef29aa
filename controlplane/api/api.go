package api

import (
	"context"
	"net/http"
	"path"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/routing"
)

// Config is what the API serves. All fields but Session are required.
type Config struct {
	Service   *controlplane.Service
	Launchers map[string]launcher.Launcher // for logs, by the name that records give
	Site      *routing.Site
	// Explain tells what the edge of this process would do with a request.
	Explain func(controlplane.ExplainRequest) (*controlplane.Explanation, error)
	Log     *zap.Logger
	// Session finds who is signed in at the console's host by its cookie: the
	// zero Actor for nobody. An error is of one whom a foreign page perhaps
	// sent. Elsewhere it is nil, and cookies do not count.
	Session func(*http.Request) (controlplane.Actor, error)
}

// server carries the operations.
type server struct {
	Config
	mux *http.ServeMux
}

// New makes the handler for the paths below /api/.
func New(c Config) http.Handler {
	s := &server{Config: c, mux: http.NewServeMux()}
	s.register()
	return s
}

// OpenAPI is the description of the API, as JSON.
func OpenAPI() ([]byte, error) {
	s := &server{mux: http.NewServeMux()}
	return s.register().OpenAPI().MarshalJSON()
}

func (s *server) register() huma.API {
	config := huma.DefaultConfig("Slipway", "1.0.0")
	config.Info.Description = "Apps, instances and aliases of a Slipway installation."
	config.OpenAPIPath = "/api/openapi"
	// The documentation page would load its scripts from a foreign host, and
	// schema links would add a field to every answer.
	config.DocsPath, config.SchemasPath, config.CreateHooks = "", "", nil
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {Type: "http", Scheme: "bearer", Description: "A token that begins with slw_"},
	}
	config.Security = []map[string][]string{{"token": {}}}
	api := humago.New(s.mux, config)
	api.UseMiddleware(strict, uniqueKeys)
	s.registerApps(api)
	s.registerBundleLinks(api)
	s.registerShown(api)
	s.registerInstances(api)
	s.registerSleep(api)
	s.registerAliases(api)
	s.registerTags(api)
	s.registerSecrets(api)
	s.registerEdges(api)
	s.registerLeader(api)
	s.registerAudit(api)
	s.registerLaunch(api)
	s.registerOther(api)
	s.registerLogin(api)
	s.registerTokens(api)
	s.registerTickets(api)
	s.registerUsers(api)
	describeConditions(api)
	return api
}

// ServeHTTP answers a request below /api/.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, requestID := withRequestID(r.Context())
	r = r.WithContext(ctx)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Request-Id", requestID)
	if !clean(r) {
		writeProblem(w, newProblem(ctx, controlplane.Errorf(controlplane.CodeNotFound, "no such path").
			WithHint("paths are taken as they are: no escapes, empty or dot segments")))
		return
	}
	handler, pattern := s.mux.Handler(r)
	if pattern == "" {
		s.unrouted(w, r, handler)
		return
	}
	if strings.HasPrefix(r.URL.Path, "/api/v1/") {
		actor, err := s.authorize(r, pattern)
		if actor.Anonymous() || anonymousOperations[pattern] {
			w = challenger{w}
		}
		if err != nil {
			writeProblem(w, newProblem(ctx, err))
			return
		}
		r = r.WithContext(context.WithValue(ctx, actorKey{}, actor))
		if r, err = conditional(r, pattern); err != nil {
			writeProblem(w, newProblem(ctx, err))
			return
		}
	}
	s.mux.ServeHTTP(w, r)
}

// clean reports whether the path is spelled the one way that the mux would
// not redirect: a redirect would follow the client's spelling of a host.
func clean(r *http.Request) bool {
	p := r.URL.Path
	return r.URL.RawPath == "" && (path.Clean(p) == p || path.Clean(p)+"/" == p)
}

// unrouted answers for a path or a method that no operation has.
func (s *server) unrouted(w http.ResponseWriter, r *http.Request, refuse http.Handler) {
	probe := &statusProbe{header: http.Header{}}
	refuse.ServeHTTP(probe, r)
	p := newProblem(r.Context(), controlplane.Errorf(controlplane.CodeNotFound, "no such path").
		WithHint("GET /api/openapi.json lists the paths"))
	if probe.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", probe.header.Get("Allow"))
		p.Status, p.Title = probe.status, http.StatusText(probe.status)
		p.Code, p.Detail, p.Hint = "method_not_allowed", "this path does not take "+r.Method, "use one of: "+probe.header.Get("Allow")
	}
	writeProblem(w, p)
}

// statusProbe learns what the mux would answer.
type statusProbe struct {
	header http.Header
	status int
}

func (p *statusProbe) Header() http.Header         { return p.header }
func (p *statusProbe) WriteHeader(status int)      { p.status = status }
func (p *statusProbe) Write(b []byte) (int, error) { return len(b), nil }
