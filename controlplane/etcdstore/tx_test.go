package etcdstore_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
)

func TestNoUpdateIsLost(t *testing.T) {
	w := newWorld(t)
	in := newInstance(newApp("demo"))
	w.put(in)
	const updaters, rounds = 32, 4
	var all sync.WaitGroup
	var runs atomic.Int64
	for range updaters {
		all.Go(func() {
			for range rounds {
				_, err := w.Update(t.Context(), func(tx controlplane.Tx) error {
					runs.Add(1)
					got, err := tx.Instance(in.ID)
					if err != nil {
						return err
					}
					got.Restarts++
					return tx.Put(got)
				})
				// Losing 64 times in a row is allowed to be told, never to be silent.
				if err != nil && controlplane.CodeOf(err) != controlplane.CodeConflict {
					t.Error(err)
				}
				if err != nil {
					runs.Add(1 << 32)
				}
			}
		})
	}
	all.Wait()
	got, err := w.Instance(t.Context(), in.ID)
	if err != nil {
		t.Fatal(err)
	}
	told := int(runs.Load() >> 32)
	if got.Restarts != updaters*rounds-told {
		t.Errorf("%d of %d updates arrived, %d were refused", got.Restarts, updaters*rounds, told)
	}
	if n := runs.Load() & (1<<32 - 1); n <= updaters*rounds {
		t.Errorf("%d runs for %d updates: nothing ever conflicted", n, updaters*rounds)
	}
}

