package api_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
)

// An instance's own token says who it is, for one start of it, and is good for
// nothing of its owner's.
func TestAnInstancesOwnToken(t *testing.T) {
	h := newHouse(t)
	key := []byte(strings.Repeat("k", 32))
	h.service.ReadInstanceToken = func(token string) (string, int64, bool) { return identity.ReadInstanceToken(key, token) }
	in := &controlplane.Instance{
		ID: uuid.NewString(), AppID: uuid.NewString(), Owner: "root", Visibility: controlplane.Private, Status: controlplane.Deployed,
		RoutingMode: controlplane.Domain, Generation: 4,
	}
	put := func() {
		t.Helper()
		if _, err := h.store.Update(t.Context(), func(tx controlplane.Tx) error { return tx.Put(in) }); err != nil {
			t.Fatal(err)
		}
	}
	put()
	token := identity.InstanceToken(key, in.ID, 4)
	me := decode[v1.Me](h, h.call("GET", "/api/v1/me", token, ""), 200)
	if me.InstanceID == nil || *me.InstanceID != in.ID || me.User != "" || me.Admin || me.FullAccess {
		t.Errorf("me %+v", me)
	}
	for _, call := range [][3]string{
		{"GET", "/api/v1/instances", ""}, {"GET", "/api/v1/instances/" + in.ID, ""}, {"GET", "/api/v1/instances/" + in.ID + "/logs", ""},
		{"POST", "/api/v1/instances/" + in.ID + "/ticket", ""}, {"POST", "/api/v1/instances/" + in.ID + "/suspend", ""}, {"GET", "/api/v1/apps", ""},
		{"GET", "/api/v1/tokens", ""}, {"POST", "/api/v1/tokens", `{"name":"x"}`}, {"DELETE", "/api/v1/tokens/current", ""}, {"POST", "/api/v1/logout", "{}"},
		{"GET", "/api/v1/audit", ""}, {"GET", "/api/v1/edges", ""}, {"POST", "/api/v1/login/link", ""},
	} {
		if got := h.call(call[0], call[1], token, call[2]); got.StatusCode != 403 {
			t.Errorf("%s %s gives %d", call[0], call[1], got.StatusCode)
		}
	}
	busy := decode[v1.Busy](h, h.call("PUT", "/api/v1/instance/busy", token, `{"for":"48h","reason":"training"}`), 200)
	if busy.Until == nil || time.Until(*busy.Until) > controlplane.MaxBusy || time.Until(*busy.Until) < controlplane.MaxBusy-time.Minute || *busy.Reason != "training" {
		t.Errorf("busy %+v", busy)
	}
	why := decode[v1.Why](h, h.call("GET", "/api/v1/instances/"+in.ID+"/why", h.admin, ""), 200)
	if !why.Awake || why.Because != controlplane.AwakeBusy || why.Busy == nil || why.SleepsAt == nil || !why.SleepsAt.Equal(*busy.Until) {
		t.Errorf("why %+v", why)
	}
	events := decode[v1.Events](h, h.call("GET", "/api/v1/instances/"+in.ID+"/events", h.admin, ""), 200)
	if len(events.Items) != 1 || events.Items[0].Type != "busy" || !strings.Contains(events.Items[0].Text, "training") {
		t.Errorf("events %+v", events)
	}
	if free := decode[v1.Busy](h, h.call("PUT", "/api/v1/instance/busy", token, `{"for":"0s"}`), 200); free.Until != nil {
		t.Errorf("busy no more: %+v", free)
	}
	for body, want := range map[string]int{
		`{"for":"soon"}`: 422, `{"for":"-1h"}`: 422, `{}`: 422, `{"for":"1h","reason":"` + strings.Repeat("r", 2000) + `"}`: 422,
	} {
		if got := h.call("PUT", "/api/v1/instance/busy", token, body); got.StatusCode != want {
			t.Errorf("busy %.40s gives %d, want %d", body, got.StatusCode, want)
		}
	}
	for body, want := range map[string]int{`{"percent":40,"text":"reading"}`: 204, `{"percent":101}`: 422, `{"percent":-1}`: 422, `{"percent":1.5}`: 422} {
		if got := h.call("PUT", "/api/v1/instance/progress", token, body); got.StatusCode != want {
			t.Errorf("progress %s gives %d, want %d: %s", body, got.StatusCode, want, got.body)
		}
	}
	for name, bad := range map[string]string{
		"of the start before": identity.InstanceToken(key, in.ID, 3), "of the next": identity.InstanceToken(key, in.ID, 5),
		"of nobody": identity.InstanceToken(key, uuid.NewString(), 4), "forged": "slw_i_" + strings.Repeat("A", 80),
	} {
		if got := h.call("GET", "/api/v1/me", bad, ""); got.StatusCode != 401 {
			t.Errorf("a token %s gives %d", name, got.StatusCode)
		}
	}
	in.Status = controlplane.Terminating
	put()
	if got := h.call("GET", "/api/v1/me", token, ""); got.StatusCode != 401 {
		t.Errorf("after its end it gives %d", got.StatusCode)
	}
}
