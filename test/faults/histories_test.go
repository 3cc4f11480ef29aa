package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// TestHistoriesOfInstancesAreLinearizable: callers start, suspend, resume, restart,
// terminate and read the same instances at the same time, by three control planes
// and an edge, while those that lead are killed, frozen and cut off. All that they
// are told fits one order of what was done, in which nothing goes back.
func TestHistoriesOfInstancesAreLinearizable(t *testing.T) {
	slow(t)
	const callers, instances = 6, 3
	f := newFleet(t, 3, 1, "5s").withApp()
	h := &history{fleet: f, t: t, began: time.Now()}
	looked := f.watch(t)
	for i := range instances {
		h.start(i, f.controls[i])
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var calling sync.WaitGroup
	for n := range callers {
		calling.Go(func() { h.call(ctx, n, instances) })
	}
	terms := map[int64]bool{}
	faults := whatHits("leader")
	over := time.Now().Add(lasting(20*time.Second, 5*time.Minute))
	patient := over.Add(2 * time.Minute) // a slow machine needs longer until it has seen all
	for time.Now().Before(over) || time.Now().Before(patient) && len(h.unseen()) > 0 {
		leader, epoch := f.leads()
		if leader == nil {
			continue
		}
		terms[epoch] = true
		fault := faults[(len(terms)-1)%len(faults)]
		fault.begin(f, leader)
		eventually(t, "another leads", func() bool { now, next := f.leads(); return now != nil && next > epoch })
		fault.end(f, leader)
		time.Sleep(2 * time.Second) // of the usual
	}
	cancel()
	calling.Wait()
	f.wantNothingLeft(t, h.all)
	for _, id := range h.all {
		for i, by := range f.all() {
			h.do(callers+i, by, deed{id, "read"})
		}
	}
	looked()
	h.check(t, len(terms))
}

// history is what callers did, and were told.
type history struct {
	*fleet
	t     *testing.T
	began time.Time
	now   [3]atomic.Value // the ID of each instance

	mu   sync.Mutex
	ops  []porcupine.Operation
	lost []porcupine.Operation
	all  []string
}

func (h *history) time() int64 { return int64(time.Since(h.began)) }

// start makes a new instance the i-th.
func (h *history) start(i int, by *edge) {
	called := h.time()
	api, public := h.api(by), "PUBLIC"
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	in, err := api.Run(ctx, v1.RunRequest{AppID: h.app, Visibility: &public})
	if err != nil {
		return // if there is one, nobody knows its ID
	}
	h.note(0, deed{in.ID, "start"}, told{status: in.Status, revision: api.Revision()}, called)
	h.mu.Lock()
	h.all = append(h.all, in.ID)
	h.mu.Unlock()
	h.now[i].Store(in.ID)
}

// call asks for this and that, most often to read, so that there are times in
// which starts and ends come to their ends.
func (h *history) call(ctx context.Context, who, instances int) {
	deeds := []string{"suspend", "suspend", "resume", "resume", "restart", "terminate"}
	members := h.fleet.all()
	for ; ctx.Err() == nil; time.Sleep(rand.N(20 * time.Millisecond)) {
		i, by, do := rand.IntN(instances), members[rand.IntN(len(members))], "read"
		if rand.IntN(20) == 0 {
			do = deeds[rand.IntN(len(deeds))]
		}
		id, _ := h.now[i].Load().(string)
		if id == "" {
			h.start(i, by)
			continue
		}
		if h.do(who, by, deed{id, do}); do == "terminate" {
			h.start(i, by) // others go on with the old one for a moment
		}
	}
}

func (h *history) do(who int, by *edge, d deed) {
	api := h.api(by) // of its own, for the revision of this answer
	verb := map[string]func(context.Context, string) (*v1.Instance, error){
		"read": api.Instance, "suspend": api.Suspend, "resume": api.Resume, "restart": api.Restart, "terminate": api.Terminate,
	}[d.do]
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	called := h.time()
	in, err := verb(ctx, d.instance)
	switch {
	case err == nil:
		h.note(who, d, told{status: in.Status, revision: api.Revision()}, called)
	case client.CodeOf(err) == "not_found":
		h.note(who, d, told{status: gone}, called)
	case d.do == "read", errors.Is(err, syscall.ECONNREFUSED), client.CodeOf(err) == "no_control_plane", client.CodeOf(err) == "conflict":
		// nothing was done, or too much at once for this one
	case client.CodeOf(err) == "unavailable", client.CodeOf(err) == "control_plane_lost":
		h.note(who, d, told{lost: true}, called)
	default:
		h.t.Errorf("%s by %s: %v", d.do, by.name, err)
	}
}

// note adds to the history. What was lost may be done until its end.
func (h *history) note(who int, d deed, t told, called int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	op := porcupine.Operation{ClientId: who, Input: d, Output: t, Call: called, Return: h.time()}
	if t.lost {
		h.lost = append(h.lost, op)
		return
	}
	h.ops = append(h.ops, op)
}

// did counts what was done and seen.
func (h *history) did() map[string]int {
	h.mu.Lock()
	defer h.mu.Unlock()
	did := map[string]int{}
	for _, op := range h.ops {
		did[op.Input.(deed).do]++
		did[op.Output.(told).status]++
	}
	return did
}

// unseen is what a history has to have and this one has not.
func (h *history) unseen() (none []string) {
	did := h.did()
	for _, some := range []string{
		"start", "suspend", "resume", "restart", "terminate",
		"PENDING", "DEPLOYED", "SUSPENDING", "SUSPENDED", "RESUMING", gone,
	} {
		if did[some] == 0 {
			none = append(none, some)
		}
	}
	return none
}

// check checks the history, and that there was something to check.
func (h *history) check(t *testing.T, terms int) {
	t.Helper()
	did := h.did()
	for i, op := range h.lost {
		op.Return, op.ClientId = h.time(), 100+i
		h.ops = append(h.ops, op)
	}
	if none := h.unseen(); len(none) > 0 {
		t.Errorf("there is no %s", none)
	}
	if terms < 2 {
		t.Errorf("there were only %d leaders", terms)
	}
	began := time.Now()
	result, info := porcupine.CheckOperationsVerbose(lives, h.ops, time.Minute)
	if result != porcupine.Ok {
		t.Errorf("the history is %s: %s", result, h.rejected(info))
	}
	figure(t, "%d operations on %d instances, %d of them without an answer, %d leaders lost, checked within %s: %v",
		len(h.ops), len(h.all), len(h.lost), terms, time.Since(began).Round(time.Millisecond), did)
}

// rejected are the operations around what fits no order: of the instance whose
// longest order is not all, what follows its end.
func (h *history) rejected(info porcupine.LinearizationInfo) (text string) {
	for _, part := range info.PartialLinearizationsOperations() {
		longest, total := 0, 0
		var last porcupine.Operation
		for _, order := range part {
			if len(order) > longest {
				longest, last = len(order), order[len(order)-1]
			}
		}
		if longest == 0 {
			continue
		}
		id := last.Input.(deed).instance
		var after []porcupine.Operation
		for _, op := range h.ops {
			if op.Input.(deed).instance != id {
				continue
			}
			if total++; op.Return >= last.Call {
				after = append(after, op)
			}
		}
		if longest == total {
			continue
		}
		text += fmt.Sprintf("\n%s: %d of %d fit, to %s; what ends after that:", id, longest, total, describe(last))
		for _, op := range after[:min(len(after), 10)] {
			text += "\n\t" + describe(op)
		}
	}
	return text
}

func describe(op porcupine.Operation) string {
	return fmt.Sprintf("%d %s [%s, %s]", op.ClientId, lives.DescribeOperation(op.Input, op.Output), time.Duration(op.Call), time.Duration(op.Return))
}
