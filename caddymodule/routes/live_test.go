package routes_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/caddymodule/routes"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/routing"
)

func TestAListIsADifference(t *testing.T) {
	y := newYard(t, routes.Config{})
	y.list(5, etcdstore.AtStart, append(puts(0, 10, "ann", 5), alias("a", 1, 5), alias("b", 2, 5))...)
	y.wantLen(10, 2)
	if n := y.took(); n != 10 {
		t.Errorf("told of %d changes, want 10", n)
	}
	before := y.Table()
	again := append(puts(0, 9, "ann", 5), put(10, "new", 8), alias("a", 2, 8))
	again[3] = put(3, "bob", 7)
	y.sink(etcdstore.Batch{Revision: 9, Full: true, First: true, More: true, Cluster: 1, Reason: etcdstore.Compacted, Events: again[:4]})
	if y.Table() != before {
		t.Error("half a list is visible")
	}
	y.sink(etcdstore.Batch{Revision: 9, Full: true, Cluster: 1, Reason: etcdstore.Compacted, Events: again[4:]})
	y.wantLen(10, 1)
	for n := range 9 {
		if kept := y.Table().Instance(id(n)) == before.Instance(id(n)); kept == (n == 3) {
			t.Errorf("instance %d: kept %v", n, kept)
		}
	}
	if y.Table().Instance(id(9)) != nil || y.Table().Instance(id(3)).Owner != "bob" || y.Table().Alias("a").Instance != id(2) {
		t.Error("the list did not change what it should")
	}
	if n := y.took(); n != 3 {
		t.Errorf("told of %d changes, want 3: changed, added, gone", n)
	}
	if s := y.Status(); s.Revision != 9 || s.Lists[etcdstore.Compacted] != 1 || s.Origin != routes.FromStore || s.Cluster != 1 || s.Last.Revision != 9 {
		t.Errorf("status %+v", s)
	}
}

// What else edges obey follows lists and changes as routes do. Removals of it are
// never held: most take a right away.
func TestWhatElseEdgesObey(t *testing.T) {
	y := newYard(t, routes.Config{})
	want := func(policies, records int) {
		t.Helper()
		if n, m := y.Table().LenOthers(); n != policies || m != records {
			t.Errorf("%d policies and %d records, want %d and %d", n, m, policies, records)
		}
	}
	all := puts(0, 30, "ann", 5)
	y.list(5, etcdstore.AtStart, append(all, policy(0, "ann", 5), policy(1, "bob", 5), revoked(1, 5), revoked(2, 5))...)
	want(2, 2)
	p, r := y.Table().Policy("0"), y.Table().Record("revoked/user/2")
	if p == nil || p.Owner != "ann" || !p.Managed || !p.Identity || p.Visibility != routing.AllUsers || strings.Join(p.VisitorRoles, " ") != "a b" {
		t.Errorf("policy %+v", p)
	}
	if r == nil || r.Epoch != 2 {
		t.Errorf("record %+v", r)
	}
	y.watch(6, policy(0, "eve", 6), etcdstore.Event{Key: "routes/policy/1", Value: []byte(`{"lifecycle":"x"}`), Revision: 6},
		etcdstore.Event{Key: "routes/settings", Value: []byte(`{"base_url_sharing":true}`), Revision: 6})
	want(2, 3)
	if got := y.Table().Policy("0").Owner + y.Table().Policy("1").Owner; got != "evebob" || y.Status().RefusedNow != 1 {
		t.Errorf("owners %s, refused %d", got, y.Status().RefusedNow)
	}
	kept := y.Table().Policy("0")
	y.list(7, etcdstore.Asked, append(puts(0, 1, "ann", 5), policy(0, "eve", 6))...)
	want(1, 0)
	if y.Table().Policy("0") != kept {
		t.Error("what is the same was replaced")
	}
	if held := y.Status().Held; held != 29 {
		t.Errorf("%d are held, want the 29 instances", held)
	}
}

func TestABrokenOffListLeavesNothing(t *testing.T) {
	y := newYard(t, routes.Config{})
	y.sink(etcdstore.Batch{Revision: 4, Full: true, First: true, More: true, Cluster: 1, Events: puts(0, 5, "ann", 4)})
	y.list(6, etcdstore.AtStart, puts(2, 4, "ann", 4)...)
	y.wantLen(2, 0)
}

