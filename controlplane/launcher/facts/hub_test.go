package facts_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/facts"
)

func TestObserversGetPresentStateThenSyncedThenChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := facts.New()
		defer h.Close()
		h.Publish(launcher.Fact{InstanceID: "b", Generation: 1})
		h.Publish(launcher.Fact{InstanceID: "a", Generation: 1})
		h.Publish(launcher.Fact{InstanceID: "gone", Generation: 1})
		h.Forget("gone")
		first, second := h.Observe(t.Context()), h.Observe(t.Context())
		for _, c := range []<-chan launcher.Fact{first, second} {
			for _, want := range []string{"a", "b", ""} {
				f := <-c
				if f.InstanceID != want || f.Synced != (want == "") {
					t.Errorf("got %+v, want instance %q", f, want)
				}
			}
		}
		h.Publish(launcher.Fact{InstanceID: "a", Generation: 2})
		for _, c := range []<-chan launcher.Fact{first, second} {
			if f := <-c; f.Generation != 2 || f.At.IsZero() {
				t.Errorf("got %+v, want the change", f)
			}
		}
	})
}

func TestASlowReaderMissesOnlyWhatIsStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := facts.New()
		defer h.Close()
		c := h.Observe(t.Context())
		for g := range 1000 {
			for i := range 10 {
				h.Publish(launcher.Fact{InstanceID: fmt.Sprint(i), Generation: int64(g)})
			}
		}
		latest := map[string]int64{}
		for n := range 13 {
			synctest.Wait()
			select {
			case f := <-c:
				latest[f.InstanceID] = f.Generation
			default:
				if n < 11 {
					t.Fatalf("only %d facts", n)
				}
			}
		}
		for i := range 10 {
			if latest[fmt.Sprint(i)] != 999 {
				t.Errorf("instance %d ends at %d", i, latest[fmt.Sprint(i)])
			}
		}
	})
}

func TestObserveEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := facts.New()
		ctx, cancel := context.WithCancel(t.Context())
		byContext, byClose := h.Observe(ctx), h.Observe(t.Context())
		cancel()
		for range byContext {
		}
		h.Close()
		for range byClose {
		}
		for range h.Observe(t.Context()) {
			t.Error("a closed hub has no facts")
		}
	})
}
