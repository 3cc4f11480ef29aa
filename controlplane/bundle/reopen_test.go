package bundle

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// elsewhere is a manifest that an installation takes which configures something.
const elsewhere = goodManifest + `RuntimeVersion = "ours"

[[Env]]
Name = "H2O_WAVE_ML_KEY"
Value = "1"
`

func elsewhereOptions() Options {
	return Options{
		RuntimeVersions: []controlplane.RuntimeVersion{{Name: "ours"}}, AllowedEnv: []string{"H2O_WAVE_ML_.*"},
		Limits: Limits{Ratio: 2000},
	}
}

func reopen(b []byte) (*Bundle, error) { return Reopen(bytes.NewReader(b), int64(len(b))) }

func TestWhatWasLetInIsReadWhateverTheSettingsSayNow(t *testing.T) {
	archive := zipOf(t, map[string]string{
		"w/app.toml": elsewhere, "w/requirements.txt": "h2o-wave==1.0\n", "w/app.py": "", "w/zeros": string(make([]byte, 3<<20)),
	})
	if _, err := open(archive, Options{}); err == nil {
		t.Fatal("an installation that configures nothing takes it")
	}
	taken, err := open(archive, elsewhereOptions())
	if err != nil {
		t.Fatal(err)
	}
	b, err := reopen(archive)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := b.Unpack(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "app.toml")); err != nil || string(data) != elsewhere {
		t.Errorf("app.toml %q, %v", data, err)
	}
	want := &controlplane.BundleMeta{
		App: elsewhere, Requirements: new("h2o-wave==1.0\n"),
		Files: []controlplane.BundleFile{{Path: "app.py"}, {Path: "app.toml", Size: int64(len(elsewhere))}, {Path: "requirements.txt", Size: 14}, {Path: "zeros", Size: 3 << 20}},
	}
	for name, b := range map[string]*Bundle{"checked": taken, "reopened": b} {
		meta, err := b.Meta()
		if d := cmp.Diff(want, meta); err != nil || d != "" {
			t.Errorf("%s: %v\n%s", name, err, d)
		}
	}
}

func TestAReopenedArchiveHarmsNobody(t *testing.T) {
	for name, c := range map[string]struct {
		zip rawZip
		at  string // where it is refused
	}{
		"a path that leaves":      {withManifest(rawEntry{name: "../x"}), "reopen"},
		"a symbolic link":         {withManifest(rawEntry{name: "x", data: []byte("/etc"), mode: 0o120777}), "reopen"},
		"two of one name":         {withManifest(rawEntry{name: "x"}, rawEntry{name: "X"}), "reopen"},
		"another name locally":    {withManifest(rawEntry{name: "x", localName: "y"}), "reopen"},
		"no manifest":             {rawZip{entries: []rawEntry{{name: "x"}}}, "reopen"},
		"more bytes than it says": {withManifest(rawEntry{name: "x", method: 8, data: []byte("1"), packed: deflated([]byte("12"))}), "unpack"},
		"damaged":                 {withManifest(rawEntry{name: "x", data: []byte("1"), packed: []byte("2")}), "unpack"},
	} {
		t.Run(name, func(t *testing.T) {
			at := "reopen"
			b, err := reopen(c.zip.bytes())
			if err == nil {
				at, err = "unpack", b.Unpack(t.Context(), t.TempDir())
			}
			if err == nil || at != c.at {
				t.Errorf("%s: %v, want it refused at %s", at, err, c.at)
			}
		})
	}
}
