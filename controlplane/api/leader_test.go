package api_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

func TestWhoLeadsIsToldToAdmins(t *testing.T) {
	h := newHouse(t)
	if a := h.call("GET", "/api/v1/leader", h.admin, ""); a.StatusCode != 503 {
		t.Errorf("while nobody leads: %d %s", a.StatusCode, a.body)
	}
	ctx, cancel := context.WithCancel(t.Context())
	leads := make(chan controlplane.Leadership, 1)
	var campaign sync.WaitGroup
	campaign.Go(func() {
		h.store.Campaign(ctx, controlplane.Candidate{
			Name: "one", Address: "one.example:9000", Follow: func(string) {},
			Lead: func(ctx context.Context, l controlplane.Leadership) { leads <- l; <-ctx.Done() },
		})
	})
	defer campaign.Wait()
	defer cancel()
	epoch := (<-leads).Epoch
	var got v1.Leader
	a := h.call("GET", "/api/v1/leader", h.admin, "")
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || a.StatusCode != 200 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	if got.Name != "one" || got.Address == nil || *got.Address != "one.example:9000" || got.Epoch != epoch || got.Since.IsZero() {
		t.Errorf("told is %s, and epoch %d leads", a.body, epoch)
	}
	if a := h.call("GET", "/api/v1/leader", h.user, ""); a.StatusCode != 403 {
		t.Errorf("a user is told: %d %s", a.StatusCode, a.body)
	}
}
