//go:build linux

package process

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/launchertest"
)

// What a leader that was held up makes of a removed instance goes with the next
// one; what may be somebody's stays.
func TestStraysGoAndNothingElse(t *testing.T) {
	dir := tempDir(t)
	l := openLauncher(t, dir)
	start(t, l, workload("runs", 1, launchertest.Serves)).Ready("runs", 1)
	start(t, l, workload("asleep", 1, launchertest.Serves)).Ready("asleep", 1)
	if err := l.Stop(t.Context(), "asleep", 1, 0); err != nil {
		t.Fatal(err)
	}
	kept := readKept(dir)
	if kept != termOf(t, l).leader.Epoch {
		t.Fatalf("epoch %d has kept all, want %d", kept, termOf(t, l).leader.Epoch)
	}
	older, same := stateName(kept-1), stateName(kept)
	if kept == 1 {
		older = oldState
	}
	for id, files := range map[string][]string{
		"bare":          {},
		"before-state":  {"logs/1.log"},
		"stray":         {older, "logs/1.log", "run/1/app/app.toml", "volumes/data/"},
		"with-a-volume": {older, "volumes/data/precious"},
		"new":           {same},
	} {
		in := l.instanceDir(id)
		for _, name := range append(files, "./") {
			path := filepath.Join(in, name)
			folder, content := filepath.Dir(path), []byte("{}")
			if name[len(name)-1] == '/' {
				folder, content = path, nil
			}
			if err := os.MkdirAll(folder, 0o700); err != nil {
				t.Fatal(err)
			}
			if content != nil {
				if err := os.WriteFile(path, content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	if err := l.Close(t.Context(), false, 0); err != nil {
		t.Fatal(err)
	}
	l = opened(t, dir)
	for id, stays := range map[string]bool{
		"runs": true, "asleep": true, "bare": false, "before-state": false, "stray": false, "with-a-volume": true, "new": true,
	} {
		if _, err := os.Stat(l.instanceDir(id)); (err == nil) != stays {
			t.Errorf("%s: %v", id, err)
		}
	}
	if now := launchertest.Observe(t, l).Initial()["runs"]; now.State != launcher.Ready {
		t.Errorf("what runs is %+v", now)
	}
}

func TestTheLastLeaderThatKeptAllIsFound(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a [folder]*") // no pattern
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for _, epoch := range []int64{7, 12} {
		if err := writeKept(dir, epoch); err != nil {
			t.Fatal(err)
		}
		if kept := keptBy(dir); len(kept) != 1 || readKept(dir) != epoch {
			t.Errorf("kept by %v, want %d alone", kept, epoch)
		}
	}
}
