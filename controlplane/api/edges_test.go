package api_test

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"sync"
	"testing"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
)

// edge is one that stays at a revision.
func (h *house) edge(name string, revision int64) {
	h.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		h.store.Present(ctx, etcdstore.Presence{Key: etcdstore.EdgeKey(name), Value: func() any {
			return controlplane.Edge{Name: name, Revision: revision, Version: "v1", Connections: 3}
		}})
	})
	h.Cleanup(func() { cancel(); running.Wait() })
	for !strings.Contains(h.call("GET", "/api/v1/edges", h.admin, "").body, name) {
	}
}

func (h *house) edges(query string) (list v1.EdgeList) {
	h.Helper()
	a := h.call("GET", "/api/v1/edges"+query, h.user, "")
	if err := json.Unmarshal([]byte(a.body), &list); err != nil || a.StatusCode != 200 {
		h.Fatalf("%d %s (%v)", a.StatusCode, a.body, err)
	}
	return list
}

func TestEdges(t *testing.T) {
	h := newHouse(t)
	changed := h.call("POST", "/api/v1/aliases", h.admin, `{"name":"sales"}`)
	revision, err := strconv.ParseInt(changed.Header.Get("Slipway-Revision"), 10, 64)
	if err != nil || revision == 0 {
		t.Fatalf("Slipway-Revision of a change: %v", err)
	}
	h.edge("has", revision)
	h.edge("lags", revision-1)
	list := h.edges("")
	if len(list.Items) != 2 || list.All != nil || list.Items[0].Applied != nil || list.Items[0].Connections != 3 || list.Revision == "" {
		t.Errorf("without a revision: %+v", list)
	}
	for _, query := range []string{"", "&wait=20ms"} {
		list = h.edges("?revision=" + changed.Header.Get("Slipway-Revision") + query)
		if list.All == nil || *list.All || !*list.Items[0].Applied || *list.Items[1].Applied || list.Items[1].Name != "lags" {
			t.Errorf("with %q: %+v", query, list)
		}
	}
	if list = h.edges("?wait=20s&revision=" + strconv.FormatInt(revision-1, 10)); !*list.All {
		t.Errorf("an older revision: %+v", list)
	}
	for name, query := range map[string]string{
		"no number": "?revision=x", "below 0": "?revision=-1", "to come": "?revision=999999999", "no duration": "?revision=1&wait=5",
		"below nothing": "?revision=1&wait=-5s", "wait for nothing": "?wait=5s",
	} {
		if a := h.call("GET", "/api/v1/edges"+query, h.admin, ""); a.StatusCode != 422 {
			t.Errorf("%s: %d %s", name, a.StatusCode, a.body)
		}
	}
	if a := h.call("GET", "/api/v1/edges", "", ""); a.StatusCode != 401 {
		t.Errorf("without a token: %d", a.StatusCode)
	}
}

func TestEveryChangeAnswersWithItsRevision(t *testing.T) {
	h := newHouse(t)
	last := int64(0)
	for _, tc := range []struct {
		method, target, body string
		unchanged            bool
	}{
		{method: "POST", target: "/instances", body: `{"app_id":"` + h.app + `"}`},
		{method: "POST", target: "/aliases", body: `{"name":"sales"}`},
		{method: "PUT", target: "/aliases/sales/assignment", body: `{"instance_id":"` + h.run + `"}`},
		{method: "POST", target: "/aliases/sales/promote"},
		{method: "POST", target: "/aliases/sales/promote", unchanged: true},
		{method: "POST", target: "/instances/" + h.run + "/suspend"},
		{method: "POST", target: "/instances/" + h.run + "/suspend", unchanged: true},
		{method: "POST", target: "/instances/" + h.run + "/resume"},
		{method: "DELETE", target: "/aliases/sales"},
		{method: "DELETE", target: "/instances/" + h.run},
	} {
		a := h.call(tc.method, "/api/v1"+tc.target, h.admin, tc.body)
		revision, err := strconv.ParseInt(a.Header.Get("Slipway-Revision"), 10, 64)
		if a.StatusCode >= 300 || err != nil || revision < last || revision == last && !tc.unchanged {
			t.Errorf("%s %s: %d, revision %q after %d", tc.method, tc.target, a.StatusCode, a.Header.Get("Slipway-Revision"), last)
		}
		last = revision
	}
}
