package controlmodule

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/seed-dbc68772/slipway/caddymodule"
	"github.com/seed-dbc68772/slipway/controlplane"
)

// openBundle is a blob in memory.
type openBundle struct{ *bytes.Reader }

func (openBundle) Close() error { return nil }

// What an import lets in by the settings is run and shown, by launchers that know
// nothing of those, and when they are stricter by then.
func TestWhatTheSettingsLetInRuns(t *testing.T) {
	const manifest = "[App]\nName = \"demo\"\nVersion = \"1.0.0\"\n[Runtime]\nModule = \"app\"\nRuntimeVersion = \"ours\"\n[[Env]]\nName = \"H2O_WAVE_ML_KEY\"\nValue = \"1\"\n"
	var archive bytes.Buffer
	z := zip.NewWriter(&archive)
	for name, data := range map[string]string{"app.toml": manifest, "zeros": string(make([]byte, 3<<20))} {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(data)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	settings := caddymodule.Settings{
		MaxUpload: 1 << 20, BundleLimits: caddymodule.BundleLimits{Ratio: 2000},
		AppSettings: caddymodule.AppSettings{AllowedEnv: []string{"H2O_WAVE_ML_.*"}, RuntimeVersions: []controlplane.RuntimeVersion{{Name: "ours"}}},
	}
	offered, err := offers(settings)
	if err != nil {
		t.Fatal(err)
	}
	blob := openBundle{bytes.NewReader(archive.Bytes())}
	if _, err := readBundle(bundleOptions(settings, offered))(t.Context(), blob, blob.Size()); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := unpack(t.Context(), blob, dir); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "app.toml")); err != nil || string(text) != manifest {
		t.Errorf("app.toml %q, %v", text, err)
	}
	if meta, err := readMeta(blob, blob.Size()); err != nil || meta.App != manifest || len(meta.Files) != 2 {
		t.Errorf("meta %+v, %v", meta, err)
	}
}
