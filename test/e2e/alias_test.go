package e2e

import (
	"slices"
	"testing"
	"time"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// promptly is how soon an edge has to follow a change (issue 2): as a median,
// since a shared machine may sleep for longer than that.
const promptly = 100 * time.Millisecond

// TestAnAliasChangeIsVisibleAtOnce measures from the API's answer to the first
// request that an edge answers by the new route.
func TestAnAliasChangeIsVisibleAtOnce(t *testing.T) {
	t.Parallel()
	s := up(t)
	appID := s.importApp(app{Name: "app"})
	one, two := s.runApp(appID), s.runApp(appID)
	api, ctx := s.api(), t.Context()
	var took []time.Duration
	// seen waits until the edge follows a change that the API has answered.
	seen := func(what string, ok func() bool) {
		t.Helper()
		begin := time.Now()
		for !ok() {
			if time.Since(begin) > time.Second {
				t.Fatalf("%s: not visible after 1s", what)
			}
			time.Sleep(time.Millisecond)
		}
		took = append(took, time.Since(begin))
	}
	servedBy := func(name, instance string) func() bool {
		return func() bool {
			a := s.get(s.host(name), "/")
			return a.status == 200 && a.echo(t).Instance == instance
		}
	}
	redirects := func(name, to string) func() bool {
		return func() bool { a := s.get(s.host(name), "/"); return a.status == 302 && a.location == to }
	}
	missing := func(name string) func() bool {
		return func() bool { return s.get(s.host(name), "/").status == 404 }
	}
	yes, no := true, false
	change := func(_ *v1.Alias, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	change(api.CreateAlias(ctx, v1.AliasRequest{Name: "move", InstanceID: &one.ID}))
	seen("create", redirects("move", one.URL))
	change(api.PromoteAlias(ctx, "move"))
	seen("promote", servedBy("move", one.ID))
	seen("promote, at the instance's own host", redirects(one.ID, s.origin("move")+"/"))
	change(api.AssignAlias(ctx, "move", v1.AssignRequest{InstanceID: &two.ID, Primary: &no}))
	seen("assign", redirects("move", two.URL))
	seen("assign, at the old target", servedBy(one.ID, one.ID))
	change(api.AssignAlias(ctx, "move", v1.AssignRequest{}))
	seen("unassign", missing("move"))
	change(api.AssignAlias(ctx, "move", v1.AssignRequest{InstanceID: &one.ID, Primary: &yes}))
	seen("assign and promote", servedBy("move", one.ID))
	change(api.CreateAlias(ctx, v1.AliasRequest{Name: "second", InstanceID: &one.ID, Primary: &yes}))
	seen("a second primary", servedBy("second", one.ID))
	seen("the first is demoted", redirects("move", s.origin("second")+"/"))
	if err := api.DeleteAlias(ctx, "second"); err != nil {
		t.Fatal(err)
	}
	seen("delete", missing("second"))
	seen("delete, at the other alias", redirects("move", one.URL))
	report(t, "changes of every kind", took)

	took = nil
	targets := []*v1.Instance{two, one}
	for i := range 20 {
		s.assign(api, "move", targets[i%2].ID, true)
		seen("move", servedBy("move", targets[i%2].ID))
	}
	report(t, "20 moves", took)
}

// report logs the figures, and fails where the median is too slow.
func report(t *testing.T, what string, took []time.Duration) {
	t.Helper()
	slices.Sort(took)
	median, longest := took[len(took)/2], took[len(took)-1]
	t.Logf("figure: %s visible after %s (median), %s (maximum)", what, median.Round(time.Microsecond), longest.Round(time.Microsecond))
	if median > promptly {
		t.Errorf("%s: the median is %s, more than %s", what, median, promptly)
	}
}

// TestAliasCommandsSayWhatIsWrong holds warnings and exit codes.
func TestAliasCommandsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	s := up(t)
	one := s.run(app{Name: "app"})
	s.must("admin", "alias", "create", "taken", one.ID, "True")
	s.must("admin", "alias", "create", "free")
	unknown := "00000000-0000-4000-8000-000000000000"
	tests := []struct {
		name  string
		args  []string
		code  int
		words []string
	}{
		{"a name that is taken", []string{"create", "taken"}, 6, []string{"taken", "hint"}},
		{"a name that is taken, in upper case", []string{"create", "TAKEN"}, 6, []string{"taken"}},
		{"a leading hyphen", []string{"create", "--", "-x"}, 2, []string{"-x"}},
		{"punycode", []string{"create", "xn--a"}, 2, []string{"xn--"}},
		{"hyphens at places 3 and 4", []string{"create", "ab--c"}, 2, nil},
		{"a reserved name", []string{"create", "api"}, 2, []string{"reserved"}},
		{"the console's name", []string{"create", "console"}, 2, []string{"reserved"}},
		{"a name like an ID", []string{"create", unknown}, 2, nil},
		{"a name like an ID without hyphens", []string{"create", "00000000000040008000000000000000"}, 2, nil},
		{"a dot", []string{"create", "a.b"}, 2, nil},
		{"64 characters", []string{"create", "a123456789a123456789a123456789a123456789a123456789a123456789abcd"}, 2, nil},
		{"an unknown instance", []string{"create", "new", unknown}, 2, []string{unknown}},
		{"to an unknown instance", []string{"assign", "taken", unknown}, 2, []string{unknown}},
		{"an unknown alias", []string{"assign", "nobody", one.ID}, 3, []string{"nobody"}},
		{"promotion of an unknown alias", []string{"promote", "nobody"}, 3, []string{"nobody"}},
		{"promotion of an unassigned alias", []string{"promote", "free"}, 6, []string{"free"}},
		{"promotion of the primary alias", []string{"promote", "taken"}, 0, nil},
		{"deletion of an unknown alias", []string{"delete", "nobody"}, 3, []string{"nobody"}},
		{"an unknown alias to look at", []string{"get", "nobody"}, 3, []string{"nobody"}},
		{"primary that is no truth value", []string{"create", "new", one.ID, "maybe"}, 2, []string{"maybe"}},
		{"primary without an instance", []string{"create", "warned", "", "True"}, 0, []string{"warning"}},
		{"assignment that clears the primary bit", []string{"assign", "taken", one.ID}, 0, []string{"primary"}},
	}
	for _, x := range tests {
		t.Run(x.name, func(t *testing.T) {
			s.cli(append([]string{"admin", "alias"}, x.args...)...).wants(t, x.code, x.words...)
		})
	}
	t.Run("nothing refused was kept", func(t *testing.T) {
		list, err := s.api().Aliases(t.Context(), client.Page{})
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, a := range list.Items {
			names = append(names, a.Name)
			if a.Primary {
				t.Errorf("%s is primary", a.Name)
			}
		}
		slices.Sort(names)
		if !slices.Equal(names, []string{"free", "taken", "warned"}) {
			t.Errorf("there are the aliases %q", names)
		}
	})
}
