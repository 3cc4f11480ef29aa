package hold

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-dbc68772/slipway/routing"
)

// The room is empty once everybody has left, however they left.
func TestNothingStaysInTheRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		status := routing.Suspended
		room := New(
			func(id routing.ID) *routing.Instance { return &routing.Instance{ID: id, Status: status} },
			func(context.Context, routing.ID) error { return errors.New("away") })
		for i := range 256 {
			status = []routing.Status{routing.Suspended, routing.Pending, routing.Failed}[i%3]
			_, err := room.Wait(t.Context(), routing.ID{byte(i)}, time.Second)
			if err == nil {
				t.Fatal("served")
			}
		}
		if n := len(room.groups); n != 0 {
			t.Errorf("%d groups stay", n)
		}
		room.Changed([]routing.ID{{1}}) // nobody is there
	})
}
