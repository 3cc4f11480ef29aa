package etcdstore_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/routing"
)

const (
	someID    = "0b5ab1de-3a5e-4f0c-9d0f-5a0c0f6c1a01"
	goodRoute = `{"app":"a","mode":"DOMAIN","status":"DEPLOYED","endpoint":"127.0.0.1:80","identity":"process:x","generation":3,` +
		`"primary_alias":"sales","visibility":"PUBLIC","owner":"ada","wake":"visitors","v":1}`
)

func event(key, value string) etcdstore.Event {
	e := etcdstore.Event{Key: key, Revision: 7}
	if value != "" {
		e.Value = []byte(value)
	}
	return e
}

func TestRouteChange(t *testing.T) {
	id, _ := routing.ParseID(someID)
	endpoint, err := routing.ParseEndpoint("127.0.0.1:80")
	if err != nil {
		t.Fatal(err)
	}
	before := (*routing.Table)(nil).Apply(1, []routing.Change{
		routing.PutInstance(routing.Instance{ID: id, App: "old"}), routing.PutAlias(routing.Alias{Name: "sales"}),
	})
	for name, c := range map[string]struct {
		event    etcdstore.Event
		instance *routing.Instance
		alias    *routing.Alias
	}{
		"instance": {event("routes/instance/"+someID, goodRoute), &routing.Instance{
			ID: id, App: "a", Endpoint: endpoint, Identity: "process:x", Generation: 3, Primary: "sales", Owner: "ada",
			Mode: routing.Domain, Status: routing.Deployed, Visibility: routing.Public, Wake: routing.WakeVisitors,
		}, &routing.Alias{Name: "sales"}},
		"instance gone": {event("routes/instance/"+someID, ""), nil, &routing.Alias{Name: "sales"}},
		"alias": {event("routes/alias/sales", `{"instance_id":"`+someID+`","v":1}`),
			&routing.Instance{ID: id, App: "old"}, &routing.Alias{Name: "sales", Instance: id, Assigned: true}},
		"alias unassigned": {event("routes/alias/sales", `{"v":1}`), &routing.Instance{ID: id, App: "old"}, &routing.Alias{Name: "sales"}},
		"alias gone":       {event("routes/alias/sales", ""), &routing.Instance{ID: id, App: "old"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			change, ok, err := etcdstore.RouteChange(c.event)
			if err != nil || !ok {
				t.Fatalf("ok %v, %v", ok, err)
			}
			table := before.Apply(2, []routing.Change{change})
			if got := table.Instance(id); (got == nil) != (c.instance == nil) || got != nil && *got != *c.instance {
				t.Errorf("instance %+v, want %+v", got, c.instance)
			}
			if got := table.Alias("sales"); (got == nil) != (c.alias == nil) || got != nil && *got != *c.alias {
				t.Errorf("alias %+v, want %+v", got, c.alias)
			}
		})
	}
}

func TestRouteChangePassesOverOtherKeys(t *testing.T) {
	for _, key := range []string{"routes/mark", "routes/keys/", "routes/revoked/else/x", "wake/" + someID, "routes/", ""} {
		if _, ok, err := etcdstore.RouteChange(event(key, `{"v":1}`)); ok || err != nil {
			t.Errorf("%q: ok %v, %v", key, ok, err)
		}
	}
}

