package controlplane_test

import (
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
)

const link = "[App]\nName = \"site\"\nVersion = \"1\"\nInstanceLifecycle = \"LINK\"\n[Link]\nAddress = \"https://example.com\"\n"

func TestAliasNames(t *testing.T) {
	in := install(t)
	for name, ok := range map[string]bool{
		"a":                                    true,
		"7":                                    true,
		"sales":                                true,
		"sales-2026":                           true,
		"a-b":                                  true,
		"ab-":                                  false,
		"-ab":                                  false,
		"-":                                    false,
		"":                                     false,
		"a--b":                                 true, // at 2 and 3
		"ab--c":                                false,
		"xn--bcher-kva":                        false,
		"abc--d":                               true, // at 4 and 5
		"SALES-EU":                             true,
		"a.b":                                  false,
		"a_b":                                  false,
		"a b":                                  false,
		"a\n":                                  false,
		"bücher":                               false,
		"*":                                    false,
		"{host}":                               false,
		"a/b":                                  false,
		strings.Repeat("a", 63):                true,
		strings.Repeat("a", 64):                false,
		strings.Repeat("0", 32):                false,
		strings.Repeat("0", 31):                true,
		strings.Repeat("0", 33):                true,
		strings.Repeat("0", 31) + "g":          true,
		strings.Repeat("F", 32):                false,
		"0b5ab1de-3a5e-4f0c-9d0f-5a0c0f6c1a01": false,
		"0b5ab1de3a5e-4f0c-9d0f-5a0c0f6c1a01":  false, // hyphens elsewhere
		"0-b5ab1de3a5e4f0c9d0f5a0c0f6c1a0-1":   false,
		"console":                              false, "api": false, "www": false, "admin": false, "auth": false, "login": false,
		"instance": false, "static": false, "mail": false, "MAIL": false, "mail2": true,
	} {
		t.Run(name, func(t *testing.T) {
			a, err := in.CreateAlias(t.Context(), admin, controlplane.NewAlias{Name: name})
			if !ok {
				wantCode(t, err, controlplane.CodeInvalid)
				return
			}
			wantCode(t, err, "")
			if err == nil {
				same(t, "name", a.Name, strings.ToLower(name))
			}
		})
	}
}

func TestADuplicateAliasIsRefused(t *testing.T) {
	in := install(t)
	for _, name := range []string{"sales", "quarterl-repo-rtof-2026-forthesalesx"} {
		first, err := in.CreateAlias(t.Context(), admin, controlplane.NewAlias{Name: name})
		wantCode(t, err, "")
		for _, again := range []string{name, strings.ToUpper(name)} {
			_, err = in.CreateAlias(t.Context(), admin, controlplane.NewAlias{Name: again})
			wantCode(t, err, controlplane.CodeConflict, "exists already")
		}
		now, err := in.Alias(t.Context(), admin, name)
		wantCode(t, err, "")
		same(t, "the first one", now.ID, first.ID)
	}
}

func TestAliasesAreTheAdmins(t *testing.T) {
	in := install(t)
	for code, actor := range map[controlplane.Code]controlplane.Actor{controlplane.CodeUnauthorized: {}, controlplane.CodeForbidden: ada} {
		_, create := in.CreateAlias(t.Context(), actor, controlplane.NewAlias{Name: "sales"})
		_, assign := in.AssignAlias(t.Context(), actor, "sales", "", false)
		_, promote := in.PromoteAlias(t.Context(), actor, "sales")
		_, remove := in.DeleteAlias(t.Context(), actor, "sales")
		for _, err := range []error{create, assign, promote, remove} {
			wantCode(t, err, code)
		}
	}
}

