package lifecycle_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/lifecycle"
)

func (p *plant) visit(id string, v controlplane.Visitor) {
	p.Helper()
	if err := p.store.Wake(p.Context(), controlplane.WakeIntent{InstanceID: id, Edge: "edge", Visitor: v, Kind: "page"}, time.Minute); err != nil {
		p.Fatal(err)
	}
}

// limited reports whether edges are told that visits by these start nothing.
func (p *plant) limited(kind controlplane.StartKind, of string) bool {
	p.Helper()
	resp, err := etcdtest.Shared(p.T).Client(p.T).Get(p.Context(), etcdtest.Prefix(p.T)+etcdstore.RecordRouteKey(etcdstore.RecordOfLimit(kind, of)))
	if err != nil {
		p.Fatal(err)
	}
	return len(resp.Kvs) > 0
}

func (p *plant) progress(id string) (out *controlplane.Progress) {
	p.Helper()
	_, err := p.store.Update(p.Context(), func(tx controlplane.Tx) (err error) {
		out, err = tx.Progress(id)
		return err
	})
	if err != nil {
		p.Fatal(err)
	}
	return out
}

func TestStartsByVisitsAreBounded(t *testing.T) {
	for name, c := range map[string]struct {
		starts lifecycle.StartLimits
		by     controlplane.Visitor
		may    int
		kind   controlplane.StartKind // what edges are told of
		of     string
	}{
		"a user":           {lifecycle.StartLimits{User: 2}, controlplane.Visitor{User: "bob", Source: "192.0.2.1"}, 2, controlplane.StartsOfUser, "bob"},
		"an admin":         {lifecycle.StartLimits{User: 2}, controlplane.Visitor{User: "root", Source: "192.0.2.1"}, 4, "", ""},
		"a source":         {lifecycle.StartLimits{User: 3, Source: 2}, controlplane.Visitor{User: "bob", Source: "192.0.2.1"}, 2, controlplane.StartsOfSource, "192.0.2.1"},
		"an admin's":       {lifecycle.StartLimits{User: 2, Source: 3}, controlplane.Visitor{User: "root", Source: "192.0.2.1"}, 3, controlplane.StartsOfSource, "192.0.2.1"},
		"an IPv6 source":   {lifecycle.StartLimits{Source: 1}, controlplane.Visitor{Source: "2001:db8::/64"}, 1, controlplane.StartsOfSource, "2001:db8::/64"},
		"not signed in":    {lifecycle.StartLimits{Source: 3, Anonymous: 1}, controlplane.Visitor{Source: "192.0.2.1"}, 1, controlplane.StartsOfAnonymous, "192.0.2.1"},
		"signed in":        {lifecycle.StartLimits{Anonymous: 1}, controlplane.Visitor{User: "bob", Source: "192.0.2.1"}, 4, "", ""},
		"loopback":         {lifecycle.StartLimits{Source: 1, Anonymous: 1}, controlplane.Visitor{Source: "127.0.0.1"}, 4, "", ""},
		"loopback of IPv6": {lifecycle.StartLimits{Source: 1, Anonymous: 1}, controlplane.Visitor{Source: "::/64"}, 4, "", ""},
		"nobody known":     {lifecycle.StartLimits{User: 1, Source: 1, Anonymous: 1}, controlplane.Visitor{}, 4, "", ""},
		"without limits":   {lifecycle.StartLimits{}, controlplane.Visitor{User: "bob", Source: "192.0.2.1"}, 4, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlant(t)
			for user, roles := range map[string][]string{"bob": nil, "root": {"admin"}} {
				p.put(&controlplane.User{Name: user, Issuer: "i", Subject: user, Roles: roles})
			}
			p.starts = c.starts
			p.manage()
			for n := range 4 {
				id := p.instance(controlplane.Suspended)
				p.visit(id, c.by)
				if n < c.may {
					p.becomes(id, controlplane.Deployed)
					if p.happened(id, controlplane.EventWake) != 1 {
						t.Error("no event of the wake")
					}
					continue
				}
				p.eventually("refused", func() bool { return p.happened(id, controlplane.EventRefused) == 1 && p.intents() == 0 })
				if s := p.look(id).Status; s != controlplane.Suspended {
					t.Errorf("start %d of %d: %s", n+1, c.may, s)
				}
			}
			if c.kind != "" && !p.limited(c.kind, c.of) {
				t.Error("edges are not told")
			}
		})
	}
}

// Who joins a start has not begun one.
func TestJoiningAStartIsNotCounted(t *testing.T) {
	p := newPlant(t)
	p.starts = lifecycle.StartLimits{Source: 1}
	p.yard.ready = time.Hour
	p.manage()
	id := p.instance(controlplane.Suspended)
	for range 3 {
		p.visit(id, controlplane.Visitor{Source: "192.0.2.1"})
		p.eventually("taken up", func() bool { return p.intents() == 0 })
	}
	if p.limited(controlplane.StartsOfSource, "192.0.2.1") || p.look(id).Status != controlplane.Resuming {
		t.Error("it was counted")
	}
}

