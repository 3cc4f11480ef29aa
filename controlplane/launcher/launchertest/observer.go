package launchertest

import (
	"context"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

// patience is how long the suite waits for what must come.
const patience = 2 * time.Minute

// Observer reads a launcher's facts for a test.
type Observer struct {
	t     *testing.T
	facts <-chan launcher.Fact
}

// Observe begins to read; it ends with the test.
func Observe(t *testing.T, l launcher.Launcher) *Observer {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	o := &Observer{t: t, facts: l.Observe(ctx)}
	t.Cleanup(func() {
		cancel()
		for range o.facts {
		}
	})
	return o
}

// Await returns the first fact that is as wanted.
func (o *Observer) Await(what string, wanted func(launcher.Fact) bool) launcher.Fact {
	o.t.Helper()
	timeout := time.After(patience)
	var last launcher.Fact
	for {
		select {
		case f, ok := <-o.facts:
			if !ok {
				o.t.Fatalf("facts ended before: %s; last was %+v", what, last)
			}
			if wanted(f) {
				return f
			}
			last = f
		case <-timeout:
			o.t.Fatalf("no fact within %s: %s; last was %+v, reason %v", patience, what, last, last.Reason)
		}
	}
}

// Ready awaits that generation to be ready. Its end before that is a fault.
func (o *Observer) Ready(id string, generation int64) launcher.Fact {
	o.t.Helper()
	f := o.Await("ready or ended", func(f launcher.Fact) bool {
		return f.InstanceID == id && f.Generation == generation && f.State != launcher.Starting
	})
	if f.State != launcher.Ready || f.Endpoint == "" {
		o.t.Fatalf("generation %d: %+v, reason %v; want it ready with an endpoint", generation, f, f.Reason)
	}
	return f
}

// Ended awaits the end of that generation.
func (o *Observer) Ended(id string, generation int64) launcher.Fact {
	o.t.Helper()
	return o.Await("ended", func(f launcher.Fact) bool {
		return f.InstanceID == id && f.Generation == generation && f.State == launcher.Ended
	})
}

// Initial reads the present state, up to Synced.
func (o *Observer) Initial() map[string]launcher.Fact {
	o.t.Helper()
	all := map[string]launcher.Fact{}
	o.Await("synced", func(f launcher.Fact) bool {
		if !f.Synced {
			all[f.InstanceID] = f
		}
		return f.Synced
	})
	return all
}
