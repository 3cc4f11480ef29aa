package etcdstore_test

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
)

// candidate is a control plane that campaigns by a store of its own.
type candidate struct {
	name  string
	store *etcdstore.Store
	terms chan *term // each as it begins
	stop  func()     // returns when it leads no more

	follows atomic.Value // string: the last leader that it was told
}

// term is one leadership of a candidate; it lasts until its context ends.
type term struct {
	controlplane.Leadership
	ctx    context.Context
	resign context.CancelFunc // lead returns
}

func (w *world) campaign(name string, store *etcdstore.Store) *candidate {
	w.Helper()
	c := &candidate{name: name, store: store, terms: make(chan *term, 16)}
	c.follows.Store("")
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		store.Campaign(ctx, controlplane.Candidate{
			Name: name, Address: name + ".example:9000",
			Follow: func(leader string) { c.follows.Store(leader) },
			Lead: func(ctx context.Context, l controlplane.Leadership) {
				own, resign := context.WithCancel(ctx)
				defer resign()
				c.terms <- &term{l, ctx, resign}
				<-own.Done()
			},
		})
	})
	c.stop = sync.OnceFunc(func() { cancel(); running.Wait() })
	w.Cleanup(c.stop)
	return c
}

// leads is the candidate's next term.
func (c *candidate) leads(t *testing.T) *term {
	t.Helper()
	select {
	case l := <-c.terms:
		return l
	case <-time.After(30 * time.Second):
		t.Fatalf("%s does not lead", c.name)
		return nil
	}
}

// first is the next term of any of them, and whose it is.
func first(t *testing.T, of ...*candidate) (*candidate, *term) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		for _, c := range of {
			select {
			case l := <-c.terms:
				return c, l
			default:
			}
		}
	}
	t.Fatal("nobody leads")
	return nil, nil
}

// over waits for the end of a term.
func (l *term) over(t *testing.T) {
	t.Helper()
	select {
	case <-l.ctx.Done():
	case <-time.After(30 * time.Second):
		t.Fatal("it still leads")
	}
}

// write is a transaction of the leader.
func (l *term) write(ctx context.Context, tag string) error {
	_, err := l.Store.Update(ctx, func(tx controlplane.Tx) error { return tx.Put(&controlplane.Tag{Name: tag}) })
	return err
}

// leader is what the key says of who leads.
func (w *world) leader() (l struct {
	Name, Address string
	Since         time.Time
	Epoch         int64
}) {
	w.Helper()
	if raw := w.raw("leader/current"); raw != "" {
		if err := json.Unmarshal([]byte(raw), &l); err != nil {
			w.Fatal(err)
		}
	}
	return l
}

func TestOneLeadsAndTheNextFollowsAtOnce(t *testing.T) {
	w := newWorld(t)
	one := w.campaign("one", etcdtest.Shared(t).Open(t))
	l := one.leads(t)
	if got := w.leader(); got.Name != "one" || got.Address != "one.example:9000" || got.Epoch != l.Epoch || time.Since(got.Since) > time.Minute {
		t.Errorf("the key says %+v", got)
	}
	told, err := w.Leader(t.Context())
	if err != nil || told == nil || told.Name != "one" || told.Address != "one.example:9000" || told.Epoch != l.Epoch || !told.Since.Equal(w.leader().Since) {
		t.Errorf("told is %+v, %v", told, err)
	}
	two := w.campaign("two", etcdtest.Shared(t).Open(t))
	w.eventually("two follows one", func() bool { return two.follows.Load() == "one" })
	if err := l.write(t.Context(), "by-one"); err != nil {
		t.Errorf("the leader cannot write: %v", err)
	}
	one.stop()
	if got := w.leader(); got.Name == "one" {
		t.Error("after a graceful end the next one has to wait for the lease")
	}
	next := two.leads(t)
	if next.Epoch <= l.Epoch {
		t.Errorf("epoch %d comes after %d", next.Epoch, l.Epoch)
	}
	wantCode(t, l.write(t.Context(), "late"), controlplane.CodeDeposed)
	if err := next.write(t.Context(), "by-two"); err != nil {
		t.Errorf("the next leader cannot write: %v", err)
	}
	two.stop()
	if got := w.raw("leader/current"); got != "" {
		t.Errorf("nobody leads, and the key says %s", got)
	}
	if told, err := w.Leader(t.Context()); told != nil || err != nil {
		t.Errorf("nobody leads, and told is %+v, %v", told, err)
	}
}

func TestALeaderThatGivesUpLeavesItToOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.campaign("one", etcdtest.Shared(t).Open(t))
	l := one.leads(t)
	two := w.campaign("two", etcdtest.Shared(t).Open(t))
	w.eventually("two follows one", func() bool { return two.follows.Load() == "one" })
	l.resign()
	two.leads(t)
	two.stop()
	one.leads(t)
}

func TestADeletedKeyEndsALeadership(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := w.campaign("one", etcdtest.Shared(t).Open(t))
	l := one.leads(t)
	if _, err := w.client.Delete(t.Context(), w.prefix+"leader/current"); err != nil {
		t.Fatal(err)
	}
	// The store knows it at once, whatever the leader knows.
	wantCode(t, l.write(t.Context(), "late"), controlplane.CodeDeposed)
	wantCode(t, l.Store.(*etcdstore.Store).MarkRoutes(t.Context(), w.put(newApp("x"))), controlplane.CodeDeposed)
	l.over(t)
	if again := one.leads(t); again.Epoch <= l.Epoch {
		t.Errorf("epoch %d comes after %d", again.Epoch, l.Epoch)
	}
}

func TestVacateEndsALeadershipThatNobodyHolds(t *testing.T) {
	w := newWorld(t)
	w.rawPut("leader/current", `{"v":1,"name":"killed","epoch":7}`)
	one := w.campaign("one", etcdtest.Shared(t).Open(t))
	w.eventually("it follows", func() bool { return one.follows.Load() == "killed" })
	if err := w.Vacate(t.Context()); err != nil {
		t.Fatal(err)
	}
	one.leads(t)
}

// A store that was restored, or is new, has forgotten epochs; launchers have not.
func TestEpochsGrowOverARestoredBackup(t *testing.T) {
	t.Parallel()
	server := etcdtest.New(t)
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := worldOn(t, server)
	w.put(newApp("x"))
	server.Stop()
	restore := server.Backup(t)
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	one := w.campaign("one", server.Open(t))
	l := one.leads(t)
	server.Stop()
	restore()
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.over(t)
	again := one.leads(t)
	if again.Epoch <= l.Epoch {
		t.Errorf("after the restore epoch %d comes after %d", again.Epoch, l.Epoch)
	}
	wantCode(t, l.write(t.Context(), "late"), controlplane.CodeDeposed)
	if err := again.write(t.Context(), "now"); err != nil {
		t.Error(err)
	}
}

func TestAStoreThatIsAwayEndsALeadershipAndComesBack(t *testing.T) {
	t.Parallel()
	server := etcdtest.New(t)
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := worldOn(t, server)
	one, two := w.campaign("one", server.Open(t)), w.campaign("two", server.Open(t))
	_, l := first(t, one, two)
	server.Stop()
	began := time.Now()
	l.over(t)
	if took := time.Since(began); took > 6*time.Second {
		t.Errorf("it gave up after %s, when its lease may have ended", took)
	}
	wantCode(t, l.write(t.Context(), "late"), controlplane.CodeDeposed)
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, next := first(t, one, two)
	if next.Epoch <= l.Epoch {
		t.Errorf("epoch %d comes after %d", next.Epoch, l.Epoch)
	}
}

