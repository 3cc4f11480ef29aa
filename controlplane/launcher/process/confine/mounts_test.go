//go:build linux

package confine

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine/confinetest"
)

// confined is a Spec with these mounts, and their sources' folder.
func confined(t *testing.T) (Spec, string) {
	t.Helper()
	needMounts(t)
	dir := confinetest.Open(t)
	scratch := mkdir(t, filepath.Join(dir, "scratch"), 0o700, User{})
	return Spec{User: mine(), Scratch: scratch, Dir: "/"}, dir
}

func TestMountsExistInsideAlone(t *testing.T) {
	s, dir := confined(t)
	volume := mkdir(t, filepath.Join(dir, "volume"), 0o700, me())
	file := filepath.Join(dir, "file")
	confinetest.Write(t, file, "configured", 0o444)
	machine := filepath.Join(dir, "machine") // stands for folders that the machine has
	confinetest.Write(t, filepath.Join(machine, "neighbour"), "of the machine", 0o644)
	confinetest.Write(t, filepath.Join(machine, "sub", "below"), "of the machine", 0o644)
	confinetest.Write(t, filepath.Join(machine, "there"), "of the machine", 0o644)
	if err := os.Symlink("neighbour", filepath.Join(machine, "link")); err != nil {
		t.Fatal(err)
	}
	absentTop := "/slipway-confine-test"
	s.Mounts = []Mount{
		{Source: volume, Target: absentTop + "/data"},
		{Source: file, Target: "/etc/slipway-confine-test.conf"},
		{Source: file, Target: filepath.Join(machine, "new", "deep", "app.conf")},
		{Source: file, Target: filepath.Join(machine, "there")},
		{Source: file, Target: absentTop + "/data/inner/app.conf"},
		{Source: volume, Target: filepath.Join(machine, "again"), ReadOnly: true},
		{Target: absentTop + "/shm", Size: 1 << 20, Mode: 0o1777},
	}
	before := hostMounts(t)
	r := order{
		Spec: s,
		Read: []string{
			"/etc/slipway-confine-test.conf", "/etc/hostname",
			filepath.Join(machine, "new", "deep", "app.conf"), filepath.Join(machine, "there"),
			filepath.Join(machine, "neighbour"), filepath.Join(machine, "link"), filepath.Join(machine, "sub", "below"),
			absentTop + "/data/inner/app.conf",
		},
		Write: []string{absentTop + "/data/kept", absentTop + "/shm/x", filepath.Join(machine, "again", "no"), absentTop + "/no"},
	}.run(t)
	hostname, _ := os.ReadFile("/etc/hostname")
	for path, want := range map[string]string{
		"/etc/slipway-confine-test.conf":                  "configured",
		"/etc/hostname":                                   string(hostname),
		filepath.Join(machine, "new", "deep", "app.conf"): "configured",
		filepath.Join(machine, "there"):                   "configured",
		filepath.Join(machine, "neighbour"):               "of the machine",
		filepath.Join(machine, "link"):                    "of the machine",
		filepath.Join(machine, "sub", "below"):            "of the machine",
		absentTop + "/data/inner/app.conf":                "configured",
	} {
		if r.Read[path] != want {
			t.Errorf("%s: %q, want %q", path, r.Read[path], want)
		}
	}
	if r.Write[absentTop+"/data/kept"] != "" || r.Write[absentTop+"/shm/x"] != "" {
		t.Errorf("wrote %v", r.Write)
	}
	if !strings.Contains(r.Write[filepath.Join(machine, "again", "no")], "read-only") {
		t.Errorf("a read-only mount was written: %v", r.Write)
	}
	if r.Write[absentTop+"/no"] == "" {
		t.Error("the instance's user writes /")
	}
	if strings.Contains(r.Mounts, " "+s.Scratch) {
		t.Errorf("the new tree shows itself: %s", r.Mounts)
	}

	confinetest.Absent(t, absentTop)
	confinetest.Absent(t, "/etc/slipway-confine-test.conf")
	confinetest.Absent(t, filepath.Join(machine, "new"))
	confinetest.Absent(t, filepath.Join(machine, "again"))
	if b, _ := os.ReadFile(filepath.Join(machine, "there")); string(b) != "of the machine" {
		t.Errorf("the machine's file became %q", b)
	}
	if b, _ := os.ReadFile(filepath.Join(volume, "kept")); string(b) != "written inside" {
		t.Errorf("the volume holds %q", b)
	}
	if after := hostMounts(t); after != before {
		t.Errorf("mounts of the machine were\n%sand are\n%s", before, after)
	}
	if entries, err := os.ReadDir(s.Scratch); err != nil || len(entries) > 0 {
		t.Errorf("scratch holds %v, %v", entries, err)
	}
}

