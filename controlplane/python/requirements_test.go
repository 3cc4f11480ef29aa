package python

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// bundle is a folder with these files.
func bundle(t *testing.T, files map[string]string) Requirements {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r, err := ReadRequirements(dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestTheKeyOfAnEnvironment(t *testing.T) {
	p := Interpreter{Real: "/usr/bin/python3.11", Version: "3.11.7"}
	base := map[string]string{"requirements.txt": "a\n", "wheels/x.whl": "1", "app.py": "1"}
	with := func(name, text string) Requirements {
		files := map[string]string{name: text}
		for n, t := range base {
			if _, changed := files[n]; !changed {
				files[n] = t
			}
		}
		return bundle(t, files)
	}
	key := bundle(t, base).Key(p)
	for name, c := range map[string]struct {
		key  string
		same bool
	}{
		"another folder":  {bundle(t, base).Key(p), true},
		"other sources":   {with("app.py", "2").Key(p), true},
		"its own path":    {bundle(t, base).Key(Interpreter{Path: "/shims/python3", Real: p.Real, Version: p.Version}), true},
		"another list":    {with("requirements.txt", "b\n").Key(p), false},
		"another wheel":   {with("wheels/x.whl", "2").Key(p), false},
		"one more wheel":  {with("y.whl", "1").Key(p), false},
		"another version": {bundle(t, base).Key(Interpreter{Real: p.Real, Version: "3.11.8"}), false},
		"another program": {bundle(t, base).Key(Interpreter{Real: "/opt/python", Version: p.Version}), false},
	} {
		if same := c.key == key; same != c.same {
			t.Errorf("%s: the same key: %t, want %t", name, same, c.same)
		}
	}
}

func TestWhatABundleWantsInstalled(t *testing.T) {
	r := bundle(t, map[string]string{"requirements.txt": "# a comment\n\n--hash=x\nnumpy\n a==1\n", "w/x.whl": "", "w/y.whl": "", "z.whl": ""})
	if folders := []string{"there/w", "there"}; !r.Any() || r.Count() != 2 || !slices.Equal(r.Folders("there"), folders) {
		t.Errorf("any %t, %d packages, wheels in %q", r.Any(), r.Count(), r.Folders("there"))
	}
	for name, files := range map[string]map[string]string{
		"no list":      {"x.whl": ""},
		"an empty one": {"requirements.txt": "\n# nothing\n", "x.whl": ""},
	} {
		if r := bundle(t, files); r.Any() || r.Count() != 0 || len(r.Folders("there")) != 0 {
			t.Errorf("%s: any %t, %d packages, wheels in %q", name, r.Any(), r.Count(), r.Folders("there"))
		}
	}
}
