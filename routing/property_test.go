package routing

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// pool is the small world from which random tables and requests are drawn, so
// that they meet often. The names include those that no alias may have.
var pool = struct{ ids, names, custom, rests []string }{
	ids:    []string{dom, domP, base, baseP, gone},
	names:  []string{"a", "b", "c", "console", gone},
	custom: []string{"shop.example.org", "www.example.net", "apps.example.com", "x.apps.example.com", "10.0.0.1", "Evil.example"},
	rests: []string{
		"", "/", "/a", "//evil.example", `/\evil.example`, "/@evil", "/%0d%0aX", "/.slipway/wait", "/.slipway",
		"/..", "/%2e%2e/", "/a%2f..", "/...", "/instance/", "/instance/x", "/a b", "/\xff", "/;x",
	},
}

func pick(r *rand.Rand, from []string) string { return from[r.IntN(len(from))] }

// randomTable is not consistent: primaries name aliases of other instances,
// unassigned ones, and none.
func randomTable(t testing.TB, r *rand.Rand) *Table {
	var changes []Change
	names := slices.Concat(pool.names, pool.custom)
	for _, s := range pool.ids {
		if r.IntN(6) == 0 {
			continue
		}
		in := Instance{
			ID: mustID(t, s), Mode: Mode(r.IntN(2)), Status: Status(r.IntN(len(statusNames))),
			Visibility: Visibility(r.IntN(3)),
		}
		if r.IntN(3) > 0 {
			in.Primary = pick(r, names)
		}
		changes = append(changes, PutInstance(in))
	}
	for _, name := range names {
		if r.IntN(5) > 0 {
			id := mustID(t, pick(r, pool.ids))
			changes = append(changes, PutAlias(Alias{Name: name, Instance: id, Assigned: r.IntN(6) > 0}))
		}
	}
	return NewTable().Apply(1, changes)
}

func randomRequest(r *rand.Rand) Request {
	spell := func(s string) string {
		if r.IntN(6) == 0 {
			return strings.ToUpper(s)
		}
		return s
	}
	host := "apps.example.com"
	switch r.IntN(4) {
	case 0:
		host = pick(r, pool.ids) + "." + host
	case 1:
		host = pick(r, pool.names) + "." + host
	case 2:
		host = pick(r, pool.custom)
	}
	host = spell(host) + []string{"", "", "", ".", ":1", ".:2"}[r.IntN(6)]
	target := pick(r, pool.rests)
	for range r.IntN(3) {
		target = "/instance/" + spell(pick(r, pool.ids)) + target
	}
	target += []string{"", "", "?", "?a;b=1&c", "?/../"}[r.IntN(5)]
	return Request{
		Method: []string{"GET", "HEAD", "POST", "OPTIONS"}[r.IntN(4)],
		Host:   host, Target: target,
		Upgrade: r.IntN(4) == 0, Bearer: r.IntN(3) == 0,
	}
}

// checkDecision holds for every decision, whatever table and request.
func checkDecision(t *testing.T, table *Table, site *Site, r Request, d Decision) {
	t.Helper()
	if d.Rule == RuleNone || d.Rule.String() == "" {
		t.Errorf("%+v: decided without a rule: %+v", r, d)
	}
	if (d.Location != "") != (d.Kind == Redirect) {
		t.Errorf("%+v: kind %s with location %q", r, d.Kind, d.Location)
	}
	switch d.Kind {
	case Serve, Own:
		if d.Status != 0 || d.Instance == nil || d.Rest == "" || d.Rest[0] != '/' {
			t.Errorf("%+v: %+v", r, d)
		}
	case Redirect:
		checkLocation(t, table, site, r, d)
	}
	if d.Kind == Serve && d.Instance.Mode == BaseURL && climbs(d.Rest) {
		t.Errorf("%+v: serves %q", r, d.Rest)
	}
	if d.HasQuery && !strings.HasSuffix(r.Target, "?"+d.Query) {
		t.Errorf("%+v: query is %q", r, d.Query)
	}
}

