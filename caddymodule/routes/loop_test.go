package routes_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/seed-dbc68772/slipway/caddymodule/routes"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/routing"
)

// relay is a source whose every loop begins with the same list, and gets what
// the test sends.
type relay struct {
	mu      sync.Mutex
	list    etcdstore.Batch
	batches chan etcdstore.Batch
	asked   atomic.Int32 // for a list
	newer   atomic.Bool
}

func (s *relay) Follow(ctx context.Context, _ string, c etcdstore.FeedConfig, sink func(etcdstore.Batch)) {
	s.mu.Lock()
	list := s.list
	s.mu.Unlock()
	c.Heard(true)
	sink(list)
	for {
		select {
		case b := <-s.batches:
			sink(b)
		case <-c.Relist:
			s.asked.Add(1)
		case <-ctx.Done():
			return
		}
	}
}

func (s *relay) ListAt(_ context.Context, _ string, _ int64, page func([]etcdstore.Event) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return page(s.list.Events)
}

func (s *relay) Newer(context.Context, string, int64) (bool, error) { return s.newer.Load(), nil }

// put makes the store's list hold n instances.
func (s *relay) put(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = etcdstore.Batch{Full: true, First: true, Reason: etcdstore.AtStart, Cluster: 1, Revision: int64(n)}
	for i := range n {
		s.list.Events = append(s.list.Events, numberedRecord(i, int64(i+1)))
	}
}

func numberedRecord(i int, revision int64) etcdstore.Event {
	return etcdstore.Event{Key: "routes/instance/" + numbered(i).String(), Revision: revision, Value: []byte(
		`{"v":1,"mode":"DOMAIN","status":"DEPLOYED","endpoint":"127.0.0.1:9000","generation":1,"visibility":"PUBLIC","wake":"visitors"}`)}
}

func numbered(i int) routing.ID {
	id, _ := routing.ParseID(fmt.Sprintf("%08x-1111-4222-8333-444444444444", i))
	return id
}

// newRelay has three instances.
func newRelay() *relay {
	s := &relay{batches: make(chan etcdstore.Batch)}
	s.put(3)
	return s
}

// startLoop runs a table of three instances, in a bubble.
func startLoop(t *testing.T, changed func(routes.Changes)) (*relay, *routes.Live, *observer.ObservedLogs) {
	t.Helper()
	s := newRelay()
	live, logs := start(t, s, changed)
	return s, live, logs
}

func start(t *testing.T, s routes.Source, changed func(routes.Changes)) (*routes.Live, *observer.ObservedLogs) {
	t.Helper()
	core, logs := observer.New(zap.ErrorLevel)
	live := routes.New(zap.New(core), changed)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); live.Run(ctx, s, routes.Config{}) }()
	t.Cleanup(func() { cancel(); <-done })
	synctest.Wait()
	return live, logs
}

func wantRoutes(t *testing.T, live *routes.Live, want int) {
	t.Helper()
	if got, _ := live.Table().Len(); got != want {
		t.Errorf("the table has %d routes, want %d", got, want)
	}
}

// TestAPoisonedChangeEndsNoEdge: whatever a change sets off, the last table
// stays, the log says so, and a list brings the table up to date.
func TestAPoisonedChangeEndsNoEdge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told atomic.Bool // of the changed instance
		var once sync.Once
		s, live, logs := startLoop(t, func(news routes.Changes) {
			if news.Revision == 4 {
				once.Do(func() { panic("poison") })
			}
			if slices.Contains(news.Instances, numbered(3)) {
				told.Store(true)
			}
		})
		wantRoutes(t, live, 3)
		s.put(4)
		s.batches <- etcdstore.Batch{Revision: 4, Events: []etcdstore.Event{numberedRecord(3, 4)}}
		synctest.Wait()
		wantRoutes(t, live, 4)
		if logs.FilterMessageSnippet("cannot be applied").Len() != 1 {
			t.Errorf("the log says %v", logs.All())
		}
		time.Sleep(time.Second) // the pause before the next loop is shorter
		synctest.Wait()
		if !told.Load() {
			t.Error("who waits for the changed instance is never told")
		}
		if got := live.Status().Restarts; got != 1 {
			t.Errorf("%d restarts", got)
		}
		s.batches <- etcdstore.Batch{Revision: 5, Events: []etcdstore.Event{numberedRecord(4, 5)}}
		synctest.Wait()
		wantRoutes(t, live, 5)
	})
}

// insistent is a feed that has one batch more for a loop that has panicked.
type insistent struct {
	*relay
	last etcdstore.Batch
	once sync.Once
}