func TestTargetsThatCannotBe(t *testing.T) {
	in := install(t)
	app := in.mustImport(ada, demo("demo", "1", "", ""))
	site := in.mustImport(ada, link)
	ending, gone := in.mustRun(ada, app), in.mustRun(ada, app)
	if _, err := in.TerminateInstance(t.Context(), ada, ending.ID); err != nil {
		t.Fatal(err)
	}
	in.gone(gone.ID)
	if _, err := in.CreateAlias(t.Context(), admin, controlplane.NewAlias{Name: "there"}); err != nil {
		t.Fatal(err)
	}
	for name, target := range map[string]string{
		"unknown":            "0b5ab1de-3a5e-4f0c-9d0f-5a0c0f6c1a01",
		"unknown prefix":     "0b5ab1",
		"no ID":              "demo",
		"terminating":        ending.ID,
		"terminating prefix": ending.ID[:8],
		"terminated":         gone.ID,
		"a link app":         site.ID,
		"an app":             app.ID,
	} {
		t.Run(name, func(t *testing.T) {
			before := in.revision()
			_, err := in.CreateAlias(t.Context(), admin, controlplane.NewAlias{Name: "sales", InstanceID: target, Primary: true})
			wantCode(t, err, controlplane.CodeUnprocessable, target)
			_, err = in.AssignAlias(t.Context(), admin, "there", target, true)
			wantCode(t, err, controlplane.CodeUnprocessable, target)
			same(t, "revision", in.revision(), before)
		})
	}
}

// scene is two instances and three aliases: one and two lead to a, one is its
// primary; other leads to b and is its primary.
type scene struct {
	*installation
	a, b string
}