// checkLocation: the URL is ours, carries the rest as received, and is served
// when it is requested.
func checkLocation(t *testing.T, table *Table, site *Site, r Request, d Decision) {
	t.Helper()
	if d.Status != 307 && (d.Status != 302 || (r.Method != "GET" && r.Method != "HEAD" && !site.strict)) {
		t.Errorf("%+v: status %d", r, d.Status)
	}
	if d.Instance == nil {
		if d.Location != site.ConsoleURL() {
			t.Errorf("%+v: to %q", r, d.Location)
		}
	} else {
		rest, query, found := strings.Cut(d.Location, "?")
		if found != d.HasQuery || query != d.Query {
			t.Errorf("%+v: query of %q", r, d.Location)
		}
		tail := d.Rest
		if d.Instance.Mode == BaseURL {
			tail = "/instance/" + d.Instance.ID.String() + tail
		}
		name, ours := strings.CutSuffix(rest, tail)
		name, port := strings.CutSuffix(strings.TrimPrefix(name, site.scheme+"://"), site.port)
		if !ours || !port || !ourHost(table, site, name) {
			t.Errorf("%+v: %q is not ours", r, d.Location)
		}
		// The rest is what the target holds just before its query.
		received, _, _ := strings.Cut(r.Target, "?")
		if !strings.HasSuffix(received, d.Rest) && (d.Rest != "/" || received[len(received)-1] == '/') {
			t.Errorf("%+v: rest is %q", r, d.Rest)
		}
		if u, err := url.Parse(d.Location); err != nil {
			t.Errorf("%+v: %v", r, err)
		} else if u.Hostname() != name || u.User != nil || u.Scheme != site.scheme || ":"+u.Port() != site.port {
			t.Errorf("%+v: a client takes %q for host %q", r, d.Location, u.Host)
		}
	}
	again := table.Decide(site, Request{Method: r.Method, Target: d.Location, Upgrade: r.Upgrade, Bearer: r.Bearer})
	switch {
	case d.Instance == nil && again.Kind == Console:
	case (again.Kind == Serve || again.Kind == Own) && again.Instance == d.Instance && again.Rest == d.Rest:
	default:
		t.Errorf("%+v: to %q (%s), and there %s (%s)", r, d.Location, d.Rule, short(again), again.Rule)
	}
}

func ourHost(table *Table, site *Site, name string) bool {
	if name == site.base {
		return true
	}
	if label, ok := strings.CutSuffix(name, "."+site.base); ok {
		id, isID := ParseID(label)
		return isID && table.Instance(id) != nil || !isID && table.Alias(label) != nil
	}
	return strings.Contains(name, ".") && table.Alias(name) != nil
}

func TestOneHop(t *testing.T) {
	kinds := map[Kind]int{}
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 1))
		table, site := randomTable(t, r), testSite(t, seed%4 == 0)
		for range 200 {
			request := randomRequest(r)
			d := table.Decide(site, request)
			kinds[d.Kind]++
			checkDecision(t, table, site, request, d)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	for _, kind := range []Kind{BadRequest, NotFound, Redirect, Serve, Own, Console} {
		if kinds[kind] < 100 {
			t.Errorf("%s was decided %d times: the test is too narrow", kind, kinds[kind])
		}
	}
}

// Two records that claim each other's alias must not send a client in circles.
func TestPrimaryThatLeadsElsewhere(t *testing.T) {
	site, x, y := testSite(t, false), mustID(t, dom), mustID(t, domP)
	own := func(id ID) string { return "302 https://" + id.String() + ".apps.example.com:8443/" }
	for _, tc := range []struct {
		name    string
		aliases []Alias
		host    string
		want    string
	}{
		{"crossed", []Alias{{"a", y, true}, {"b", x, true}}, "a.apps.example.com", own(y)},
		{"crossed, the other way", []Alias{{"a", y, true}, {"b", x, true}}, "b.apps.example.com", own(x)},
		{"no such alias", nil, dom + ".apps.example.com", "serve /"},
		{"unassigned", []Alias{{"a", x, false}}, dom + ".apps.example.com", "serve /"},
		{"straight", []Alias{{"a", x, true}, {"b", y, true}}, dom + ".apps.example.com", "302 https://a.apps.example.com:8443/"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			changes := []Change{
				PutInstance(Instance{ID: x, Primary: "a"}),
				PutInstance(Instance{ID: y, Primary: "b"}),
			}
			for _, alias := range tc.aliases {
				changes = append(changes, PutAlias(alias))
			}
			d := NewTable().Apply(1, changes).Decide(site, Request{Method: "GET", Host: tc.host, Target: "/"})
			if got := short(d); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
	for _, name := range []string{"console", gone, "apps.example.com", "console.apps.example.com", "x.apps.example.com", "10.0.0.1", "A", "a b", "a.", ""} {
		t.Run(fmt.Sprintf("unreachable %q", name), func(t *testing.T) {
			table := NewTable().Apply(1, []Change{
				PutInstance(Instance{ID: x, Primary: name}), PutAlias(Alias{name, x, true}),
			})
			d := table.Decide(site, Request{Method: "GET", Host: dom + ".apps.example.com", Target: "/"})
			if got := short(d); got != "serve /" {
				t.Errorf("got %q", got)
			}
		})
	}
}