func (s *insistent) Follow(ctx context.Context, prefix string, c etcdstore.FeedConfig, sink func(etcdstore.Batch)) {
	s.relay.Follow(ctx, prefix, c, sink)
	s.once.Do(func() { sink(s.last) })
}

// TestAfterAPanicNothingMoreIsTaken: what comes next lacks the change before it.
func TestAfterAPanicNothingMoreIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &insistent{relay: newRelay(), last: etcdstore.Batch{Revision: 5, Events: []etcdstore.Event{numberedRecord(4, 5)}}}
		live, _ := start(t, s, func(news routes.Changes) {
			if news.Revision == 4 {
				panic("poison")
			}
		})
		s.batches <- etcdstore.Batch{Revision: 4, Events: []etcdstore.Event{numberedRecord(3, 4)}}
		synctest.Wait()
		if got := live.Table().Revision(); got != 4 {
			t.Errorf("after revision 4 the loop that panicked over it takes %d", got)
		}
	})
}

// TestALoopThatStandsStillIsGivenUp: the next one has the store's routes, and
// the one before can change nothing when it goes on.
func TestALoopThatStandsStillIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		goOn := make(chan struct{})
		s, live, logs := startLoop(t, func(news routes.Changes) {
			if news.Revision == 4 {
				<-goOn
			}
		})
		s.batches <- etcdstore.Batch{Revision: 4, Events: []etcdstore.Event{numberedRecord(3, 4)}}
		s.put(6)
		time.Sleep(28 * time.Second)
		wantRoutes(t, live, 4)
		if logs.Len() > 0 {
			t.Errorf("too early it says %v", logs.All())
		}
		time.Sleep(12 * time.Second)
		synctest.Wait()
		wantRoutes(t, live, 6)
		if logs.FilterMessageSnippet("stands still").Len() != 1 {
			t.Errorf("the log says %v", logs.All())
		}
		last := live.Status().Last.Revision
		close(goOn)
		synctest.Wait()
		wantRoutes(t, live, 6)
		if got := live.Status(); got.Last.Revision != last || got.Restarts != 1 {
			t.Errorf("the loop that was given up goes on: %+v", got)
		}
		s.batches <- etcdstore.Batch{Revision: 7, Events: []etcdstore.Event{numberedRecord(6, 7)}}
		synctest.Wait()
		wantRoutes(t, live, 7)
	})
}

// TestTheAgeOfTheTableIsTold though the store answers every heartbeat.
func TestTheAgeOfTheTableIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, live, _ := startLoop(t, func(routes.Changes) { panic("always") })
		time.Sleep(time.Hour)
		if got := live.Status().Silence; got < 59*time.Minute {
			t.Errorf("nothing was applied for an hour, and it says %s", got)
		}
		if got := time.Since(live.Fresh()); got < 59*time.Minute {
			t.Errorf("nothing was applied for an hour, and the table passes for one of %s ago", got)
		}
		if got := live.Status().Restarts; got < 10 || got > 300 {
			t.Errorf("%d restarts in an hour", got)
		}
		wantRoutes(t, live, 3) // what a list brought before is served
	})
}

// TestASilentWatchIsNoticed: it is open, the store answers, and nothing comes.
func TestASilentWatchIsNoticed(t *testing.T) {
	for name, newer := range map[string]bool{"silent": true, "nothing to say": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, _, logs := startLoop(t, func(routes.Changes) {})
				s.newer.Store(newer)
				time.Sleep(7 * time.Minute)
				synctest.Wait()
				if (s.asked.Load() > 0) != newer || (logs.FilterMessageSnippet("does not tell of").Len() > 0) != newer {
					t.Errorf("%d lists asked for, log %v", s.asked.Load(), logs.All())
				}
			})
		})
	}
}

// TestARecordThatItsReaderStumblesOverIsRefused, and no other with it.
func TestARecordThatItsReaderStumblesOverIsRefused(t *testing.T) {
	read := routes.RefusePanics(func(e etcdstore.Event) (routing.Change, bool, error) {
		if string(e.Value) == "poison" {
			var none []int
			_ = none[len(e.Value)]
		}
		return etcdstore.RouteChange(e)
	})
	bad := numberedRecord(0, 1)
	bad.Value = []byte("poison")
	if _, ok, err := read(bad); ok || err == nil {
		t.Errorf("%v, %v", ok, err)
	}
	if _, ok, err := read(numberedRecord(0, 1)); !ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
}
