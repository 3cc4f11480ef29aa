package cli

import (
	"bytes"
	"cmp"
	"encoding/json"
	"path/filepath"
	"runtime/debug"
	"strconv"

	"github.com/seed-dbc68772/slipway/cmd/slipway/cli/local"
	"github.com/seed-dbc68772/slipway/controlplane"
)

// The lines that the launcher in the App Store's image writes when exec runs an
// app. Their fields are in its order.
type (
	execConfiguration struct {
		Level         string `json:"level"`
		LogLevel      string `json:"log_level"`
		URL           string `json:"url"` // of the bundle
		AppRoot       string `json:"app_root"`
		VenvRoot      string `json:"venv_root"`
		ServerPath    string `json:"server_path"`
		PyModule      string `json:"py_module"`
		Tmp           string `json:"tmp"`
		StartupServer bool   `json:"startup_server"`
		Version       string `json:"version"`
		Time          string `json:"time"`
		Message       string `json:"message"`
	}
	execStarting struct {
		Level   string `json:"level"`
		Port    string `json:"port"`
		Time    string `json:"time"`
		Message string `json:"message"`
	}
	execFound struct {
		Level      string `json:"level"`
		Executable string `json:"executable"`
		Time       string `json:"time"`
		Message    string `json:"message"`
	}
)

// compatExec lets exec begin with the lines of the App Store's. Their paths are
// those of this machine, where no container is, and so is the port.
func (p *program) compatExec(run *local.Config, a *archive, path string) {
	if !p.compatible() {
		return
	}
	m, port := &run.Bundle.Manifest, run.Port
	name := filepath.Base(path)
	if a.Manifest.Name != "" { // a folder, that was packed
		name = m.Name + "." + m.Version + p.suffix()
	}
	run.Begin = func(b local.Begun) {
		_ = p.write(p.execLines(m, b, name, port)) // the app's own output finds the same stdout
	}
}

func (p *program) execLines(m *controlplane.Manifest, b local.Begun, bundle string, port int) []byte {
	const level = "info"
	at := p.now().UTC().Format("2006-01-02T15:04:05Z")
	folder, found := "wave_bundle", "wave executable found"
	if p.dialect() == q8sDialect {
		folder, found = "qz", "q executable found"
	}
	lines := []any{
		execConfiguration{
			Level: level, LogLevel: "debug", URL: "file:///" + folder + "/" + bundle, AppRoot: b.App, VenvRoot: b.Packages, ServerPath: b.Server,
			PyModule: m.Runtime.Module, Tmp: b.Temp, StartupServer: b.Server != "", Version: buildVersion(), Time: at, Message: "configuration",
		},
		execStarting{level, ":" + strconv.Itoa(port), at, "starting launcher server"},
	}
	if b.Server != "" {
		lines = append(lines, execFound{level, b.Server, at, found})
	}
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	for _, line := range lines {
		_ = e.Encode(line) // strings and a bool
	}
	return out.Bytes()
}

// buildVersion is this program's version.
func buildVersion() string {
	info, _ := debug.ReadBuildInfo()
	if info == nil {
		return "(devel)"
	}
	return cmp.Or(info.Main.Version, "(devel)")
}
