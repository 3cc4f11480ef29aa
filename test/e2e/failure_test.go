package e2e

import (
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-dbc68772/slipway/controlplane/bundle/bundletest"
)

// files are the files below a folder of the data folder.
func (s *slipway) files(dir string) []string {
	s.t.Helper()
	var found []string
	err := filepath.WalkDir(filepath.Join(s.data, dir), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return found
}

// TestABadBundleLeavesNothing: every fault is named, and nothing is kept.
func TestABadBundleLeavesNothing(t *testing.T) {
	t.Parallel()
	s := up(t)
	good := app{Name: "good"}
	goodID := s.importApp(good)
	before := s.files("bundles")
	manifest := good.Manifest()
	python := "AppMode = \"python\"\nModule = \"app\""
	tests := []struct {
		name    string
		archive []byte
		code    int
		words   []string
	}{
		{"not a zip", []byte("hello"), 2, []string{"zip"}},
		{"a truncated zip", good.Bundle(t)[:1000], 2, nil},
		{"an entry that leads out", bundletest.Zip(t, map[string]string{"app.toml": manifest, "../evil": "x"}), 2, []string{"../evil"}},
		{"no manifest", bundletest.Zip(t, map[string]string{"main.py": "x"}), 2, []string{"app.toml"}},
		{"no TOML", bundletest.Zip(t, map[string]string{"app.toml": "[App\n"}), 2, []string{"app.toml:1"}},
		{"several faults", bundletest.Zip(t, map[string]string{
			"app.toml": "[App]\nName = \"a b\"\nVersion = \"one\"\n[Runtime]\nAppMode = \"python\"\nRoutingMode = \"PATH\"\n",
		}), 2, []string{"app.toml:2", "app.toml:3", "app.toml:6", "Module"}},
		{"an option in requirements.txt", app{Name: "bad", Runtime: python,
			Files: map[string]string{"app.py": "", "requirements.txt": "flask\n--index-url http://evil.example\n"}}.Bundle(t), 2, []string{"requirements.txt:2"}},
		{"the same again", good.Bundle(t), 6, []string{"good", "1.0.0"}},
	}
	for _, x := range tests {
		t.Run(x.name, func(t *testing.T) {
			path := s.file("bad.wave", x.archive)
			s.cli("bundle", "import", path).wants(t, x.code, x.words...)
			if x.code == 2 {
				s.cli("bundle", "validate", path).wants(t, 2, x.words...)
			}
			if diff := cmp.Diff(before, s.files("bundles")); diff != "" {
				t.Errorf("it left behind:\n%s", diff)
			}
		})
	}
	if list := s.must("app", "list", "-o", "name"); id(list) != goodID {
		t.Errorf("there are the apps %s", list)
	}
}

// TestWhatDoesNotRunSaysWhy holds reasons and exit codes.
func TestWhatDoesNotRunSaysWhy(t *testing.T) {
	t.Parallel()
	s := newSlipway(t, "--no-sample")
	// Nothing is on this PATH, a python3 neither.
	s.env = slices.DeleteFunc(s.env, func(line string) bool { return strings.HasPrefix(line, "PATH=") })
	s.env = append(s.env, "PATH="+t.TempDir())
	s.start()
	unknown := "00000000-0000-4000-8000-000000000000"

	t.Run("an app that ends at once", func(t *testing.T) {
		appID := s.importApp(app{Name: "exits", Env: map[string]string{"EXIT_AT_ONCE": "1"}})
		s.cli("app", "run", appID, "-v", "PUBLIC", "--wait").wants(t, 1, "crashed", "slipway instance logs")
		instance := id(s.must("instance", "list", "-o", "name"))
		in := s.instance(instance)
		if in.Status != "FAILED" || in.Reason == nil || in.Reason.Code != "crashed" {
			t.Errorf("%s, %+v", in.Status, in.Reason)
		}
		if log := s.must("instance", "logs", instance); !strings.Contains(log, "ends at once") {
			t.Errorf("its log: %s", log)
		}
		if a := s.get(s.host(instance), "/"); a.status != 503 || a.header.Get("Retry-After") == "" {
			t.Errorf("a visit: %d %v", a.status, a.header)
		}
		s.must("instance", "terminate", instance, "--wait")
	})
	t.Run("a Python app without a python3", func(t *testing.T) {
		python := app{Name: "python", Runtime: "AppMode = \"python\"\nModule = \"app\"", Files: map[string]string{"app.py": ""}}
		r := s.cli("bundle", "import", s.file("python.wave", python.Bundle(t)))
		r.wants(t, 0)
		if !strings.Contains(r.out+r.err, "apt-get install python3") {
			t.Errorf("the import does not say how to get a python3:\n%s%s", r.out, r.err)
		}
		appID := ""
		for a, err := range s.api().AllApps(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			if a.Name == "python" {
				appID = a.ID
				if a.Runnable || len(a.Reasons) != 1 || a.Reasons[0].Code != "dependencies" {
					t.Errorf("runnable %v, %v", a.Runnable, a.Reasons)
				}
			}
		}
		s.cli("app", "run", appID, "--wait").wants(t, 6, "apt-get install python3")
	})
	t.Run("unknown IDs", func(t *testing.T) {
		for _, args := range []string{"app get", "app run", "app delete", "instance get", "instance logs", "instance suspend", "instance resume", "instance terminate"} {
			s.cli(append(strings.Fields(args), unknown)...).wants(t, 3, unknown)
		}
		s.cli("instance", "get", "nonsense").wants(t, 3, "nonsense")
		s.cli("bundle", "import", s.data+"/none.wave").wants(t, 3, "none.wave")
	})
	t.Run("an end for good", s.terminates)
	if left := s.processes(); len(left) > 0 {
		t.Errorf("processes of nobody: %v", left)
	}
}

// terminates walks an app and its instance to their end.
func (s *slipway) terminates(t *testing.T) {
	appID := s.importApp(app{Name: "mortal"})
	in := s.runApp(appID)
	s.alias("grave", in.ID, true)
	eventually(t, "the alias serves", func() bool { return s.get(s.host("grave"), "/").status == 200 })
	s.cli("app", "delete", appID).wants(t, 6, "instance")
	s.must("instance", "terminate", in.ID, "--wait")
	for _, x := range []struct{ host, target string }{{in.ID, "/"}, {"grave", "/"}, {"", "/instance/" + in.ID + "/"}} {
		if a := s.get(s.host(x.host), x.target); a.status != 404 {
			t.Errorf("%s%s: %d", x.host, x.target, a.status)
		}
	}
	alias, err := s.api().Alias(t.Context(), "grave")
	if err != nil || alias.State != "inactive" || alias.InstanceID == nil || *alias.InstanceID != in.ID {
		t.Errorf("the alias: %+v, %v", alias, err)
	}
	s.cli("admin", "alias", "create", "late", in.ID).wants(t, 2, in.ID)
	s.cli("instance", "get", in.ID).wants(t, 3, in.ID)
	s.must("app", "delete", appID)
	s.cli("app", "get", appID).wants(t, 3, appID)
	if left := s.pids(in.ID); len(left) > 0 {
		t.Errorf("its processes %v are left", left)
	}
}
