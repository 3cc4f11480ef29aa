package hold_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-dbc68772/slipway/caddymodule/hold"
	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/routing"
)

// quiet is a house where nobody is to be woken.
type quiet struct {
	table *atomic.Pointer[routing.Instance]
	t     *testing.T
}

func (q quiet) Instance(routing.ID) *routing.Instance                  { return q.table.Load() }
func (q quiet) Progress(*routing.Instance) *controlplane.Progress      { return nil }
func (q quiet) Limited(controlplane.Visitor) (until time.Time, b bool) { return until, false }
func (q quiet) Wake(context.Context, controlplane.WakeIntent) error {
	q.t.Error("news woke the instance")
	return nil
}

func TestNewsIsWhatTheTableHasNext(t *testing.T) {
	was := &routing.Instance{ID: routing.ID{1}, Generation: 1}
	next := &routing.Instance{ID: was.ID, Generation: 2}
	for name, c := range map[string]struct {
		after time.Duration // when the table changes; 0: never
		then  *routing.Instance
		want  *routing.Instance
		took  time.Duration
	}{
		"a new generation": {300 * time.Millisecond, next, next, 300 * time.Millisecond},
		"gone":             {300 * time.Millisecond, nil, nil, 300 * time.Millisecond},
		"no news":          {0, nil, was, time.Second},
		"too late":         {2 * time.Second, next, was, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var table atomic.Pointer[routing.Instance]
				table.Store(was)
				room := hold.New(quiet{&table, t})
				if c.after > 0 {
					time.AfterFunc(c.after, func() {
						table.Store(c.then)
						room.Changed([]routing.ID{was.ID})
					})
				}
				began := time.Now()
				if got := room.News(t.Context(), was, time.Second); got != c.want {
					t.Errorf("news %+v, want %+v", got, c.want)
				}
				if took := time.Since(began); took != c.took {
					t.Errorf("after %s, want %s", took, c.took)
				}
			})
		})
	}
}
