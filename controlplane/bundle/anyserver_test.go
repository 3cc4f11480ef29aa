package bundle

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// Who packs for a server knows nothing of its settings: what they decide is no
// fault before the import.
func TestWhatAServerDecidesIsAWarningElsewhere(t *testing.T) {
	for name, c := range map[string]struct {
		manifest string
		want     []string // codes and fields of the warnings
		refused  bool
	}{
		"a runtime version of the server": {goodManifest + "RuntimeVersion = \"ours\"\n", []string{"server_decides Runtime.RuntimeVersion"}, false},
		"one of the App Store's":          {goodManifest + "RuntimeVersion = \"DEB11_py38_wlatest\"\n", nil, false},
		"a variable that it may allow":    {goodManifest + "[[Env]]\nName = \"H2O_WAVE_ML_KEY\"\nValue = \"1\"\n", []string{"server_decides Env[1].Name"}, false},
		"a variable that none allows":     {goodManifest + "[[Env]]\nName = \"H2O_CLOUD_X\"\nValue = \"1\"\n", nil, true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tempFolder(t, map[string]string{"app.toml": c.manifest, "app.py": ""})
			m, warnings, err := ValidateFolder(t.Context(), dir, Options{AnyServer: true})
			var got []string
			for _, w := range warnings {
				got = append(got, w.Code+" "+w.Field)
			}
			if d := cmp.Diff(c.want, got); d != "" || (err != nil) != c.refused {
				t.Errorf("error %v, warnings %v", err, warnings)
			}
			if len(c.want) > 0 && m.Runtime.RuntimeVersion != "ours" && len(m.Env) != 1 {
				t.Errorf("left out of the manifest: %+v", m)
			}
			if len(c.want) > 0 {
				if _, _, err := ValidateFolder(t.Context(), dir, Options{}); controlplane.CodeOf(err) != controlplane.CodeInvalid {
					t.Errorf("a server that configures nothing takes it: %v", err)
				}
			}
		})
	}
}
