package slipwaytest

import (
	"archive/zip"
	"io"
	"strings"
	"testing"
)

// WaveVersion is the release of h2o-wave whose server, SDK and examples are run.
const WaveVersion = "1.8.16"

// WaveExample is a bundle's files of one of h2o-wave's own examples: those that
// `wave init` begins an app with, which its wheel has. Nothing is added but what
// says how it is run.
func WaveExample(t testing.TB, wheel, module, mode string) map[string]string {
	t.Helper()
	archive, err := zip.OpenReader(wheel)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	f, err := archive.Open("h2o_wave-" + WaveVersion + ".data/data/project_templates/" + module + ".py")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	source, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.ReplaceAll(module, "_", "-") + "-" + strings.ToLower(strings.ReplaceAll(mode, "_", "-"))
	return map[string]string{
		module + ".py":     string(source),
		"requirements.txt": "h2o-wave==" + WaveVersion + "\n",
		"app.toml": "[App]\nName = \"" + name + "\"\nVersion = \"1.0.0\"\n\n" +
			"[Runtime]\nModule = \"" + module + "\"\nRoutingMode = \"" + mode + "\"\n",
	}
}