func newScene(t *testing.T) *scene {
	t.Helper()
	in := install(t)
	app := in.mustImport(ada, demo("demo", "1", "", ""))
	s := &scene{in, in.mustRun(ada, app).ID, in.mustRun(ada, app).ID}
	for _, n := range []controlplane.NewAlias{{"one", s.a, true}, {"two", s.a, false}, {"other", s.b, true}, {"loose", "", false}} {
		if _, err := in.CreateAlias(t.Context(), admin, n); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

// state is the whole scene: "one>a* two>a other>b* loose" with * for primary.
func (s *scene) state() string {
	s.Helper()
	list, err := s.Aliases(s.Context(), admin, controlplane.Page{})
	if err != nil {
		s.Fatal(err)
	}
	places := map[string]string{s.a: ">a", s.b: ">b", "": ""}
	var words []string
	for _, a := range list.Items {
		word := a.Name + places[a.InstanceID]
		if a.Primary {
			word += "*"
		}
		if a.InstanceID != "" && !a.Active {
			word += "!"
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func TestMovesOfAliases(t *testing.T) {
	const begin = "loose one>a* other>b* two>a"
	type change = func(*scene) (*controlplane.AliasState, error)
	assign := func(name, target string, primary bool) change {
		return func(s *scene) (*controlplane.AliasState, error) {
			id := map[string]string{"a": s.a, "b": s.b, "a's prefix": s.a[:13], "": ""}[target]
			return s.AssignAlias(s.Context(), admin, name, id, primary)
		}
	}
	promote := func(name string) change {
		return func(s *scene) (*controlplane.AliasState, error) { return s.PromoteAlias(s.Context(), admin, name) }
	}
	create := func(name, target string, primary bool) change {
		return func(s *scene) (*controlplane.AliasState, error) {
			id := map[string]string{"a": s.a, "": ""}[target]
			return s.CreateAlias(s.Context(), admin, controlplane.NewAlias{Name: name, InstanceID: id, Primary: primary})
		}
	}
	remove := func(name string) change {
		return func(s *scene) (*controlplane.AliasState, error) {
			_, err := s.DeleteAlias(s.Context(), admin, name)
			return nil, err
		}
	}
	terminate := func(s *scene) (*controlplane.AliasState, error) {
		_, err := s.TerminateInstance(s.Context(), ada, s.a)
		return nil, err
	}
	for name, c := range map[string]struct {
		change  change
		want    string
		warning string // part of the one warning
		code    controlplane.Code
		idle    bool // no revision
	}{
		"create primary demotes the other":           {change: create("new", "a", true), want: "loose new>a* one>a other>b* two>a"},
		"create without True":                        {change: create("new", "a", false), want: "loose new>a one>a* other>b* two>a"},
		"create primary without an instance":         {change: create("new", "", true), want: "loose new one>a* other>b* two>a", warning: "ignored"},
		"assign without True clears the primary bit": {change: assign("one", "a", false), want: "loose one>a other>b* two>a", warning: "not primary any more"},
		"assign of no primary":                       {change: assign("two", "a", false), want: begin, idle: true},
		"assign True on the spot":                    {change: assign("two", "a", true), want: "loose one>a other>b* two>a*"},
		"assign True of the primary":                 {change: assign("one", "a", true), want: begin, idle: true},
		"a move leaves the old target without":       {change: assign("one", "b", false), want: "loose one>b other>b* two>a", warning: "not primary any more"},
		"a move with True promotes and demotes":      {change: assign("one", "b", true), want: "loose one>b* other>b two>a"},
		"a move of no primary leaves both primaries": {change: assign("two", "b", false), want: "loose one>a* other>b* two>b"},
		"first assignment":                           {change: assign("loose", "b", false), want: "loose>b one>a* other>b* two>a"},
		"first assignment with True":                 {change: assign("loose", "b", true), want: "loose>b* one>a* other>b two>a"},
		"by prefix and in capitals":                  {change: assign("LOOSE", "a's prefix", false), want: "loose>a one>a* other>b* two>a"},
		"unassign of the primary":                    {change: assign("one", "", false), want: "loose one other>b* two>a"},
		"unassign of another":                        {change: assign("two", "", false), want: "loose one>a* other>b* two"},
		"unassign with True":                         {change: assign("two", "", true), want: "loose one>a* other>b* two", warning: "ignored"},
		"promote demotes the other":                  {change: promote("two"), want: "loose one>a other>b* two>a*"},
		"promote of the primary":                     {change: promote("one"), want: begin, idle: true},
		"promote of the unassigned":                  {change: promote("loose"), want: begin, code: controlplane.CodeConflict, idle: true},
		"promote of what is not there":               {change: promote("nobody"), want: begin, code: controlplane.CodeNotFound, idle: true},
		"assign of what is not there":                {change: assign("nobody", "a", true), want: begin, code: controlplane.CodeNotFound, idle: true},
		"delete of a primary":                        {change: remove("one"), want: "loose other>b* two>a"},
		"delete of another":                          {change: remove("two"), want: "loose one>a* other>b*"},
		"delete of what is not there":                {change: remove("nobody"), want: begin, code: controlplane.CodeNotFound, idle: true},
		"termination keeps the assignment":           {change: terminate, want: "loose one>a! other>b* two>a!"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t)
			same(t, "in the beginning", s.state(), begin)
			before := s.revision()
			out, err := c.change(s)
			wantCode(t, err, c.code)
			want := before + 1
			if c.idle {
				want = before
			}
			same(t, "revision: one for a change, none without", s.revision(), want)
			if err == nil && out != nil {
				same(t, "revision that is told", out.ChangedAt, want)
				if (c.warning == "") != (len(out.Warnings) == 0) || !strings.Contains(strings.Join(out.Warnings, ""), c.warning) {
					t.Errorf("warnings %q, want %q", out.Warnings, c.warning)
				}
				now, err := s.Alias(t.Context(), admin, out.ID)
				wantCode(t, err, "")
				same(t, "what is told", *out.Alias, *now.Alias)
				same(t, "primary and active", [2]bool{out.Primary, out.Active}, [2]bool{now.Primary, now.Active})
			}
			same(t, "in the end", s.state(), c.want)
			a, err := s.Instance(t.Context(), ada, s.a)
			wantCode(t, err, "")
			if p := a.PrimaryAlias; p != "" && !strings.Contains(s.state(), p+">a*") {
				t.Errorf("a names %q as its primary, and that is not so", p)
			}
		})
	}
}

func TestAliasesOfATerminatedInstance(t *testing.T) {
	s := newScene(t)
	if _, err := s.TerminateInstance(t.Context(), ada, s.a); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []bool{false, true} {
		if gone {
			s.gone(s.a)
		}
		one, err := s.Alias(t.Context(), admin, "one")
		wantCode(t, err, "")
		if one.InstanceID != s.a || one.Active || one.Primary {
			t.Errorf("record gone %v: %+v, active %v, primary %v", gone, one.Alias, one.Active, one.Primary)
		}
		_, err = s.PromoteAlias(t.Context(), admin, "one")
		wantCode(t, err, controlplane.CodeConflict, "terminated")
	}
	moved, err := s.AssignAlias(t.Context(), admin, "one", s.b, true)
	wantCode(t, err, "")
	if !moved.Active || !moved.Primary || len(moved.Warnings) != 0 {
		t.Errorf("moved: %+v", moved)
	}
	if _, err := s.DeleteAlias(t.Context(), admin, "two"); err != nil {
		t.Error(err)
	}
}
