//go:build linux

package process

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine/confinetest"
)

func TestTheNearestPython(t *testing.T) {
	for _, c := range []struct {
		name, wanted string
		installed    string // file=version, the folders of the PATH apart by /
		took, note   string
	}{
		{"nothing is wanted", "", "python3=3.12 python3.10=3.10", "python3", ""},
		{"what python3 is", "3.12", "python3=3.12 python3.12=3.12", "python3", ""},
		{"another that is there", "3.10", "python3=3.12 python3.10=3.10", "python3.10", ""},
		{"the nearest below", "3.10", "python3=3.14 python3.9=3.9", "python3.9", "has Python 3.10, and the nearest here is 3.9"},
		{"the nearest above", "3.8", "python3=3.12 python3.10=3.10 python3.11=3.11", "python3.10", "has Python 3.8, and the nearest here is 3.10"},
		{"the newer of two as near", "3.10", "python3=3.9 python3.11=3.11", "python3.11", "nearest here is 3.11"},
		{"python3 of two as good", "3.8", "python3=3.11 python3.11=3.11", "python3", "nearest here is 3.11"},
		{"the first of the PATH", "3.10", "python3=3.12 python3.10=3.10/python3.10=3.10", "python3.10", ""},
		{"no python3 at all", "3.8", "python3.11=3.11", "python3.11", "nearest here is 3.11"},
		{"no python3, and nothing is wanted", "", "python3.9=3.9 python3.11=3.11 python3.10=3.10", "python3.11", ""},
		{"a python3 that is too old, and nothing is wanted", "", "python3=3.7 python3.9=3.9", "python3.9", ""},
		{"other programs", "3.10", "python3=3.12 python3.10-config=3.10 python3.x=3.10", "python3", "nearest here is 3.12"},
		{"one that is too old", "3.8", "python3=3.12 python3.7=3.7", "python3", "nearest here is 3.12"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var path []string
			for folder := range strings.SplitSeq(c.installed, "/") {
				dir := t.TempDir()
				path = append(path, dir)
				for program := range strings.FieldsSeq(folder) {
					file, version, _ := strings.Cut(program, "=")
					file = filepath.Join(dir, file)
					script := fmt.Sprintf("#!/bin/sh\necho '[%q, %q, %q, [%s]]'\n", file, file, version, strings.Replace(version, ".", ", ", 1))
					if err := os.WriteFile(file, []byte(script), 0o755); err != nil {
						t.Fatal(err)
					}
				}
			}
			i := newInterpreter(Config{Environ: []string{"PATH=" + strings.Join(path, ":")}}, func(string) bool { return true })
			p, note, err := i.nearest(&controlplane.RuntimeVersion{Name: "deb11", Python: c.wanted})
			if err != nil || p.Path != filepath.Join(path[0], c.took) {
				t.Errorf("took %s (%v), want %s", p.Path, err, c.took)
			}
			if c.note == "" && note != "" || !strings.Contains(note, c.note) || note != "" && !strings.Contains(note, p.Path) {
				t.Errorf("note %q", note)
			}
		})
	}
}

func TestAPythonThatNamesItsVersionWillDo(t *testing.T) {
	bin := confinetest.Open(t)
	file := filepath.Join(bin, "python3.11")
	confinetest.Write(t, file, fmt.Sprintf("#!/bin/sh\necho '[%q, %q, \"3.11\", [3, 11]]'\n", file, file), 0o755)
	l := opened(t, tempDir(t), func(c *Config) { c.Environ = []string{"PATH=" + bin} })
	app := &controlplane.App{AppMode: controlplane.Python, Manifest: controlplane.Manifest{Runtime: controlplane.Runtime{Module: "app"}}}
	if found := l.Check(app); len(found) > 0 {
		t.Errorf("not runnable with %s: %v", file, found)
	}
}

func TestAStartSaysWhichPythonItTook(t *testing.T) {
	needPython(t)
	l := opened(t, tempDir(t))
	w := pythonWorkload("py", 1, "# nothing\n")
	w.Runtime = &controlplane.RuntimeVersion{Name: "deb99_py399_wlatest", Python: "3.99"}
	fact := start(t, l, w).Ready("py", 1)
	if len(fact.Warnings) == 0 || !strings.Contains(strings.Join(fact.Warnings, "\n"), "RuntimeVersion deb99_py399_wlatest has Python 3.99, and the nearest here is 3.") {
		t.Errorf("warnings %q", fact.Warnings)
	}
}
