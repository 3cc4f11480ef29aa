package realapps

import (
	"archive/zip"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/test/internal/chromium"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// waveVersion is the release of h2o-wave whose server, SDK and examples are run.
const waveVersion = "1.8.16"

// waveWheel is the wheel of h2o-wave, fetched once.
var waveWheel = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp(slipwaytest.RuntimeDir, "wheel")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("python3", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
		"--only-binary", ":all:", "--dest", dir, "h2o-wave=="+waveVersion).CombinedOutput()
	if err != nil {
		return string(out), err
	}
	found, err := filepath.Glob(filepath.Join(dir, "h2o_wave-*.whl"))
	if err != nil || len(found) != 1 {
		return "pip fetched no wheel", err
	}
	return found[0], nil
})

// waveExample is a bundle's files of one of h2o-wave's own examples: those that
// `wave init` begins an app with, which its wheel has. Nothing is added but what
// says how it is run.
func waveExample(t *testing.T, module, mode string) map[string]string {
	t.Helper()
	wheel, err := waveWheel()
	if err != nil || !strings.HasSuffix(wheel, ".whl") {
		t.Fatalf("fetch h2o-wave: %s, %v", wheel, err)
	}
	archive, err := zip.OpenReader(wheel)
	if err != nil {
		t.Fatal(err)
	}
	defer archive.Close()
	f, err := archive.Open("h2o_wave-" + waveVersion + ".data/data/project_templates/" + module + ".py")
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
		"requirements.txt": "h2o-wave==" + waveVersion + "\n",
		"app.toml": "[App]\nName = \"" + name + "\"\nVersion = \"1.0.0\"\n\n" +
			"[Runtime]\nModule = \"" + module + "\"\nRoutingMode = \"" + mode + "\"\n",
	}
}

// sockets are what a tab's WebSockets bring.
type sockets struct {
	mu     sync.Mutex
	opened []string // their URLs
	frames []string // what came
}

// listens keeps what comes by WebSockets from now on.
func (p *person) listens() *sockets {
	p.Helper()
	s := new(sockets)
	if err := chromedp.Listen(p.Target, func(event any) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch e := event.(type) {
		case *network.EventWebSocketCreated:
			s.opened = append(s.opened, e.URL)
		case *network.EventWebSocketFrameReceived:
			s.frames = append(s.frames, string(e.Response.PayloadData))
		}
	}); err != nil {
		p.Fatal(err)
	}
	return s
}

// last is the URL of the WebSocket that was opened last.
func (s *sockets) last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.opened) == 0 {
		return "none"
	}
	return s.opened[len(s.opened)-1]
}

// brought reports whether a text came.
func (s *sockets) brought(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.frames {
		if strings.Contains(f, text) {
			return true
		}
	}
	return false
}

// retires puts a Wave app to sleep: its server is there until it has taken its
// leave.
func (w *world) retires(in *v1.Instance) {
	w.Helper()
	w.sleep(in)
	for _, words := range []string{"Application shutdown complete", `"t":"app_drop"`} {
		if log := w.logs(in); !strings.Contains(log, words) {
			w.Errorf("%s ended without %s:\n%s", in.AppName, words, log)
		}
	}
}

// shows is true of a page that shows a text.
func shows(text string) string {
	return "document.body.innerText.includes(" + chromium.Quoted(text) + ")"
}

// waveProcesses are an instance's processes by what they are: "keeper",
// "waved", "app".
func (w *world) waveProcesses(in *v1.Instance) map[string]int {
	found := map[string]int{}
	for _, pid := range slipwaytest.AppPIDs(w.data, in.ID) {
		raw, _ := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
		args := strings.Split(string(raw), "\x00")
		switch {
		case len(args) > 1 && args[1] == "process-pair":
			found["keeper"] = pid
		case filepath.Base(args[0]) == "waved":
			found["waved"] = pid
		default:
			found["app"] = pid
		}
	}
	return found
}
