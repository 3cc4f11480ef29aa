package caddymodule

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/routing"
)

func init() {
	caddy.RegisterModule(adminAPI{})
}

// adminAPI is the part of Caddy's admin interface that is about the edge of
// this process:
//
//	GET       /slipway/routes              the state of the route table
//	GET       /slipway/routes?host=HOST    and what the host leads to
//	GET       /slipway/routes?instance=ID  and the instance with its aliases
//	GET       /slipway/routes?list=KIND    every route, one JSON object a line;
//	                                       KIND is instances, aliases or all
//	POST      /slipway/routes/acknowledge  do the removals that are held
//	GET, POST /slipway/explain             what the edge does with a request:
//	                                       url, and perhaps method, header
//	                                       (repeatable), websocket, from; in
//	                                       the query or as a form
//
// Caddy guards it: it has no sign-in of its own.
type adminAPI struct{}

// CaddyModule implements caddy.Module.
func (adminAPI) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.slipway", New: func() caddy.Module { return new(adminAPI) }}
}

// Routes implements caddy.AdminRouter.
func (a *adminAPI) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: "/slipway/", Handler: caddy.AdminHandlerFunc(a.serve)}}
}

// maxForm is the largest form that is read, in bytes.
const maxForm = 256 << 10

// adminCalls are the calls, by path.
var adminCalls = map[string]struct {
	methods []string
	answer  func(*Handler, http.ResponseWriter, *http.Request) error
}{
	"/slipway/routes":             {[]string{http.MethodGet}, adminRoutes},
	"/slipway/routes/acknowledge": {[]string{http.MethodPost}, adminAcknowledge},
	"/slipway/explain":            {[]string{http.MethodGet, http.MethodPost}, adminExplain},
}

func (a *adminAPI) serve(w http.ResponseWriter, r *http.Request) error {
	call, found := adminCalls[r.URL.Path]
	if !found {
		return refuse(http.StatusNotFound, "no such path: there are /slipway/routes, /slipway/routes/acknowledge and /slipway/explain")
	}
	if !slices.Contains(call.methods, r.Method) {
		methods := strings.Join(call.methods, ", ")
		w.Header().Set("Allow", methods)
		return refuse(http.StatusMethodNotAllowed, "this path takes "+methods)
	}
	// The configuration that runs now: this module may be of one before it.
	app, err := caddy.ActiveContext().AppIfConfigured("slipway")
	if err != nil {
		return refuse(http.StatusServiceUnavailable, "the configuration that runs has no app slipway")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		return refuse(http.StatusBadRequest, "read the form: "+err.Error())
	}
	w.Header().Set("Cache-Control", "no-store")
	return call.answer(app.(*App).edge, w, r)
}

func refuse(status int, why string) error {
	return caddy.APIError{HTTPStatus: status, Err: errors.New(why)}
}

func writeJSON(w http.ResponseWriter, value any) error {
	w.Header().Set("Content-Type", "application/json")
	return json.NewEncoder(w).Encode(value)
}

func adminExplain(h *Handler, w http.ResponseWriter, r *http.Request) error {
	q := controlplane.ExplainRequest{
		URL: r.Form.Get("url"), Method: r.Form.Get("method"), Headers: r.Form["header"], From: r.Form.Get("from"),
	}
	if text := r.Form.Get("websocket"); text != "" {
		var err error
		if q.WebSocket, err = strconv.ParseBool(text); err != nil {
			return refuse(http.StatusBadRequest, "websocket is true or false")
		}
	}
	e, err := h.explain(q)
	if err != nil {
		return refuseAs(err)
	}
	return writeJSON(w, e)
}

// refuseAs is the answer to an error that a user may read.
func refuseAs(err error) error {
	known, ok := errors.AsType[*controlplane.Error](err)
	if !ok {
		return err
	}
	why := known.Error()
	if known.Hint != "" {
		why += "; " + known.Hint
	}
	if known.Code == controlplane.CodeInvalid {
		return refuse(http.StatusBadRequest, why)
	}
	return refuse(http.StatusServiceUnavailable, why)
}

func adminAcknowledge(h *Handler, w http.ResponseWriter, _ *http.Request) error {
	return writeJSON(w, map[string]int{"removed": h.runtime.live.Acknowledge()})
}