func TestRouteChangeRefusesPoisonedRecords(t *testing.T) {
	poison := func(old, new string) string { return strings.Replace(goodRoute, old, new, 1) }
	instance := "routes/instance/" + someID
	for name, e := range map[string]etcdstore.Event{
		"no json":                  event(instance, `{`),
		"no object":                event(instance, `[]`),
		"empty value":              {Key: instance, Value: []byte{}},
		"empty object":             event(instance, `{"v":1}`),
		"key is no id":             event("routes/instance/x", goodRoute),
		"key is empty":             event("routes/instance/", goodRoute),
		"deleted key is no id":     event("routes/instance/x", ""),
		"newer schema":             event(instance, poison(`"v":1`, `"v":2`)),
		"newer schema, spaced":     event(instance, poison(`"v":1`, `"v" : 2, "x": {"v":1}`)),
		"newer schema, ours in it": event(instance, poison(`"v":1`, `"v":2,"x":{"v":1}`)),
		"mode":                     event(instance, poison("DOMAIN", "domain")),
		"status":                   event(instance, poison("DEPLOYED", "RUNNING")),
		"terminating":              event(instance, poison("DEPLOYED", "TERMINATING")),
		"visibility":               event(instance, poison("PUBLIC", "")),
		"wake":                     event(instance, poison("visitors", "everybody")),
		"endpoint host name":       event(instance, poison("127.0.0.1:80", "localhost:80")),
		"endpoint placeholder":     event(instance, poison("127.0.0.1:80", "{env.SECRET}:80")),
		"endpoint no port":         event(instance, poison("127.0.0.1:80", "127.0.0.1")),
		"endpoint port 0":          event(instance, poison("127.0.0.1:80", "127.0.0.1:0")),
		"endpoint relative":        event(instance, poison("127.0.0.1:80", "run/app.sock")),
		"endpoint braces":          event(instance, poison("127.0.0.1:80", "/run/{x}.sock")),
		"endpoint line feed":       event(instance, poison("127.0.0.1:80", `/run/a\nb`)),
		"endpoint too long":        event(instance, poison("127.0.0.1:80", "/"+strings.Repeat("a", 107))),
		"generation text":          event(instance, poison(`"generation":3`, `"generation":"3"`)),
		"policy too large":         event("routes/policy/a", strings.Repeat(" ", 1<<20)+"{}"),
		"policy owner too long":    event("routes/policy/a", `{"lifecycle":"MANAGED","visibility":"PUBLIC","owner":"`+strings.Repeat("a", 65<<10)+`"}`),
		"policy role too long":     event("routes/policy/a", `{"lifecycle":"MANAGED","visibility":"PUBLIC","visitor_roles":["`+strings.Repeat("a", 65<<10)+`"]}`),
		"key too long":             event("routes/policy/"+strings.Repeat("a", 65<<10), `{"lifecycle":"MANAGED","visibility":"PUBLIC"}`),
		"alias no json":            event("routes/alias/sales", `x`),
		"alias to no id":           event("routes/alias/sales", `{"instance_id":"x","v":1}`),
		"alias of newer schema":    event("routes/alias/sales", `{"instance_id":"`+someID+`","v":2}`),
		"alias to a wrong type":    event("routes/alias/sales", `{"instance_id":7,"v":1}`),
		"alias to a braced uuid":   event("routes/alias/sales", `{"instance_id":"{`+someID+`}","v":1}`),
	} {
		t.Run(name, func(t *testing.T) {
			if _, ok, err := etcdstore.RouteChange(e); err == nil || ok || !strings.Contains(err.Error(), "read "+e.Key) {
				t.Errorf("ok %v, error %v", ok, err)
			}
		})
	}
}

// What the largest tags and the longest title make of an app comes to edges.
func TestTheLargestPolicyIsTaken(t *testing.T) {
	w := newWorld(t)
	app := newApp("large")
	app.Title = strings.Repeat("é", 100<<10)
	for n := range 20 {
		tag := &controlplane.Tag{Name: fmt.Sprint("large", n)}
		for i := range 50 {
			tag.VisitorRoles = append(tag.VisitorRoles, fmt.Sprintf("%s%02d%02d", strings.Repeat("<", 96), n, i))
		}
		w.put(tag)
		app.Tags = append(app.Tags, tag.Name)
	}
	w.put(app)
	key := "routes/policy/" + app.ID
	change, ok, err := etcdstore.RouteChange(event(key, w.raw(key)))
	if !ok || err != nil {
		t.Fatal(ok, err)
	}
	p := routing.NewTable().Apply(1, []routing.Change{change}).Policy(app.ID)
	if len(p.VisitorRoles) != 1000 || p.Title != strings.Repeat("é", 250) {
		t.Errorf("%d roles, title of %d bytes", len(p.VisitorRoles), len(p.Title))
	}
	w.update(func(tx controlplane.Tx) error { return tx.Delete(app) })
}

func TestRouteKeys(t *testing.T) {
	id, ok := etcdstore.RouteInstance("routes/instance/" + someID)
	if !ok || etcdstore.InstanceRouteKey(id) != "routes/instance/"+someID || etcdstore.AliasRouteKey("sales") != "routes/alias/sales" {
		t.Errorf("%v %v", id, ok)
	}
	for _, key := range []string{"routes/instance/x", "routes/alias/" + someID, ""} {
		if _, ok := etcdstore.RouteInstance(key); ok {
			t.Errorf("%q is an instance's", key)
		}
	}
}

// Whatever is in etcd: no panic, and what is taken can be applied and is one
// record that routing can hold.
func FuzzRouteChange(f *testing.F) {
	f.Add("routes/instance/"+someID, []byte(goodRoute))
	f.Add("routes/alias/sales", []byte(`{"instance_id":"`+someID+`","v":1}`))
	f.Add("routes/alias/", []byte(`{"v":1}`))
	f.Add("routes/policy/x", []byte(nil))
	f.Fuzz(func(t *testing.T, key string, value []byte) {
		change, ok, err := etcdstore.RouteChange(etcdstore.Event{Key: key, Value: value})
		if ok && err != nil {
			t.Fatalf("taken with the error %v", err)
		}
		if !ok {
			return
		}
		table := routing.NewTable().Apply(1, []routing.Change{change})
		for in := range table.AllInstances() {
			if got, ok := etcdstore.RouteInstance(key); !ok || in.ID != got {
				t.Errorf("key %q put instance %v", key, in.ID)
			}
			if e := in.Endpoint; !e.IsZero() {
				if again, err := routing.ParseEndpoint(e.String()); err != nil || again != e {
					t.Errorf("endpoint %q: %v", e, err)
				}
			}
		}
		for a := range table.AllAliases() {
			if etcdstore.AliasRouteKey(a.Name) != key {
				t.Errorf("key %q put alias %q", key, a.Name)
			}
		}
	})
}
