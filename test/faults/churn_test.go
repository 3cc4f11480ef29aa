package faults

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// TestAThousandChangesASecondCloseNoWebSocket: routes come, go and change, those
// of the instances with open WebSockets too, and Caddy reloads in the middle.
func TestAThousandChangesASecondCloseNoWebSocket(t *testing.T) {
	slow(t)
	const rate, workers, others = 1000, 50, 5000
	s, endpoints := newStore(t), apps(t, 4)
	targets := []int{0, 1, 2, 3}
	var initial [][2]string
	for i := range others {
		initial = append(initial, running(i, endpoints[i%len(endpoints)]))
	}
	s.write(initial...)
	e := newEdge(t, "edge-1", s.endpoint())
	e.start()
	held := open(t, 200, 0, targets, e)
	c := visit(t, 8, targets, e)

	during := lasting(8*time.Second, 5*time.Minute)
	began := time.Now()
	var all sync.WaitGroup
	for w := range workers {
		all.Go(func() {
			tick := time.NewTicker(time.Second * workers / rate)
			defer tick.Stop()
			for n := 0; time.Since(began) < during; n++ {
				<-tick.C
				if err := s.change(w, n, others, endpoints); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	time.Sleep(during / 2)
	slipwaytest.Reload(t, e.dir)
	all.Wait()
	took := time.Since(began)
	s.write(running(others+1, endpoints[0]))
	behind := eventually(t, "the last change arrives", func() bool { return e.get(host(others+1), "/").body == "app 0" })
	if behind > 2*time.Second {
		t.Errorf("the edge is %s behind", behind)
	}
	changes := e.metric("slipway_edge_applied_revision")
	held.leave()
	held.wantNone(t)
	c.leave()
	c.wantNone(t)
	if done := changes / took.Seconds(); done < rate/2 {
		t.Errorf("only %.0f changes a second were made", done)
	}
	figure(t, "%.0f changes in %s, and a reload: %s WebSockets, %s requests; the last change arrives after %s",
		changes, took.Round(time.Millisecond), &held.tally, &c.tally, behind.Round(time.Millisecond))
}

// change makes one change: of an instance that is there, of one that comes and
// goes, or of an alias.
func (s *store) change(worker, n, others int, endpoints []string) error {
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	var pair [2]string
	switch turn := worker + n; turn % 4 {
	case 0: // of one that has WebSockets
		i := turn / 4 % len(endpoints)
		pair = route(i, "DEPLOYED", endpoints[i], fmt.Sprint("owner-", n))
	case 1:
		i := 10 + (worker*997+n)%(others-10)
		pair = route(i, "DEPLOYED", endpoints[n%len(endpoints)], fmt.Sprint("owner-", n))
	case 2:
		if pair = running(2*others+worker, endpoints[0]); n%8 < 4 {
			pair = [2]string{pair[0], ""}
		}
	case 3:
		pair = [2]string{fmt.Sprintf("routes/alias/churn-%d", worker), fmt.Sprintf(`{"v":1,"instance_id":%q}`, id(n%others))}
	}
	key := etcdstore.DefaultPrefix + pair[0]
	op := clientv3.OpPut(key, pair[1])
	if pair[1] == "" {
		op = clientv3.OpDelete(key)
	}
	_, err := s.client.Do(ctx, op)
	return err
}
