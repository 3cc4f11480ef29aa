package cli

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestAFolderThatIsThereIsFilled: it stays the same folder, with its mode, and
// whoever stands in it finds the files.
func TestAFolderThatIsThereIsFilled(t *testing.T) {
	for _, name := range []string{".", "sub", "sub/"} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Chdir(dir)
			if err := os.MkdirAll(name, 0o700); err != nil {
				t.Fatal(err)
			}
			before, err := os.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			out, stderr := &syncBuffer{}, &syncBuffer{}
			s := httptest.NewServer(newFakeAPI())
			defer s.Close()
			env := map[string]string{"SLIPWAY_ENDPOINT": s.URL, "SLIPWAY_TOKEN": "slw_admin"}
			p := testProgram(IO{Out: out, Err: stderr, Env: func(k string) string { return env[k] }})
			run := func(args ...string) {
				t.Helper()
				if code := p.run(t.Context(), args, nil); code != ExitDone {
					t.Fatalf("%q: code %d, %s", args, code, stderr)
				}
			}
			run("bundle", "import", tried(t, "ai.h2o.tried", 0), "-o", "name")
			run("app", "download", strings.TrimSpace(out.String()), "--extract", name)
			after, err := os.Stat(name)
			if err != nil || !os.SameFile(before, after) || after.Mode() != before.Mode() {
				t.Errorf("%v, %v: before it was %v", after, err, before)
			}
			var names []string
			entries, err := os.ReadDir(name)
			for _, e := range entries {
				names = append(names, e.Name())
			}
			if want := []string{"app.py", "app.toml", "noise"}; err != nil || !slices.Equal(names, want) {
				t.Errorf("it has %v, %v", names, err)
			}
			if left, _ := filepath.Glob(filepath.Join(dir, ".slipway-*")); len(left) > 0 {
				t.Errorf("it leaves %v", left)
			}
		})
	}
}
