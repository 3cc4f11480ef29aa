package api_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
)

// What names a secret of somebody's own is told to no other user, in whatever
// answer.
func TestDetailsOfReasonsAreNotForEverybody(t *testing.T) {
	h := newHouse(t)
	bob := etcdtest.User(t, h.store, "bob")
	const secret = "prod-db-creds"
	app := &controlplane.App{
		ID: uuid.NewString(), Name: "needy", Version: "1", Title: "Needy", Owner: "ada", Visibility: controlplane.AllUsers, Tags: []string{},
		Lifecycle: controlplane.OnDemand, RoutingMode: controlplane.Domain, AppMode: controlplane.Python,
		Manifest: controlplane.Manifest{Env: []controlplane.EnvVar{{Name: "DB", Secret: secret, SecretKey: "pw"}}},
	}
	run := &controlplane.Instance{
		ID: uuid.NewString(), AppID: app.ID, AppName: "needy", Owner: "ada", Visibility: controlplane.AllUsers, Status: controlplane.Failed,
		Reason:      &controlplane.Reason{Code: controlplane.MissingSecret, Text: `Env DB needs the key "pw" of the secret "` + secret + `"`},
		RoutingMode: controlplane.Domain, Generation: 1,
	}
	_, err := h.store.Update(t.Context(), func(tx controlplane.Tx) error {
		tx.AddEvent(run.ID, controlplane.Event{Type: controlplane.EventFailed, Reason: run.Reason.Code, Text: run.Reason.Text})
		if err := tx.Put(app); err != nil {
			return err
		}
		return tx.Put(run)
	})
	if err != nil {
		t.Fatal(err)
	}
	for call, refused := range map[string]int{
		"GET /api/v1/instances":                          200,
		"GET /api/v1/instances/" + run.ID:                200,
		"GET /api/v1/instances/" + run.ID + "/status":    200,
		"GET /api/v1/instances/" + run.ID + "/why":       403,
		"GET /api/v1/instances/" + run.ID + "/events":    403,
		"GET /api/v1/apps":                               200,
		"GET /api/v1/apps/" + app.ID:                     200,
		"POST /api/v1/instances {app}":                   409,
		"PATCH /api/v1/instances/" + run.ID + " {as is}": 403,
	} {
		t.Run(strings.NewReplacer(run.ID, "ID", app.ID, "ID").Replace(call), func(t *testing.T) {
			parts := strings.SplitN(call, " ", 3)
			body := ""
			switch parts[0] {
			case http.MethodPost:
				body = `{"app_id":"` + app.ID + `"}`
			case http.MethodPatch:
				body = `{"visibility":"ALL_USERS"}`
			}
			a := h.call(parts[0], parts[1], bob, body)
			if a.StatusCode != refused || strings.Contains(a.body, secret) {
				t.Errorf("bob reads %d %s", a.StatusCode, a.body)
			}
			if refused == http.StatusForbidden {
				return
			}
			if !strings.Contains(a.body, "A secret that it needs is missing.") {
				t.Errorf("bob reads no sentence: %s", a.body)
			}
			for _, may := range []string{h.user, h.admin} {
				if a := h.call(parts[0], parts[1], may, body); !strings.Contains(a.body, secret) {
					t.Errorf("who may reads no details: %d %s", a.StatusCode, a.body)
				}
			}
		})
	}
}