// What an app left in its volume must not lead a mount point to the machine.
func TestALinkInAVolumeLeadsNowhere(t *testing.T) {
	s, dir := confined(t)
	outside := mkdir(t, filepath.Join(dir, "outside"), 0o755, User{})
	volume := mkdir(t, filepath.Join(dir, "volume"), 0o755, me())
	file := filepath.Join(dir, "file")
	confinetest.Write(t, file, "configured", 0o444)
	if err := os.Symlink(outside, filepath.Join(volume, "sub")); err != nil {
		t.Fatal(err)
	}
	s.Mounts = []Mount{{Source: volume, Target: "/absent"}, {Source: file, Target: "/absent/sub/app.conf"}}
	_, err := order{Spec: s}.try(t)
	if err == nil || !strings.Contains(err.Error(), "not the instance's to write") {
		t.Errorf("got %v", err)
	}
	if entries, _ := os.ReadDir(outside); len(entries) > 0 {
		t.Errorf("the machine's folder holds %v", entries)
	}
}

func TestAHiddenFolderShowsOnlyWhatIsMountedInIt(t *testing.T) {
	s, dir := confined(t)
	for _, id := range []string{"one", "two"} {
		confinetest.Write(t, filepath.Join(dir, "instances", id, "file"), id, 0o644)
	}
	own := filepath.Join(dir, "instances", "one")
	s.Mounts = []Mount{{Target: filepath.Join(dir, "instances"), ReadOnly: true}, {Source: own, Target: own}}
	s.Dir = own
	r := order{Spec: s, Read: []string{filepath.Join(own, "file"), filepath.Join(dir, "instances", "two", "file")}}.run(t)
	if r.Read[filepath.Join(own, "file")] != "one" {
		t.Errorf("own file %q", r.Read)
	}
	if got := r.Read[filepath.Join(dir, "instances", "two", "file")]; !strings.Contains(got, "no such file") {
		t.Errorf("another's file %q", got)
	}
	if b, err := os.ReadFile(filepath.Join(dir, "instances", "two", "file")); string(b) != "two" {
		t.Errorf("on the machine %q, %v", b, err)
	}
}

func TestPlan(t *testing.T) {
	dir := t.TempDir()
	if resolved, err := filepath.EvalSymlinks(dir); err == nil {
		dir = resolved
	}
	for _, d := range []string{"a/b", "c"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"up": "../" + filepath.Base(dir) + "/a", "abs": dir + "/c", "loop": "loop"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name    string
		targets []string
		want    []string
		fault   string
	}{
		{"what is there", []string{"/a/b"}, nil, ""},
		{"what is not", []string{"/a/x"}, []string{"/a"}, ""},
		{"several below one", []string{"/a/x", "/a/y/z"}, []string{"/a"}, ""},
		{"outer ones first", []string{"/a/b/x", "/x", "/a/x"}, []string{"", "/a", "/a/b"}, ""},
		{"below another", []string{"/a/x", "/a/x/y"}, []string{"/a"}, ""},
		{"before another", []string{"/a/x/y", "/a/x"}, []string{"/a"}, ""},
		{"a relative link", []string{"/up/x"}, []string{"/a"}, ""},
		{"an absolute link", []string{"/abs/x"}, []string{"/c"}, ""},
		{"a loop", []string{"/loop/x"}, nil, "too many levels"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var mounts []Mount
			for _, target := range c.targets {
				mounts = append(mounts, Mount{Target: dir + target})
			}
			got, err := plan(mounts)
			if c.fault != "" {
				if err == nil || !strings.Contains(err.Error(), c.fault) {
					t.Errorf("got %v", err)
				}
				return
			}
			var want []string
			for _, w := range c.want {
				want = append(want, dir+w)
			}
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("got %v, %v, want %v", got, err, want)
			}
		})
	}
}
