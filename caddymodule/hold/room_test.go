package hold

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/routing"
)

// away is a house whose store does not answer.
type away struct{ status routing.Status }

func (h *away) Instance(id routing.ID) *routing.Instance {
	return &routing.Instance{ID: id, Status: h.status}
}
func (h *away) Progress(*routing.Instance) *controlplane.Progress      { return nil }
func (h *away) Limited(controlplane.Visitor) (until time.Time, b bool) { return until, false }
func (h *away) Wake(context.Context, controlplane.WakeIntent) error    { return errors.New("away") }

// The room is empty once everybody has left, however they left.
func TestNothingStaysInTheRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var h away
		room := New(&h)
		for i := range 256 {
			h.status = []routing.Status{routing.Suspended, routing.Pending, routing.Failed}[i%3]
			from := controlplane.Visitor{Source: fmt.Sprintf("203.0.113.%d", i)}
			_, err := room.Wait(t.Context(), &Visit{Instance: routing.ID{byte(i)}, Visitor: from, Limit: time.Second})
			if err == nil {
				t.Fatal("served")
			}
		}
		if len(room.groups) != 0 || len(room.sources) != 0 || room.Waiters() != 0 {
			t.Errorf("%d groups, %d sources and %d waiters stay", len(room.groups), len(room.sources), room.Waiters())
		}
		room.Changed([]routing.ID{{1}}) // nobody is there
	})
}