func TestPoisonIsRefusedOnceAndTheLastGoodStays(t *testing.T) {
	dir := t.TempDir()
	y := newYard(t, routes.Config{Snapshot: dir, Prefix: "/p/"})
	y.list(5, etcdstore.AtStart, append(puts(0, 3, "ann", 5), alias("a", 1, 5))...)
	big := put(1, strings.Repeat("x", 64<<10), 6)
	badAlias := etcdstore.Event{Key: "routes/alias/a", Value: []byte(`{"v":9}`), Revision: 6}
	upper := etcdstore.Event{Key: strings.ToUpper("routes/instance/") + id(2).String(), Value: []byte("x"), Revision: 6}
	y.watch(6, poison(0, 6), big, badAlias, upper, put(2, "bob", 6))
	good := func(y *yard, when string) {
		t.Helper()
		table := y.Table()
		if table.Instance(id(0)).Owner != "ann" || table.Instance(id(1)).Owner != "ann" || table.Instance(id(2)).Owner != "bob" || table.Alias("a").Instance != id(1) {
			t.Errorf("%s: the last good records are lost", when)
		}
		y.wantLen(3, 1)
		if s := y.Status(); s.RefusedNow != 3 || s.RefusedTotal != 3 {
			t.Errorf("%s: %d refused now, %d in all, want 3", when, s.RefusedNow, s.RefusedTotal)
		}
		if n := y.logs.FilterMessageSnippet("refused, the last").Len(); n != 3 {
			t.Errorf("%s: %d lines in the log, want 3", when, n)
		}
	}
	good(y, "after the watch")
	all := []etcdstore.Event{poison(0, 6), big, badAlias, put(2, "bob", 6)}
	y.list(7, etcdstore.Compacted, all...)
	good(y, "after a list")
	y.stop()
	y = newYard(t, routes.Config{Snapshot: dir, Prefix: "/p/"})
	y.list(8, etcdstore.AtStart, all...)
	good(y, "after a restart")
	y.watch(9, put(0, "cid", 9), gone(1, 9))
	y.wantLen(2, 1)
	if s := y.Status(); s.RefusedNow != 1 || y.Table().Instance(id(0)).Owner != "cid" {
		t.Errorf("a good record does not count: %+v", s)
	}
}

func TestAnotherSpellingOfAnIDIsNoRecordOfIt(t *testing.T) {
	y := newYard(t, routes.Config{})
	abc, _ := routing.ParseID("abcdefab-1111-4222-8333-444444444444")
	y.list(5, etcdstore.AtStart, etcdstore.Event{Key: etcdstore.InstanceRouteKey(abc), Value: []byte(record("ann")), Revision: 5})
	other := "routes/instance/" + strings.ToUpper(abc.String())
	y.watch(6, etcdstore.Event{Key: other, Value: []byte(record("eve")), Revision: 6})
	y.watch(7, etcdstore.Event{Key: other, Revision: 7})
	if in := y.Table().Instance(abc); in == nil || in.Owner != "ann" {
		t.Errorf("instance %+v", in)
	}
	if s := y.Status(); s.RefusedNow != 0 || s.RefusedTotal != 1 {
		t.Errorf("status %+v", s)
	}
}

