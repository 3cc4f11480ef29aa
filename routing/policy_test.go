package routing

import "testing"

func TestPoliciesAndRecords(t *testing.T) {
	a := Policy{App: "a", Owner: "ann", VisitorRoles: []string{"x"}}
	old := NewTable().Apply(1, []Change{PutPolicy(a), PutPolicy(Policy{App: "b"}), PutRecord(Record{Name: "settings", Value: "{}"})})
	for name, c := range map[string]Change{
		"owner": PutPolicy(Policy{App: "a", Owner: "bob", VisitorRoles: []string{"x"}}), "roles": PutPolicy(Policy{App: "a", Owner: "ann"}),
		"managed": PutPolicy(Policy{App: "b", Managed: true}), "visibility": PutPolicy(Policy{App: "b", Visibility: Public}),
		"identity": PutPolicy(Policy{App: "b", Identity: true}), "title": PutPolicy(Policy{App: "b", Title: "B"}),
		"a new one": PutPolicy(Policy{App: "c"}), "deleted": DeletePolicy("a"),
		"a record's value": PutRecord(Record{Name: "settings"}), "epoch": PutRecord(Record{Name: "settings", Value: "{}", Epoch: 1}),
		"a new record": PutRecord(Record{Name: "keys/k"}), "a record deleted": DeleteRecord("settings"),
	} {
		table := old.Apply(2, []Change{c})
		if old.Has(c) || !table.Has(c) {
			t.Errorf("%s: had %t, has %t", name, old.Has(c), table.Has(c))
		}
	}
	for name, c := range map[string]Change{
		"the same": PutPolicy(a), "the same record": PutRecord(Record{Name: "settings", Value: "{}"}),
		"nothing deleted": DeletePolicy("z"), "no record deleted": DeleteRecord("z"),
	} {
		if !old.Has(c) {
			t.Errorf("%s is said to be new", name)
		}
	}
	table := old.Apply(2, []Change{DeletePolicy("a"), DeleteRecord("settings"), DeleteRecord("none")})
	if p, r := table.LenOthers(); p != 1 || r != 0 || table.Policy("a") != nil || table.Policy("b") == nil || table.Record("settings") != nil {
		t.Errorf("%d policies, %d records", p, r)
	}
	if p, r := old.LenOthers(); p != 2 || r != 1 || old.Policy("a").Owner != "ann" || old.Record("settings").Value != "{}" {
		t.Error("the old table has changed")
	}
	var none *Table
	if p, r := none.LenOthers(); p+r != 0 || none.Policy("a") != nil || none.Record("settings") != nil {
		t.Error("an empty table holds something")
	}
}

func TestSplitRest(t *testing.T) {
	for _, tc := range []struct {
		rest, path, query string
		base              bool // it is good for a BASE_URL instance too
		ok                bool
	}{
		{"/", "/", "", true, true},
		{"/a%2fb?c?d", "/a%2fb", "?c?d", true, true},
		{"//evil.example", "//evil.example", "", true, true},
		{`/\evil.example`, `/\evil.example`, "", true, true},
		{"/a/../b", "/a/../b", "", false, true},
		{"/?", "/", "?", true, true},
		{"", "", "", false, false},
		{"a", "", "", false, false},
		{"?a", "", "", false, false},
		{"http://evil.example/", "", "", false, false},
		{"/a\r\nb", "", "", false, false},
		{"/a#b", "", "", false, false},
		{"/%", "", "", false, false},
		{"/\t", "", "", false, false},
	} {
		for mode, want := range map[Mode]bool{Domain: tc.ok, BaseURL: tc.ok && tc.base} {
			path, query, ok := SplitRest(&Instance{Mode: mode}, tc.rest)
			if ok != want || ok && (path != tc.path || query != tc.query) {
				t.Errorf("%q for %s: %q, %q, %t", tc.rest, mode, path, query, ok)
			}
		}
	}
}

func TestCanonicalOrigin(t *testing.T) {
	table, site := testTable(t), testSite(t, false)
	for in, want := range map[string]string{
		dom: "https://" + dom + ".apps.example.com", domC: "https://shop.example.org",
		base: "https://apps.example.com", baseP: "https://bp.apps.example.com",
	} {
		key, _ := ParseID(in)
		instance := table.Instance(key)
		if got := table.CanonicalOrigin(site, instance); got != want+portOf(site) {
			t.Errorf("%s: %s, want %s", in, got, want+portOf(site))
		}
		if got := table.CanonicalURL(site, instance, "/a", "?b"); got[:len(want)] != want || got[len(got)-4:] != "/a?b" {
			t.Errorf("%s: %s", in, got)
		}
	}
}

func portOf(s *Site) string {
	if s.Port() == "" {
		return ""
	}
	return ":" + s.Port()
}