func TestACrowdOnOneRecordIsDoneInItsTurn(t *testing.T) {
	w := newWorld(t)
	in := newInstance(newApp("demo"))
	w.put(in)
	const updaters = 100
	var all sync.WaitGroup
	var runs atomic.Int64
	for range updaters {
		all.Go(func() {
			if _, err := w.Update(t.Context(), func(tx controlplane.Tx) error {
				runs.Add(1)
				got, err := tx.Instance(in.ID)
				if err != nil {
					return err
				}
				got.Restarts++
				return tx.Put(got)
			}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	// Each has one attempt at once, which may cost another one attempt in its turn.
	if n := runs.Load(); n > 3*updaters {
		t.Errorf("%d attempts for %d updates", n, updaters)
	}
}

func TestATransactionHoldsOnlyIfWhatItReadStillDoes(t *testing.T) {
	app := newApp("demo")
	in := newInstance(app)
	progress := func(w *world) {
		w.update(func(tx controlplane.Tx) error {
			tx.PutProgress(in.ID, &controlplane.Progress{Generation: 2})
			return nil
		})
	}
	for name, c := range map[string]struct {
		read    func(controlplane.Tx) error
		meddle  func(*world)
		repeats bool
	}{
		"a record that was read and not written": {
			func(tx controlplane.Tx) error { _, err := tx.App(app.ID); return err },
			func(w *world) { w.put(app) }, true,
		},
		"a record that was absent": {
			func(tx controlplane.Tx) error { _, _ = tx.Alias("sales"); return nil },
			func(w *world) { w.put(newAlias("sales", "")) }, true,
		},
		"an index": {
			func(tx controlplane.Tx) error { _, err := tx.AppByName("other", "1.0"); return err },
			func(w *world) { w.put(newApp("other")) }, true,
		},
		"an instance added to those listed": {
			func(tx controlplane.Tx) error { _, err := tx.InstancesOf(app.ID); return err },
			func(w *world) { w.put(newInstance(app)) }, true,
		},
		"an instance of another app": {
			func(tx controlplane.Tx) error { _, err := tx.InstancesOf(app.ID); return err },
			func(w *world) { w.put(newInstance(newApp("other"))) }, false,
		},
		"something that was read ahead, and then read": {
			func(tx controlplane.Tx) error {
				if err := tx.ReadAhead(in); err != nil {
					return err
				}
				_, err := tx.Progress(in.ID)
				return err
			},
			progress, true,
		},
		"something that was read ahead alone": {
			func(tx controlplane.Tx) error { return tx.ReadAhead(in) },
			progress, false,
		},
		"how long starts took, an estimate": {
			func(tx controlplane.Tx) error { _, err := tx.AppStarts(app.ID); return err },
			func(w *world) {
				w.update(func(tx controlplane.Tx) error { tx.SetAppStarts(app.ID, []time.Duration{1}); return nil })
			}, false,
		},
		"something that was not read": {
			func(controlplane.Tx) error { return nil },
			func(w *world) { w.put(newApp("other")) }, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.put(app)
			runs := 0
			w.update(func(tx controlplane.Tx) error {
				if runs++; runs > 2 {
					return errors.New("repeated without end")
				}
				if err := c.read(tx); err != nil {
					return err
				}
				if runs == 1 {
					c.meddle(w)
				}
				return tx.Put(newAlias("mine", ""))
			})
			if got := runs == 2; got != c.repeats {
				t.Errorf("%d runs, want a repetition: %v", runs, c.repeats)
			}
		})
	}
}

// More is read ahead than etcd takes in one transaction, and each change has its
// record of the audit.
func TestManyInstancesInOneTransaction(t *testing.T) {
	w := newWorld(t)
	app := newApp("demo")
	w.put(app)
	var all []*controlplane.Instance
	for range 60 {
		all = append(all, newInstance(app))
		w.put(all[len(all)-1])
	}
	w.update(func(tx controlplane.Tx) error {
		if err := tx.ReadAhead(all...); err != nil {
			return err
		}
		for i, want := range all {
			in, err := tx.Instance(want.ID)
			if err != nil {
				return err
			}
			if in.ID != want.ID || in.Revision != want.Revision {
				t.Errorf("read %s at %d, want %s at %d", in.ID, in.Revision, want.ID, want.Revision)
			}
			if i < 3 {
				in.Restarts++
				controlplane.AuditSystem(tx, noon, "instance.suspend", "instance/"+in.ID, "")
				if err := tx.Put(in); err != nil {
					return err
				}
			}
		}
		return nil
	})
	audited, err := w.Audit(t.Context(), controlplane.Page{})
	if err != nil || len(audited.Items) != 3 {
		t.Errorf("%d records of the audit, %v", len(audited.Items), err)
	}
	for i, want := range all[:4] {
		in, err := w.Instance(t.Context(), want.ID)
		if changed := i < 3; err != nil || (in.Restarts == 1) != changed {
			t.Errorf("instance %d: %d restarts, %v", i, in.Restarts, err)
		}
	}
}

func TestAFailingFunctionWritesNothing(t *testing.T) {
	w := newWorld(t)
	boom := errors.New("boom")
	_, err := w.Update(t.Context(), func(tx controlplane.Tx) error {
		if err := tx.Put(newApp("demo")); err != nil {
			return err
		}
		return boom
	})
	if !errors.Is(err, boom) || len(w.keys()) != 0 {
		t.Errorf("error %v, keys %v", err, w.keys())
	}
	for name, f := range map[string]func(controlplane.Tx) error{
		"put":    func(tx controlplane.Tx) error { return tx.Put("no record") },
		"delete": func(tx controlplane.Tx) error { return tx.Delete("no record") },
		// An error that f does not pass on ends the transaction all the same.
		"swallowed": func(tx controlplane.Tx) error { _ = tx.Put(7); return tx.Put(newApp("demo")) },
	} {
		if _, err := w.Update(t.Context(), f); err == nil || len(w.keys()) != 0 {
			t.Errorf("%s of what is no record: error %v, keys %v", name, err, w.keys())
		}
	}
}

func TestReadsSeeTheTransactionsOwnWrites(t *testing.T) {
	w := newWorld(t)
	app := newApp("Demo")
	in := newInstance(app)
	w.update(func(tx controlplane.Tx) error {
		if err := errors.Join(tx.Put(app), tx.Put(in)); err != nil {
			return err
		}
		id, err := tx.AppByName("dEMO", "1.0")
		same(t, "app by name", id, app.ID)
		owner, err2 := tx.NameOwner("DEMO")
		same(t, "owner", owner, "ada")
		ids, err3 := tx.InstancesOf(app.ID)
		same(t, "instances", ids, []string{in.ID})
		got, err4 := tx.Instance(in.ID)
		if err := errors.Join(err, err2, err3, err4, tx.Delete(in)); err != nil {
			return err
		}
		same(t, "instance", got, in)
		ids, err = tx.InstancesOf(app.ID)
		same(t, "instances after the delete", ids, []string{})
		_, err2 = tx.Instance(in.ID)
		wantCode(t, err2, controlplane.CodeNotFound)
		return err
	})
}

func TestRecordsRoundTrip(t *testing.T) {
	w := newWorld(t)
	app := newApp("demo")
	in := newInstance(app)
	in.Reason = &controlplane.Reason{Code: controlplane.Crashed, Text: "it ended"}
	in.Ends, in.RetryAfter = []time.Time{noon}, noon.Add(time.Hour)
	alias := newAlias("sales", in.ID)
	rev := w.put(app, in, alias)
	for _, got := range []int64{app.Revision, in.Revision, alias.Revision} {
		same(t, "revision of what was written", got, rev)
	}
	gotApp, err := w.App(t.Context(), app.ID)
	gotIn, err2 := w.Instance(t.Context(), in.ID)
	byName, err3 := w.Alias(t.Context(), "sales")
	byID, err4 := w.Alias(t.Context(), alias.ID)
	if err := errors.Join(err, err2, err3, err4); err != nil {
		t.Fatal(err)
	}
	same(t, "app", gotApp, app)
	same(t, "instance", gotIn, in)
	same(t, "alias by name", byName, alias)
	same(t, "alias by ID", byID, alias)

	for name, get := range map[string]func() error{
		"app":      func() error { _, err := w.App(t.Context(), in.ID); return err },
		"instance": func() error { _, err := w.Instance(t.Context(), app.ID); return err },
		"alias":    func() error { _, err := w.Alias(t.Context(), "nobody"); return err },
		"alias ID": func() error { _, err := w.Alias(t.Context(), app.ID); return err },
	} {
		t.Run("absent "+name, func(t *testing.T) { wantCode(t, get(), controlplane.CodeNotFound) })
	}
}

// A name of 36 characters with four hyphens is a name unless its digits are
// those of an ID.
func TestAnAliasNameWithTheShapeOfAnID(t *testing.T) {
	w := newWorld(t)
	alias := newAlias("quarterl-repo-rtof-2026-forthesalesxx", "")
	alias.Name = alias.Name[:36]
	w.put(alias)
	got, err := w.Alias(t.Context(), alias.Name)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "alias", got, alias)
}

func TestUnknownFieldsSurviveARewrite(t *testing.T) {
	w := newWorld(t)
	app := newApp("demo")
	app.Manifest.Runtime.HealthPath = "/healthz"
	w.put(app)
	var tree map[string]any
	if err := json.Unmarshal([]byte(w.raw("apps/record/"+app.ID)), &tree); err != nil {
		t.Fatal(err)
	}
	manifest := tree["manifest"].(map[string]any)
	tree["colour"] = map[string]any{"name": "blue"}
	manifest["icon"] = "icon.png"
	manifest["runtime"].(map[string]any)["turbo"] = true
	raw, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	w.rawPut("apps/record/"+app.ID, string(raw))
	w.update(func(tx controlplane.Tx) error {
		got, err := tx.App(app.ID)
		if err != nil {
			return err
		}
		got.Title, got.Manifest.Runtime.HealthPath = "New", ""
		return tx.Put(got)
	})
	tree["title"] = "New"
	delete(manifest["runtime"].(map[string]any), "health_path") // known and empty now: it does not come back
	var got map[string]any
	if err := json.Unmarshal([]byte(w.raw("apps/record/"+app.ID)), &got); err != nil {
		t.Fatal(err)
	}
	same(t, "record", got, tree)
}

func TestANewerSchemaIsToldAndNeverRewritten(t *testing.T) {
	w := newWorld(t)
	app := newApp("demo")
	in := newInstance(app)
	alias := newAlias("sales", in.ID)
	w.put(app, in, alias, &controlplane.Token{Hash: "abc", User: "ada"})
	keys := map[string]any{"apps/record/" + app.ID: app, "instances/" + in.ID: in, "aliases/record/sales": alias, "tokens/abc": &controlplane.Token{Hash: "abc"}}
	newer := map[string]string{}
	for key := range keys {
		newer[key] = strings.Replace(w.raw(key), `"v":1`, `"v":2`, 1)
		if !strings.Contains(newer[key], `"v":2`) {
			t.Fatalf("%s has no schema version: %s", key, newer[key])
		}
		w.rawPut(key, newer[key])
	}
	for key, record := range keys {
		t.Run(key, func(t *testing.T) {
			_, err := w.Update(t.Context(), func(tx controlplane.Tx) error { return tx.Put(record) })
			wantCode(t, err, controlplane.CodeInternal)
			if known, ok := errors.AsType[*controlplane.Error](err); !ok || !strings.Contains(known.What, "schema version 2") {
				t.Errorf("error %v does not name the schema version", err)
			}
			same(t, "record", w.raw(key), newer[key])
		})
	}
	_, err := w.App(t.Context(), app.ID)
	wantCode(t, err, controlplane.CodeInternal)
	_, err = w.Apps(t.Context(), controlplane.Page{})
	wantCode(t, err, controlplane.CodeInternal)
}

func TestTheKeysOfARecord(t *testing.T) {
	w := newWorld(t)
	app := newApp("Demo")
	in := newInstance(app)
	alias := newAlias("sales", in.ID)
	token := &controlplane.Token{Hash: "abc", ID: "t1", User: "ada"}
	w.put(app, in, alias, token)
	same(t, "keys", w.keys(), []string{
		"aliases/id/" + alias.ID, "aliases/record/sales",
		"apps/instances/" + app.ID + "/" + in.ID, "apps/record/" + app.ID,
		"instances/" + in.ID, "names/demo", "names/demo/1.0",
		"routes/alias/sales", "routes/instance/" + in.ID, "routes/policy/" + app.ID, "tokens/abc",
		"tokens/of/ada/t1", "users/apps/ada/" + app.ID, "users/instances/ada/" + in.ID,
	})
	if err := w.Wake(t.Context(), controlplane.WakeIntent{InstanceID: in.ID, Edge: "edge"}, time.Minute); err != nil {
		t.Fatal(err)
	}
	w.update(func(tx controlplane.Tx) error { return tx.Delete(in) })
	same(t, "keys without the instance: its alias stays, and leads nowhere", w.keys(), []string{
		"aliases/id/" + alias.ID, "aliases/record/sales", "apps/record/" + app.ID, "names/demo", "names/demo/1.0",
		"routes/alias/sales", "routes/policy/" + app.ID, "tokens/abc", "tokens/of/ada/t1", "users/apps/ada/" + app.ID,
	})
	w.update(func(tx controlplane.Tx) error {
		return errors.Join(tx.Delete(app), tx.Delete(alias), tx.Delete(token))
	})
	same(t, "keys without anything: the name stays its owner's", w.keys(), []string{"names/demo"})
}

func TestRoutesFollowTheRecordInItsOwnRevision(t *testing.T) {
	app := newApp("demo")
	in := newInstance(app)
	record, route := "instances/"+in.ID, "routes/instance/"+in.ID
	w := newWorld(t)
	rev := w.put(in)
	same(t, "keys of the creation", w.changedAt(rev), []string{"apps/instances/" + app.ID + "/" + in.ID, record, route, "users/instances/ada/" + in.ID})
	for _, c := range []struct {
		name   string
		change func()
		keys   []string
		route  string
	}{
		{"deployed", func() { in.Status, in.Endpoint = controlplane.Deployed, "127.0.0.1:4711" }, []string{record, route},
			`"endpoint":"127.0.0.1:4711"`},
		{"of another process", func() { in.Identity = "process:x" }, []string{record, route}, `"identity":"process:x"`},
		{"what edges do not see", func() { in.Stage, in.Restarts, in.LastActive = "health", 3, noon }, []string{record}, `"endpoint":"127.0.0.1:4711"`},
		{"primary", func() { in.PrimaryAlias = "sales" }, []string{record, route}, `"primary_alias":"sales"`},
		{"suspended", func() { in.Status = controlplane.Suspended }, []string{record, route}, `"status":"SUSPENDED"`},
		{"terminating", func() { in.Status = controlplane.Terminating }, []string{record, route}, ""},
		{"terminating still", func() { in.Restarts = 4 }, []string{record, route}, ""},
	} {
		c.change()
		rev := w.put(in)
		if c.name == "terminating still" {
			c.keys = []string{record} // deleting what is not there is no event
		}
		same(t, "keys of "+c.name, w.changedAt(rev), c.keys)
		if raw := w.raw(route); !strings.Contains(raw, c.route) || (c.route == "") != (raw == "") {
			t.Errorf("%s: route %s, want it to hold %s", c.name, raw, c.route)
		}
	}
	if raw := w.raw(route); strings.Contains(raw, "endpoint") || strings.Contains(raw, "identity") {
		t.Errorf("asleep with an endpoint: %s", raw)
	}
}

// A lease for each rewrite would outlive the session for which it was granted.
func TestARewriteKeepsTheLease(t *testing.T) {
	w := newWorld(t)
	session := &controlplane.Session{ID: "lease", User: "ann", ExpiresAt: time.Now().Add(time.Hour)}
	lease := func(key string) clientv3.LeaseID {
		resp, err := w.client.Get(t.Context(), w.prefix+key)
		if err != nil || len(resp.Kvs) != 1 {
			t.Fatalf("%s: %v, %v", key, resp, err)
		}
		return clientv3.LeaseID(resp.Kvs[0].Lease)
	}
	var first [2]clientv3.LeaseID
	for i := range 3 {
		w.update(func(tx controlplane.Tx) error {
			var found struct{ N int }
			if err := tx.Once(controlplane.OnceDevice, "lease", &found); i > 0 && (err != nil || found.N != i-1) {
				t.Errorf("found %d, %v", found.N, err)
			}
			found.N = i
			tx.PutOnce(controlplane.OnceDevice, "lease", found, 2*time.Hour)
			session.CheckedAt = session.CheckedAt.Add(time.Second)
			return tx.Put(session)
		})
		got := [2]clientv3.LeaseID{lease("sessions/lease"), lease("once/device/lease")}
		if i == 0 {
			first = got
		}
		if got != first || got[0] == 0 || got[1] == 0 || got[0] == got[1] {
			t.Errorf("leases %x, at first %x", got, first)
		}
	}
	for _, id := range first {
		if _, err := w.client.Revoke(t.Context(), id); err != nil {
			t.Error(err)
		}
	}
}

func TestSigningKeyIsMadeOnce(t *testing.T) {
	w := newWorld(t)
	keys := make([]string, 8)
	var all sync.WaitGroup
	for i := range keys {
		all.Go(func() {
			key, err := w.SigningKey(t.Context(), "instances")
			if err != nil || len(key) != 32 {
				t.Errorf("key %x, %v", key, err)
			}
			keys[i] = string(key)
		})
	}
	all.Wait()
	for _, k := range keys {
		if k != keys[0] {
			t.Fatal("two keys were given out")
		}
	}
	other, err := w.SigningKey(t.Context(), "other")
	if err != nil || string(other) == keys[0] {
		t.Errorf("another name's key: %x, %v", other, err)
	}
}

func TestAStoreThatIsAwayIsUnavailable(t *testing.T) {
	store := etcdtest.New(t).Open(t) // not started
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	for name, call := range map[string]func() error{
		"read": func() error { _, err := store.App(ctx, uuid.NewString()); return err },
		"list": func() error { _, err := store.Apps(ctx, controlplane.Page{}); return err },
		"wake": func() error {
			return store.Wake(ctx, controlplane.WakeIntent{InstanceID: uuid.NewString(), Edge: "edge"}, time.Minute)
		},
		"change": func() error {
			_, err := store.Update(ctx, func(tx controlplane.Tx) error { return tx.Put(newApp("x")) })
			return err
		},
	} {
		t.Run(name, func(t *testing.T) { wantCode(t, call(), controlplane.CodeUnavailable) })
	}
}

func TestOpenRefusesWhatCannotWork(t *testing.T) {
	for name, c := range map[string]etcdstore.Config{
		"no endpoint":    {},
		"no such ca":     {Endpoints: []string{"https://localhost:1"}, CA: "/nowhere/ca.pem"},
		"ca is no pem":   {Endpoints: []string{"https://localhost:1"}, CA: "/dev/null"},
		"no certificate": {Endpoints: []string{"https://localhost:1"}, Cert: "/nowhere/cert.pem", Key: "/nowhere/key.pem"},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := etcdstore.Open(c); err == nil || !strings.HasPrefix(err.Error(), "open store: ") {
				t.Errorf("error %v", err)
			}
		})
	}
}