func TestAWakeIsTold(t *testing.T) {
	p := newPlant(t)
	p.yard.ready = time.Hour
	p.manage()
	id := p.instance(controlplane.Suspended)
	p.visit(id, controlplane.Visitor{User: "bob", Source: "192.0.2.1"})
	p.eventually("told as starting", func() bool { s := p.progress(id); return s != nil && s.Stage == controlplane.StageStarting })
	in := p.look(id)
	if b := in.Begun; b.Cause != controlplane.BegunVisit || b.User != "bob" || b.Kind != "page" || b.Edge != "edge" || !b.ReadyAt.IsZero() {
		t.Errorf("begun %+v", in.Begun)
	}
	if s := p.progress(id); s.Generation != in.Generation || !s.Since.Equal(in.Begun.At) || s.Queue != 0 || s.TypicalMS != 0 {
		t.Errorf("progress %+v", s)
	}
	p.yard.mu.Lock()
	p.yard.answer(id)
	p.yard.mu.Unlock()
	if in = p.becomes(id, controlplane.Deployed); in.Begun.ReadyAt.IsZero() || p.progress(id) != nil || p.happened(id, controlplane.EventReady) != 1 {
		t.Errorf("ready: %+v, progress %+v", in.Begun, p.progress(id))
	}
	// The next one knows how long it takes.
	p.ask(p.service.RestartInstance, id)
	if s := p.progress(id); s == nil || s.TypicalMS < 300 {
		t.Errorf("progress %+v", s)
	}
	list, err := p.store.Audit(t.Context(), controlplane.Page{})
	if err != nil || len(list.Items) != 2 || list.Items[0].Actor != "system" || list.Items[0].Action != "instance.wake" {
		t.Errorf("audit %+v, %v", list.Items, err)
	}
}

func TestAFailedStartLeavesItsReason(t *testing.T) {
	p := newPlant(t)
	p.yard.refuse = &controlplane.Reason{Code: controlplane.PortInUse, Text: "taken"}
	p.manage()
	id := p.instance(controlplane.Suspended)
	p.wake(id)
	in := p.becomes(id, controlplane.Failed)
	s := p.progress(id)
	if s == nil || s.Stage != "" || s.Reason == nil || s.Reason.Code != controlplane.PortInUse || !s.RetryAt.Equal(in.RetryAfter) || s.Generation != in.Generation {
		t.Errorf("progress %+v", s)
	}
	// Visits in the back-off start nothing, and one event says so.
	for range 3 {
		p.wake(id)
		p.eventually("refused", func() bool { return p.intents() == 0 })
	}
	if n := p.happened(id, controlplane.EventRefused); n != 1 {
		t.Errorf("%d events", n)
	}
	p.ask(p.service.SuspendInstance, id)
	if p.progress(id) != nil {
		t.Error("what sleeps has progress")
	}
}

// A start that is ready and ends at once does not begin the back-off anew.
func TestWhatEndsAtOnceBacksOffFurther(t *testing.T) {
	p := newPlant(t)
	p.manage()
	now := time.Now().UTC()
	id := p.deployed(func(in *controlplane.Instance) {
		in.Failures, in.Ends = 3, []time.Time{now, now, now, now, now}
		in.Begun = &controlplane.Beginning{At: now}
	})
	p.yard.crash(id)
	in := p.becomes(id, controlplane.Failed)
	if wait := in.RetryAfter.Sub(in.UpdatedAt); in.Failures != 4 || wait != 40*time.Second {
		t.Errorf("after failure %d a back-off of %v", in.Failures, wait)
	}
}

func TestStartsAtOnceAreBounded(t *testing.T) {
	p := newPlant(t)
	p.atOnce, p.yard.ready = 2, time.Hour
	p.manage()
	var ids []string
	for range 6 {
		ids = append(ids, p.instance(controlplane.Suspended))
		p.wake(ids[len(ids)-1])
		p.eventually("taken up", func() bool { return p.look(ids[len(ids)-1]).Status == controlplane.Resuming })
	}
	place := func(id string) int {
		if s := p.progress(id); s != nil {
			return s.Queue
		}
		return 0
	}
	places := func(want ...int) {
		t.Helper()
		p.eventually(fmt.Sprint("at their places ", want), func() bool {
			for i, id := range ids {
				if place(id) != want[i] {
					return false
				}
			}
			return len(p.yard.began()) == 2
		})
	}
	places(0, 0, 1, 2, 3, 4)
	if s := p.progress(ids[2]); s.Stage != controlplane.StageQueued {
		t.Errorf("progress %+v", s)
	}
	// One that goes away frees its place.
	p.ask(p.service.TerminateInstance, ids[2])
	p.becomes(ids[2], "")
	places(0, 0, 0, 1, 2, 3)
	p.ask(p.service.SuspendInstance, ids[4])
	p.becomes(ids[4], controlplane.Suspended)
	places(0, 0, 0, 1, 0, 2)
	// One that ends is followed by the first.
	p.yard.crash(ids[0])
	p.becomes(ids[0], controlplane.Failed)
	p.eventually("begun", func() bool { _, _, starts := p.yard.state(ids[3]); return starts == 1 })
	if _, _, starts := p.yard.state(ids[5]); starts != 0 {
		t.Error("the second came as well")
	}
	p.yard.mu.Lock()
	p.yard.answer(ids[1])
	p.yard.mu.Unlock()
	p.eventually("begun", func() bool { _, _, starts := p.yard.state(ids[5]); return starts == 1 })
}