// openBy opens a store of the test's own prefix by a line.
func openBy(t *testing.T, wire *etcdtest.Line) *etcdstore.Store {
	t.Helper()
	store, err := etcdstore.Open(etcdstore.Config{Endpoints: []string{wire.Endpoint()}, Prefix: etcdtest.Prefix(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func TestALeaderThatIsCutOffGivesUpBeforeAnotherLeads(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]func(*etcdtest.Line){"connections end": (*etcdtest.Line).Cut, "nothing arrives": (*etcdtest.Line).Hold} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := etcdtest.Shared(t)
			w, wire := newWorld(t), etcdtest.NewLine(t, server.Endpoint())
			one := w.campaign("one", openBy(t, wire))
			l := one.leads(t)
			two := w.campaign("two", server.Open(t))
			w.eventually("two follows one", func() bool { return two.follows.Load() == "one" })
			fault(wire)
			began := time.Now()
			next := two.leads(t)
			took := time.Since(began)
			if l.ctx.Err() == nil {
				t.Error("two lead at once")
			}
			t.Logf("figure: %s: the next leads after %s", name, took.Round(10*time.Millisecond))
			wire.Mend()
			w.eventually("one follows two", func() bool { return one.follows.Load() == "two" })
			wantCode(t, l.write(t.Context(), "late"), controlplane.CodeDeposed)
			if next.ctx.Err() != nil {
				t.Error("the next one leads no more")
			}
		})
	}
}

// A transaction that was on its way when its leader was deposed arrives in vain.
func TestAWriteThatArrivesLateIsRefused(t *testing.T) {
	t.Parallel()
	server := etcdtest.Shared(t)
	w, wire := newWorld(t), etcdtest.NewLine(t, server.Endpoint())
	one := w.campaign("one", openBy(t, wire))
	l := one.leads(t)
	tag := &controlplane.Tag{Name: "late"}
	var attempts atomic.Int32
	done := make(chan error, 1)
	go func() {
		_, err := l.Store.Update(context.WithoutCancel(l.ctx), func(tx controlplane.Tx) error {
			if attempts.Add(1) == 1 {
				if _, err := tx.Tag(tag.Name); controlplane.CodeOf(err) != controlplane.CodeNotFound {
					return fmt.Errorf("the tag: %w", err)
				}
				wire.Hold()
			}
			return tx.Put(tag)
		})
		done <- err
	}()
	two := w.campaign("two", server.Open(t))
	two.leads(t)
	wire.Mend()
	wantCode(t, <-done, controlplane.CodeDeposed)
	if w.raw("tags/late") != "" {
		t.Error("it was written")
	}
}

// register is what the leaders write: the value of one tag's title.
type register struct {
	write bool
	value string
}

var registerModel = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		in := input.(register)
		if in.write {
			return true, in.value
		}
		return output.(string) == state.(string), state
	},
	DescribeOperation: func(input, output any) string {
		if in := input.(register); in.write {
			return "write " + in.value
		}
		return "read " + output.(string)
	},
}

// TestLeadersNeverWriteOverEachOther: three candidates are killed, held and cut
// off in turn while each writes whenever it believes that it leads, each value
// with its epoch. The history of writes and reads is linearizable, and no value
// of an older epoch follows one of a newer.
func TestLeadersNeverWriteOverEachOther(t *testing.T) {
	t.Parallel()
	server := etcdtest.Shared(t)
	w := newWorld(t)
	h := &history{begin: time.Now()}
	var wires []*etcdtest.Line
	for i := range 3 {
		wire := etcdtest.NewLine(t, server.Endpoint())
		wires = append(wires, wire)
		h.campaign(w, i, openBy(t, wire))
	}
	h.read(w, len(wires))
	for round := range 4 {
		leader := -1
		w.eventually("somebody leads", func() bool {
			_, err := fmt.Sscanf(w.leader().Name, "c%d", &leader)
			return err == nil && h.wrote(leader)
		})
		began, epoch := time.Now(), w.leader().Epoch
		if round%2 == 0 {
			wires[leader].Hold()
		} else {
			wires[leader].Cut()
		}
		w.eventually("another leads", func() bool { return w.leader().Epoch > epoch })
		t.Logf("figure: round %d: the next leads after %s", round, time.Since(began).Round(10*time.Millisecond))
		wires[leader].Mend()
	}
	h.end(t)
}

type history struct {
	begin time.Time
	stop  []func()

	mu     sync.Mutex
	events []porcupine.Operation
	writes map[int]int // of the present term, by candidate
	unsure []porcupine.Operation
}