func TestMassRemovalsAreHeld(t *testing.T) {
	start := func(t *testing.T, c routes.Config) *yard {
		y := newYard(t, c)
		y.list(5, etcdstore.AtStart, puts(0, 100, "ann", 5)...)
		y.list(6, etcdstore.Restored, append(puts(0, 50, "bob", 6), put(200, "new", 6))...)
		y.wantLen(101, 0)
		if in := y.Table().Instance(id(0)); in.Owner != "bob" {
			t.Error("a change was held")
		}
		if s := y.Status(); s.Held != 50 || s.HeldUntil.IsZero() {
			t.Errorf("status %+v", s)
		}
		return y
	}
	t.Run("until the next list", func(t *testing.T) {
		y := start(t, routes.Config{})
		y.list(7, etcdstore.Asked, append(puts(0, 50, "bob", 6), put(60, "back", 7))...)
		y.wantLen(51, 0)
		if s := y.Status(); s.Held != 0 || y.Table().Instance(id(60)).Owner != "back" {
			t.Errorf("status %+v", s)
		}
	})
	t.Run("until acknowledged", func(t *testing.T) {
		y := start(t, routes.Config{})
		y.took()
		y.watch(7, gone(99, 7), put(98, "alive", 7))
		y.wantLen(100, 0)
		if n := y.Acknowledge(); n != 48 {
			t.Errorf("%d were held, want 48", n)
		}
		y.wantLen(52, 0)
		if n := y.took(); n != 50 {
			t.Errorf("told of %d changes, want 50", n)
		}
	})
	t.Run("for a while", func(t *testing.T) {
		y := start(t, routes.Config{HoldRemovals: 50 * time.Millisecond})
		y.eventually("the removals", func() bool { n, _ := y.Table().Len(); return n == 51 })
	})
	t.Run("and done while a list comes in", func(t *testing.T) {
		y := start(t, routes.Config{})
		list := append(puts(0, 50, "bob", 6), put(60, "ann", 5), put(200, "new", 6))
		y.sink(etcdstore.Batch{Revision: 7, Full: true, First: true, More: true, Cluster: 1, Events: list[:20]})
		if n := y.Acknowledge(); n != 50 {
			t.Errorf("%d were held, want 50", n)
		}
		y.wantLen(51, 0)
		if n := y.Acknowledge(); n != 0 {
			t.Errorf("%d are held still", n)
		}
		y.sink(etcdstore.Batch{Revision: 7, Full: true, Cluster: 1, Events: list[20:]})
		y.wantLen(52, 0)
		if s := y.Status(); s.Held != 0 {
			t.Errorf("status %+v", s)
		}
	})
	t.Run("but few are not", func(t *testing.T) {
		for name, left := range map[string]int{"30 of 100": 70, "20 of 20": 0} {
			y := newYard(t, routes.Config{})
			all := 100
			if left == 0 {
				all = 20
			}
			y.list(5, etcdstore.AtStart, puts(0, all, "ann", 5)...)
			y.list(6, etcdstore.Restored, puts(0, left, "ann", 5)...)
			if n, _ := y.Table().Len(); n != left {
				t.Errorf("%s: %d are left, want %d", name, n, left)
			}
		}
	})
}

func TestDeletionsOfTheWatchAreDoneAtOnce(t *testing.T) {
	deletions := func(from, to int, revision int64) (events []etcdstore.Event) {
		for n := from; n < to; n++ {
			events = append(events, gone(n, revision))
		}
		return events
	}
	for name, c := range map[string]struct {
		events []etcdstore.Event
		left   int
		held   int
	}{
		"a whole transaction":               {deletions(0, 128, 6), 172, 0},
		"many revisions":                    {append(deletions(0, 128, 6), deletions(128, 256, 7)...), 44, 0},
		"a range":                           {deletions(0, 300, 6), 300, 300},
		"a range, and some are back":        {append(deletions(0, 300, 6), put(7, "back", 7)), 300, 299},
		"a range, and one is deleted again": {append(deletions(0, 300, 6), gone(7, 7)), 299, 299},
	} {
		t.Run(name, func(t *testing.T) {
			y := newYard(t, routes.Config{})
			y.list(5, etcdstore.AtStart, puts(0, 300, "ann", 5)...)
			y.watch(7, c.events...)
			y.wantLen(c.left, 0)
			if s := y.Status(); s.Held != c.held {
				t.Errorf("%d are held, want %d", s.Held, c.held)
			}
		})
	}
}

func TestDriftIsFoundAndLoggedAndListedAnew(t *testing.T) {
	y := newYard(t, routes.Config{VerifyEvery: time.Millisecond})
	truth := append(puts(0, 5, "ann", 5), poison(9, 5), policy(1, "ann", 5), revoked(1, 5))
	var mu sync.Mutex
	asked := 0
	y.listAt = func(revision int64) ([]etcdstore.Event, error) {
		mu.Lock()
		defer mu.Unlock()
		asked++
		if revision != 5 {
			t.Errorf("listed at revision %d, want the table's", revision)
		}
		return truth, nil
	}
	y.list(5, etcdstore.AtStart, truth...)
	y.eventually("comparisons", func() bool { mu.Lock(); defer mu.Unlock(); return asked > 3 })
	if s := y.Status(); s.Drift != 0 {
		t.Fatalf("drift out of nothing: %+v", s)
	}
	mu.Lock()
	truth = append(puts(1, 4, "ann", 5), put(4, "eve", 5), put(7, "new", 5), poison(9, 5), policy(1, "eve", 5))
	mu.Unlock()
	select {
	case <-y.config.Relist:
	case <-time.After(time.Minute):
		t.Fatal("no list was asked for")
	}
	if s := y.Status(); s.Drift < 5 {
		t.Errorf("drift %d, want 2 gone, 1 new, 2 changed", s.Drift)
	}
	if y.logs.FilterMessageSnippet("not what the store says").Len() == 0 {
		t.Error("it is not logged")
	}
}
