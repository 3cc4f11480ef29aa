//go:build linux

package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine/confinetest"
)

func TestEachNameHasAUserOfItsOwn(t *testing.T) {
	u := Users{Dir: filepath.Join(t.TempDir(), "users"), First: 61100, Last: 61102}
	of := func(name string) int {
		t.Helper()
		user, err := u.Of(name)
		if err != nil || user.UID != user.GID {
			t.Fatalf("user of %s: %v, %v", name, user, err)
		}
		return user.UID
	}
	if a, b, again := of("a"), of("b"), of("a"); a != 61100 || b != 61101 || again != a {
		t.Errorf("a %d, b %d, then a %d", a, b, again)
	}
	of("c")
	if _, err := u.Of("d"); err == nil || !strings.Contains(err.Error(), "each from 61100 to 61102") {
		t.Errorf("a user too many: %v", err)
	}
	for range 2 {
		if err := u.Release("b"); err != nil {
			t.Fatal(err)
		}
	}
	if d := of("d"); d != 61101 {
		t.Errorf("d is %d", d)
	}
	names, err := u.Names()
	slices.Sort(names)
	if err != nil || !slices.Equal(names, []string{"a", "c", "d"}) {
		t.Errorf("names %v, %v", names, err)
	}
}

func TestUsersOfSeveralCallersAtOnce(t *testing.T) {
	u := Users{Dir: filepath.Join(t.TempDir(), "users"), First: 61100, Last: 61200}
	type given struct {
		name string
		uid  int
		err  error
	}
	all := make(chan given)
	for n := range 32 {
		go func() {
			name := fmt.Sprintf("instance-%d", n/2)
			user, err := u.Of(name)
			all <- given{name, user.UID, err}
		}()
	}
	owner := map[int]string{}
	for range 32 {
		g := <-all
		if g.err != nil {
			t.Error(g.err)
		}
		if other, ok := owner[g.uid]; ok && other != g.name {
			t.Errorf("%d is of %s and of %s", g.uid, other, g.name)
		}
		owner[g.uid] = g.name
	}
}

func TestAUserOfAStrangersProcessIsNotGiven(t *testing.T) {
	me := os.Getuid() // whose this process is
	u := Users{Dir: filepath.Join(t.TempDir(), "users"), First: me, Last: me}
	if user, err := u.Of("a"); err == nil {
		t.Errorf("got %v", user)
	}
}

func TestGiveFollowsNoLinks(t *testing.T) {
	needRoot(t)
	dir := confinetest.Open(t)
	outside := filepath.Join(dir, "outside")
	confinetest.Write(t, outside, "", 0o600)
	folder := filepath.Join(dir, "folder")
	confinetest.Write(t, filepath.Join(folder, "a", "b"), "", 0o600)
	if err := os.Symlink(outside, filepath.Join(folder, "link")); err != nil {
		t.Fatal(err)
	}
	if err := Give(folder, me()); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]int{"outside": 0, "folder": me().UID, "folder/a": me().UID, "folder/a/b": me().UID, "folder/link": me().UID} {
		info, err := os.Lstat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if got := int(info.Sys().(*syscall.Stat_t).Uid); got != want {
			t.Errorf("%s is %d's, want %d", name, got, want)
		}
	}
}

func TestWhatAUserMayReach(t *testing.T) {
	dir := confinetest.Open(t)
	program := filepath.Join(dir, "bin", "program")
	confinetest.Write(t, program, "#!/bin/sh\n", 0o755)
	text := filepath.Join(dir, "bin", "text")
	confinetest.Write(t, text, "", 0o644)
	closed := filepath.Join(dir, "closed")
	confinetest.Write(t, filepath.Join(closed, "program"), "", 0o755)
	link := filepath.Join(dir, "link")
	if err := os.Symlink(filepath.Join(closed, "program"), link); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(closed, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Chmod(closed, 0o700) })
	for path, want := range map[string]bool{
		program: true, text: false, filepath.Join(dir, "bin"): false,
		filepath.Join(closed, "program"): false, link: false, filepath.Join(dir, "x"): false,
	} {
		if got := CanExecute(me(), path); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
	if blocked, err := CanEnter(me(), filepath.Join(dir, "bin")); blocked != "" || err != nil {
		t.Errorf("bin: %q, %v", blocked, err)
	}
	if blocked, err := CanEnter(me(), closed); blocked != closed || err != nil {
		t.Errorf("closed: %q, %v", blocked, err)
	}
	if _, err := CanEnter(me(), filepath.Join(dir, "x")); err == nil {
		t.Error("a folder that is not there was entered")
	}
	if os.Geteuid() == 0 {
		// The caller's rights are what they were.
		if _, err := os.ReadFile("/etc/shadow"); os.IsPermission(err) {
			t.Error(err)
		}
		if _, err := os.ReadDir(closed); err != nil {
			t.Error(err)
		}
	} else if _, err := CanEnter(confine.User{UID: 1, GID: 1}, dir); err == nil {
		t.Error("an ordinary user asked for another")
	}
}