// What starts already has its place when the next manager comes, and who waited
// longest is the next.
func TestTheQueueOutlivesItsManager(t *testing.T) {
	p := newPlant(t)
	p.atOnce, p.yard.ready = 1, time.Hour
	p.manage()
	first := p.instance(controlplane.Suspended)
	p.wake(first)
	p.eventually("begun", func() bool { return len(p.yard.began()) == 1 })
	p.kill()
	now := time.Now().UTC()
	var ids []string
	for n := range 5 {
		in := &controlplane.Instance{
			ID: uuid.NewString(), AppID: p.app.ID, Owner: "ada", Visibility: controlplane.Private, Status: controlplane.Pending, Stage: controlplane.StageQueued,
			RoutingMode: controlplane.Domain, Launcher: "yard", Generation: 1, Begun: &controlplane.Beginning{At: now.Add(time.Duration(n) * time.Millisecond)},
		}
		p.put(in)
		ids = append(ids, in.ID)
	}
	p.manage()
	p.stays(ids[0], controlplane.Pending)
	last := first
	for _, id := range ids {
		if began := p.yard.began(); len(began) != 1 || began[0] != last {
			t.Fatalf("%v are under way, want %s", began, last)
		}
		p.yard.mu.Lock()
		p.yard.answer(last)
		p.yard.mu.Unlock()
		p.eventually("begun", func() bool { _, _, starts := p.yard.state(id); return starts == 1 })
		last = id
	}
}

// What a launcher says of a start comes to those who wait, and what the start
// goes without to its owner, once.
func TestWhatALauncherSaysIsTold(t *testing.T) {
	for name, ends := range map[string]bool{"it becomes ready": false, "it fails": true} {
		t.Run(name, func(t *testing.T) {
			p := newPlant(t)
			p.yard.ready = time.Hour
			p.manage()
			id := p.instance(controlplane.Suspended)
			p.wake(id)
			p.eventually("begun", func() bool { return len(p.yard.began()) == 1 })
			says := launcher.Fact{
				InstanceID: id, Generation: 2, State: launcher.Starting, Stage: controlplane.StageDependencies,
				At: time.Now().Add(-time.Second), Warnings: []string{"no limit of memory", "no limit of CPU"},
			}
			for _, percent := range []int{10, 0, 55} {
				says.Percent, says.Text = percent, fmt.Sprintf("at %d", percent)
				p.yard.tell(says)
				p.eventually("told how far it is", func() bool {
					s := p.progress(id)
					return s != nil && s.Stage == controlplane.StageDependencies && s.Percent != nil && *s.Percent == percent && s.Text == says.Text
				})
			}
			in, s, err := p.service.InstanceProgress(t.Context(), ada, id)
			if err != nil || in.Stage != controlplane.StageDependencies || s == nil || *s.Percent != 55 {
				t.Errorf("progress %+v of %+v, %v", s, in, err)
			}
			says.Stage, says.Text, says.Percent = controlplane.StageStarting, "", 0
			p.yard.tell(says)
			p.eventually("told of the next stage", func() bool {
				s := p.progress(id)
				return s.Stage == controlplane.StageStarting && s.Percent == nil && s.Text == ""
			})
			status := controlplane.Deployed
			says.State, says.Endpoint = launcher.Ready, "127.0.0.1:1"
			if ends {
				status = controlplane.Failed
				says.State, says.Endpoint, says.Reason = launcher.Ended, "", &controlplane.Reason{Code: controlplane.Crashed, Text: "it ended"}
			}
			p.yard.tell(says)
			in = p.becomes(id, status)
			if got := in.Begun.Warnings; len(got) != 2 || p.happened(id, controlplane.EventWarning) != 1 {
				t.Errorf("%s: warnings %q, %d events", status, got, p.happened(id, controlplane.EventWarning))
			}
			if ends {
				return
			}
			says.Endpoint = "127.0.0.1:2" // the same start, seen anew
			p.yard.tell(says)
			p.eventually("elsewhere", func() bool { return p.look(id).Endpoint == says.Endpoint })
			if n := p.happened(id, controlplane.EventWarning); n != 1 {
				t.Errorf("%d warnings of one start", n)
			}
		})
	}
}
