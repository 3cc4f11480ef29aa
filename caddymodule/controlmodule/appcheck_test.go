package controlmodule

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/offer"
)

// changing are offers whose images change.
type changing struct {
	controlplane.Offers // none of its other methods is called
	now                 atomic.Pointer[offer.Offers]
}

func (c *changing) Unmet(app *controlplane.App) []controlplane.Reason { return c.now.Load().Unmet(app) }

func (c *changing) to(t *testing.T, images ...string) {
	t.Helper()
	o, err := offer.New(offer.Config{Images: images})
	if err != nil {
		t.Fatal(err)
	}
	c.now.Store(o)
}

// preconditions are the details of the audit's records of checks, which must be
// the system's.
func (h *house) preconditions(t *testing.T, app string) (found []string) {
	t.Helper()
	list, err := h.Store.Audit(t.Context(), controlplane.Page{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list.Items {
		if r.Action == "app.preconditions" && r.Object == "app/"+app {
			if r.Actor != "system" {
				t.Errorf("%s has checked it", r.Actor)
			}
			found = append(found, r.Detail)
		}
	}
	return found
}

// What an app needs is checked when a control plane begins to lead, and again and
// again (spec apps.md §3).
func TestTheLeaderChecksAppsAgainAndAgain(t *testing.T) {
	if checkAppsEvery != 10*time.Minute {
		t.Errorf("apps are checked every %s", checkAppsEvery)
	}
	h := newHouse(t, "one", "here")
	offered := new(changing)
	offered.to(t, `example\.com/.*`)
	h.config.Offers, h.config.Launchers, h.appsChecked = offered, h.running, 50*time.Millisecond
	h.modules["yard"] = module{modes: []controlplane.AppMode{controlplane.Container}}
	app := &controlplane.App{
		ID: uuid.NewString(), Name: "box", Version: "1.0.0", Owner: "ada", Visibility: controlplane.Private, AppMode: controlplane.Container,
		Manifest: controlplane.Manifest{Runtime: controlplane.Runtime{CustomImage: "example.com/box:1"}},
		Unmet:    []controlplane.ReasonCode{controlplane.LauncherDown},
	}
	update(t, h.Store, func(tx controlplane.Tx) error { return tx.Put(app) })
	h.run(t)
	eventually(t, "it is checked at once", func() bool { return len(h.preconditions(t, app.ID)) == 1 })
	offered.to(t)
	eventually(t, "it is checked again", func() bool { return len(h.preconditions(t, app.ID)) == 2 })
	said := strings.Join(h.preconditions(t, app.ID), "\n")
	if !strings.Contains(said, "launcher_down → none") || !strings.Contains(said, "none → image_not_allowed") {
		t.Errorf("the audit says %s", said)
	}
}
