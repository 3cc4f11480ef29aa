package realapps

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// waveWheel is the wheel of h2o-wave, fetched once.
var waveWheel = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp(slipwaytest.RuntimeDir, "wheel")
	if err != nil {
		return "", err
	}
	out, err := exec.Command("python3", "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
		"--only-binary", ":all:", "--dest", dir, "h2o-wave=="+slipwaytest.WaveVersion).CombinedOutput()
	if err != nil {
		return string(out), err
	}
	found, err := filepath.Glob(filepath.Join(dir, "h2o_wave-*.whl"))
	if err != nil || len(found) != 1 {
		return "pip fetched no wheel", err
	}
	return found[0], nil
})

// waveExample is a bundle's files of one of h2o-wave's own examples.
func waveExample(t *testing.T, module, mode string) map[string]string {
	t.Helper()
	wheel, err := waveWheel()
	if err != nil || !strings.HasSuffix(wheel, ".whl") {
		t.Fatalf("fetch h2o-wave: %s, %v", wheel, err)
	}
	return slipwaytest.WaveExample(t, wheel, module, mode)
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