func (h *history) now() int64 { return int64(time.Since(h.begin)) }

func (h *history) wrote(who int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.writes[who] > 0
}

func (h *history) campaign(w *world, who int, store *etcdstore.Store) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		store.Campaign(ctx, controlplane.Candidate{
			Name: fmt.Sprintf("c%d", who), Follow: func(string) {},
			Lead: func(ctx context.Context, l controlplane.Leadership) { h.write(ctx, who, l) },
		})
	})
	h.stop = append(h.stop, func() { cancel(); running.Wait() })
	w.Cleanup(func() { cancel(); running.Wait() })
}

// write writes until it is told that it leads no more; its context's end does
// not stop it, so that it tries what a leader that hangs would try.
func (h *history) write(ctx context.Context, who int, l controlplane.Leadership) {
	const hangs = 15 * time.Second // longer than any lease; refused before that, or never
	var lost time.Time
	for n := 0; lost.IsZero() || time.Since(lost) < hangs; n++ {
		if ctx.Err() != nil && lost.IsZero() {
			lost = time.Now()
		}
		value, called := fmt.Sprintf("%d.%d", l.Epoch, n), h.now()
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), 12*time.Second)
		_, err := l.Store.Update(limited, func(tx controlplane.Tx) error {
			return tx.Put(&controlplane.Tag{Name: "register", Title: value})
		})
		cancel()
		op := porcupine.Operation{ClientId: who, Input: register{write: true, value: value}, Output: "", Call: called, Return: h.now()}
		h.mu.Lock()
		switch controlplane.CodeOf(err) {
		case controlplane.CodeDeposed: // it was not made
			h.writes[who] = 0
			h.mu.Unlock()
			return
		default:
			if err != nil { // nobody knows
				h.unsure = append(h.unsure, op)
			} else {
				if h.writes == nil {
					h.writes = map[int]int{}
				}
				h.writes[who]++
				h.events = append(h.events, op)
			}
			h.mu.Unlock()
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (h *history) read(w *world, who int) {
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		for ; ctx.Err() == nil; time.Sleep(5 * time.Millisecond) {
			called := h.now()
			resp, err := w.client.Get(ctx, w.prefix+"tags/register", clientv3.WithLimit(1))
			if err != nil {
				continue
			}
			var tag struct{ Title string }
			if len(resp.Kvs) > 0 {
				_ = json.Unmarshal(resp.Kvs[0].Value, &tag)
			}
			h.mu.Lock()
			h.events = append(h.events, porcupine.Operation{ClientId: who, Input: register{}, Output: tag.Title, Call: called, Return: h.now()})
			h.mu.Unlock()
		}
	})
	h.stop = append(h.stop, func() { cancel(); running.Wait() })
}

// end checks the history.
func (h *history) end(t *testing.T) {
	t.Helper()
	for _, stop := range h.stop {
		stop()
	}
	seen := map[string]bool{}
	epochs, newest := map[int64]bool{}, int64(0)
	for _, op := range h.events {
		value := op.Output.(string)
		if op.Input.(register).write || value == "" {
			continue
		}
		seen[value] = true
		var epoch, n int64
		if _, err := fmt.Sscanf(value, "%d.%d", &epoch, &n); err != nil {
			t.Fatal(err)
		}
		if epoch < newest {
			t.Errorf("a value of epoch %d is read after one of %d", epoch, newest)
		}
		newest = max(newest, epoch)
		epochs[epoch] = true
	}
	for _, op := range h.unsure { // what was seen was made, at whatever time after its call
		if seen[op.Input.(register).value] {
			op.Return, op.ClientId = h.now(), 100+len(h.events)
			h.events = append(h.events, op)
		}
	}
	t.Logf("%d operations, %d terms seen", len(h.events), len(epochs))
	if len(epochs) < 3 {
		t.Errorf("only %d terms were seen", len(epochs))
	}
	if result, _ := porcupine.CheckOperationsVerbose(registerModel, h.events, time.Minute); result != porcupine.Ok {
		t.Errorf("the history is %s", result)
	}
}
