package console_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/access"
	"github.com/seed-dbc68772/slipway/controlplane/console"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
	"github.com/seed-dbc68772/slipway/routing"
)

func TestMain(m *testing.M) { etcdtest.Main(m) }

func newConsole(t *testing.T) (http.Handler, *etcdstore.Store) {
	t.Helper()
	site, err := routing.NewSite(routing.SiteConfig{BaseURL: "http://localhost:8080"})
	if err != nil {
		t.Fatal(err)
	}
	store := etcdtest.Shared(t).Open(t)
	return console.New(controlplane.NewService(controlplane.Config{Store: store, Access: access.Rules{PublicMode: true}}), site), store
}

func get(ctx context.Context, h http.Handler, method, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, method, path, nil))
	return w
}

func TestTheList(t *testing.T) {
	h, store := newConsole(t)
	if body := get(t.Context(), h, http.MethodGet, "/").Body.String(); strings.Count(body, "None yet") != 2 {
		t.Errorf("an empty installation:\n%s", body)
	}
	app := &controlplane.App{ID: uuid.NewString(), Name: "demo", Version: "1", Title: "<script>alert(1)</script>", Owner: "ada", Visibility: controlplane.Public}
	runs := []*controlplane.Instance{
		{ID: uuid.NewString(), AppID: app.ID, AppName: "demo", AppVersion: "1", Owner: "ada", Status: controlplane.Deployed, RoutingMode: controlplane.Domain},
		{ID: uuid.NewString(), AppID: app.ID, AppName: "demo", AppVersion: "1", Owner: "ada", Status: controlplane.Failed, RoutingMode: controlplane.BaseURL,
			Reason: &controlplane.Reason{Code: controlplane.Crashed, Text: "it said <b>no</b>"}},
		{ID: uuid.NewString(), AppID: app.ID, AppName: "demo", AppVersion: "1", Owner: "ada", Status: controlplane.Deployed, RoutingMode: controlplane.Domain,
			PrimaryAlias: "sales"},
	}
	if _, err := store.Update(t.Context(), func(tx controlplane.Tx) error {
		for _, in := range runs {
			if err := tx.Put(in); err != nil {
				return err
			}
		}
		return tx.Put(app)
	}); err != nil {
		t.Fatal(err)
	}
	w := get(t.Context(), h, http.MethodGet, "/")
	body := w.Body.String()
	for _, want := range []string{
		"&lt;script&gt;", app.ID,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the list lacks %s:\n%s", want, body)
		}
	}
	if strings.Contains(body, "<script>") || strings.Contains(body, runs[0].ID) {
		t.Errorf("the list:\n%s", body)
	}
}

func TestAnswers(t *testing.T) {
	h, _ := newConsole(t)
	away, cancel := context.WithCancel(t.Context())
	cancel()
	for name, c := range map[string]struct {
		ctx          context.Context
		method, path string
		status       int
	}{
		"the list":       {t.Context(), http.MethodGet, "/", http.StatusOK},
		"its head":       {t.Context(), http.MethodHead, "/", http.StatusOK},
		"another page":   {t.Context(), http.MethodGet, "/x", http.StatusNotFound},
		"a form":         {t.Context(), http.MethodPost, "/", http.StatusMethodNotAllowed},
		"store is away":  {away, http.MethodGet, "/", http.StatusServiceUnavailable},
		"form elsewhere": {t.Context(), http.MethodPost, "/x", http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			w := get(c.ctx, h, c.method, c.path)
			header := w.Header()
			if w.Code != c.status || header.Get("Cache-Control") != "no-store" || header.Get("X-Content-Type-Options") != "nosniff" ||
				!strings.Contains(header.Get("Content-Security-Policy"), "frame-ancestors 'none'") {
				t.Errorf("status %d, header %v", w.Code, header)
			}
			if allow := header.Get("Allow"); (c.status == http.StatusMethodNotAllowed) != (allow == "GET, HEAD") {
				t.Errorf("Allow %q", allow)
			}
		})
	}
}
