package controlmodule

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/caddymodule"
	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/access"
	"github.com/seed-dbc68772/slipway/controlplane/api"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
)

// localAdmin reports whether there is one.
func (h *house) localAdmin(t *testing.T) (there bool) {
	t.Helper()
	update(t, h.Store, func(tx controlplane.Tx) error {
		_, err := tx.User(controlplane.LocalAdmin)
		if there = err == nil; controlplane.CodeOf(err) == controlplane.CodeNotFound {
			return nil
		}
		return err
	})
	return there
}

func TestWithoutAProviderThereIsALocalAdmin(t *testing.T) {
	h := newHouse(t, "one", "here")
	h.Settings.AdminRole, h.Settings.FullAccessRole = "operators", "staff"
	for range 2 { // a restart makes no other
		p, err := newPeople(t.Context(), h.ControlPlaneDeps)
		if err != nil {
			t.Fatal(err)
		}
		if p.provider != nil || p.issuer() != "" || p.rights != (controlplane.Rights{AdminRole: "operators", FullRole: "staff"}) {
			t.Errorf("%+v, issuer %q", p, p.issuer())
		}
		p.close()
		if !h.localAdmin(t) {
			t.Error("there is none")
		}
	}
}

// A provider that is down keeps nobody from starting: it is asked nothing yet.
func TestAProviderIsAskedNothingAtTheStart(t *testing.T) {
	h := newHouse(t, "one", "here")
	var asked atomic.Int64
	provider := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	defer provider.Close()
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("a secret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.Settings.OIDC = &caddymodule.OIDC{Issuer: provider.URL, ClientID: "slipway", ClientSecretFile: secret}
	p, err := newPeople(t.Context(), h.ControlPlaneDeps)
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	if p.issuer() != provider.URL || asked.Load() != 0 {
		t.Errorf("issuer %q was asked %d times", p.issuer(), asked.Load())
	}
	if h.localAdmin(t) {
		t.Error("there is a local admin beside it")
	}

	h.Settings.OIDC.ClientSecretFile = secret + "-not-there"
	if _, err := newPeople(t.Context(), h.ControlPlaneDeps); err == nil || !strings.Contains(err.Error(), "-not-there") {
		t.Errorf("a missing file of the secret: %v", err)
	}
}

// The API of the base domain takes tokens alone, that of the console's host
// cookies too; each of both is on its own host.
func TestTheHandlersOfPeople(t *testing.T) {
	h := newHouse(t, "one", "here")
	p, err := newPeople(t.Context(), h.ControlPlaneDeps)
	if err != nil {
		t.Fatal(err)
	}
	config := h.config
	config.Access, config.Rights, config.Edges, config.Leaders, config.Happenings, config.Passes = access.Rules{}, p.rights, h.Store, h.Store, h.Store, p.keys
	service := controlplane.NewService(config)
	base, host := p.handlers(service, api.Config{Service: service, Site: h.Site, Log: zap.NewNop()})
	ctx, cancel := context.WithCancel(t.Context())
	var work sync.WaitGroup
	p.run(ctx, &work, service)
	defer work.Wait()
	defer cancel()
	token := etcdtest.Admin(t, h.Store)
	ask := func(to http.Handler, target string, header ...string) int {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		to.ServeHTTP(w, r)
		return w.Code
	}
	for name, c := range map[string]struct {
		to     http.Handler
		target string
		header []string
		want   int
	}{
		"the API with a token":                {base, "http://localhost:8080/api/v1/me", []string{"Authorization", "Bearer " + token}, 200},
		"the API with none":                   {base, "http://localhost:8080/api/v1/me", nil, 401},
		"the base domain has no console":      {base, "http://localhost:8080/", nil, 404},
		"the console":                         {host, "http://console.localhost:8080/", nil, 200},
		"the console's API with a token":      {host, "http://console.localhost:8080/api/v1/me", []string{"Authorization", "Bearer " + token}, 200},
		"the console's API, nobody signed in": {host, "http://console.localhost:8080/api/v1/me", nil, 401},
	} {
		if got := ask(c.to, c.target, c.header...); got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}
