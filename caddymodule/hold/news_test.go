package hold_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-dbc68772/slipway/caddymodule/hold"
	"github.com/seed-dbc68772/slipway/routing"
)

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
				room := hold.New(
					func(routing.ID) *routing.Instance { return table.Load() },
					func(context.Context, routing.ID) error { t.Error("news woke the instance"); return nil },
				)
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