// A start by somebody who is not signed in is not that of the one before.
func TestFieldsOfAnEmbeddedStructAreNoUnknownOnes(t *testing.T) {
	store := etcdtest.Shared(t).Open(t)
	in := &controlplane.Instance{ID: uuid.NewString(), AppID: "a", Status: controlplane.Resuming}
	for _, user := range []string{"ada", ""} {
		in.Begun = &controlplane.Beginning{Cause: controlplane.BegunVisit, Visitor: controlplane.Visitor{User: user}}
		if _, err := store.Update(t.Context(), func(tx controlplane.Tx) error { return tx.Put(in) }); err != nil {
			t.Fatal(err)
		}
	}
	got, err := store.Instance(t.Context(), in.ID)
	if err != nil || got.Begun.User != "" {
		t.Errorf("begun %+v, %v", got.Begun, err)
	}
}

// Who works at the store is told what is the matter with it.
func TestAFullStoreIsToldAsSuch(t *testing.T) {
	server := etcdtest.New(t)
	if err := server.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := worldOn(t, server)
	alarm := &etcdserverpb.AlarmRequest{Action: etcdserverpb.AlarmRequest_ACTIVATE, Alarm: etcdserverpb.AlarmType_NOSPACE}
	if _, err := etcdserverpb.NewMaintenanceClient(w.client.ActiveConnection()).Alarm(t.Context(), alarm); err != nil {
		t.Fatal(err)
	}
	in := newInstance(newApp("demo"))
	_, changed := w.Update(t.Context(), func(tx controlplane.Tx) error { return tx.Put(in) })
	woken := w.Wake(t.Context(), controlplane.WakeIntent{InstanceID: in.ID}, time.Minute)
	for what, err := range map[string]error{"a change": changed, "a wake": woken} {
		var told *controlplane.Error
		if !errors.As(err, &told) || told.Code != controlplane.CodeUnavailable || !strings.Contains(told.What, "full") {
			t.Errorf("%s: %v", what, err)
		}
	}
}