func adminRoutes(h *Handler, w http.ResponseWriter, r *http.Request) error {
	table := h.runtime.Table()
	kind, host, instance := r.Form.Get("list"), r.Form.Get("host"), r.Form.Get("instance")
	switch kind {
	case "":
	case "instances", "aliases", "all":
		if host != "" || instance != "" {
			return refuse(http.StatusBadRequest, "list goes with neither host nor instance")
		}
		return listRoutes(w, table, kind)
	default:
		return refuse(http.StatusBadRequest, "list is instances, aliases or all")
	}
	state := h.routesState()
	switch {
	case host != "" && instance != "":
		return refuse(http.StatusBadRequest, "give host or instance, not both")
	case host != "":
		found := table.Host(h.site, host)
		if found.Kind == routing.HostInvalid {
			return refuse(http.StatusBadRequest, "host is not a host name")
		}
		state.Routes = appendRoutes([]route{}, found.Alias, found.Instance)
	case instance != "":
		id, ok := routing.ParseID(instance)
		if !ok {
			return refuse(http.StatusBadRequest, "instance is not an instance's ID")
		}
		state.routesOf(table, id)
	}
	return writeJSON(w, state)
}

// routesState is the state of the route table. Lists in it are bounded.
type routesState struct {
	Edge         string       `json:"edge"`
	Revision     string       `json:"revision"`
	Origin       string       `json:"origin"`        // store, snapshot; "": there is no table yet
	StaleSeconds float64      `json:"stale_seconds"` // since the store was heard; below 0: never
	Away         bool         `json:"store_away"`
	Instances    int          `json:"instances"`
	Aliases      int          `json:"aliases"`
	Refused      refusedState `json:"refused"`
	Held         heldState    `json:"held_removals"`
	Drift        int64        `json:"drift_records"`
	Lists        any          `json:"lists"` // how many, by reason
	LastChange   *changeState `json:"last_change,omitempty"`
	Routes       []route      `json:"routes,omitzero"` // that were asked for
	More         bool         `json:"more,omitempty"`  // there are more of these
}

type refusedState struct {
	Now     int             `json:"now"`
	Total   int64           `json:"total"`
	Records []refusedRecord `json:"records"` // at most maxTrouble
}

type refusedRecord struct {
	Key      string `json:"key"`
	Revision string `json:"revision"`
	Reason   string `json:"reason"`
}

type heldState struct {
	Count int        `json:"count"`
	Until *time.Time `json:"until,omitempty"`
	Keys  []string   `json:"keys"` // at most maxTrouble
}

type changeState struct {
	Revision string    `json:"revision"`
	At       time.Time `json:"at"`
	TookMS   float64   `json:"took_ms"` // until requests saw it
	Records  int       `json:"records"`
}

// Limits of what one answer names.
const (
	maxTrouble = 100
	maxRoutes  = 1000
)

func (h *Handler) routesState() *routesState {
	live := h.runtime.live
	s := live.Status()
	refused, held := live.Trouble(maxTrouble)
	state := &routesState{
		Edge: h.runtime.edge.name, Revision: strconv.FormatInt(s.Revision, 10), Origin: string(s.Origin),
		StaleSeconds: s.Silence.Seconds(), Away: s.Away, Instances: s.Instances, Aliases: s.Aliases,
		Refused: refusedState{Now: s.RefusedNow, Total: s.RefusedTotal, Records: []refusedRecord{}},
		Held:    heldState{Count: s.Held, Keys: append([]string{}, held...)},
		Drift:   s.Drift, Lists: s.Lists,
	}
	if s.Silence < 0 {
		state.StaleSeconds = -1
	}
	for _, r := range refused {
		state.Refused.Records = append(state.Refused.Records, refusedRecord{r.Key, strconv.FormatInt(r.Revision, 10), r.Reason})
	}
	if s.Held > 0 {
		until := s.HeldUntil.UTC()
		state.Held.Until = &until
	}
	if !s.Last.At.IsZero() {
		state.LastChange = &changeState{
			Revision: strconv.FormatInt(s.Last.Revision, 10), At: s.Last.At.UTC(),
			TookMS: float64(s.Last.Took.Microseconds()) / 1000, Records: s.Last.Records,
		}
	}
	return state
}
