//go:build linux

package process

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/launchertest"
	_ "github.com/seed-dbc68772/slipway/controlplane/launcher/launchertest/quickexit" // for its processes
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/hand"
	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
)

func TestMain(m *testing.M) {
	standIn()
	launchertest.Workload(behaviours)
	if dir := os.Getenv("PROCESSTEST_CONTROL_PLANE"); dir != "" {
		runControlPlane(dir)
	}
	if dir := os.Getenv("PROCESSTEST_FROZEN"); dir != "" {
		runFrozen(dir)
	}
	goleak.VerifyTestMain(m)
}

func TestConformance(t *testing.T) {
	launchertest.Run(t, func(t *testing.T) launchertest.Fixture {
		dir, census := tempDir(t), t.TempDir()
		leader := unled(t, dir)
		if err := leader.Lead(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		return launchertest.Fixture{
			Launcher: leader,
			RunsCode: true,
			Workload: func(_ *testing.T, id string, g int64, b launchertest.Behaviour) launcher.Workload {
				return workload(id, g, b, launchertest.EnvCensus+"="+census)
			},
			End: func(t *testing.T, f launcher.Fact) {
				if resp, err := http.Get("http://" + f.Endpoint + "/exit?code=7"); err == nil {
					resp.Body.Close()
				}
				http.DefaultClient.CloseIdleConnections()
			},
			Reopen:   func(t *testing.T) launcher.Launcher { return unled(t, dir) },
			Overlaps: func() []string { return launchertest.Overlaps(census) },
		}
	})
}

// tempDir is a data folder whose processes are all killed after the test,
// whatever became of the launcher.
func tempDir(t *testing.T) string {
	dir := t.TempDir()
	t.Cleanup(func() { killAll(t, dir) })
	return dir
}

// killAll ends whatever carries the folder's marker, and says how many.
func killAll(t *testing.T, dir string) {
	name, err := os.ReadFile(filepath.Join(dir, hand.NameFile))
	if err != nil {
		return
	}
	folder, _, _ := strings.Cut(string(name), " ")
	for pid, m := range markedBy(t, folder) {
		t.Errorf("process %d is left: %s", pid, m)
		syscall.Kill(pid, syscall.SIGKILL)
	}
}

func markedBy(t *testing.T, folder string) map[int]string {
	t.Helper()
	all, err := procgroup.Processes()
	if err != nil {
		t.Fatal(err)
	}
	found := map[int]string{}
	for pid, p := range all {
		if m, _ := procgroup.MarkerOf(pid); strings.HasPrefix(m, folder+"/") && !p.Zombie() {
			found[pid] = m
		}
	}
	return found
}

func config(t testing.TB, dir string) Config {
	return Config{
		DataDir: dir,
		Unpack:  unzip,
		Log:     zaptest.NewLogger(t, zaptest.WrapOptions()),
	}
}

// openLauncher opens a launcher and leads.
func openLauncher(t testing.TB, dir string, change ...func(*Config)) *Launcher {
	t.Helper()
	l := unled(t, dir, change...)
	if err := l.Lead(context.Background(), epochs.Add(1)); err != nil {
		t.Fatal(err)
	}
	return l
}

func unled(t testing.TB, dir string, change ...func(*Config)) *Launcher {
	t.Helper()
	cfg := config(t, dir)
	cfg.Log = nil
	for _, c := range change {
		c(&cfg)
	}
	l, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// epochs are those of the launchers that lead in this process.
var epochs atomic.Int64

// opened is a launcher that the test's end closes, with all its workloads.
func opened(t testing.TB, dir string, change ...func(*Config)) *Launcher {
	t.Helper()
	l := openLauncher(t, dir, change...)
	t.Cleanup(func() {
		if err := l.Close(context.Background(), true, time.Second); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return l
}

// termOf is the term of a launcher that leads.
func termOf(t testing.TB, l *Launcher) *term {
	t.Helper()
	leads, err := l.lead.Term()
	if err != nil {
		t.Fatal(err)
	}
	return leads
}

// workload is this test binary, behaving so.
func workload(id string, generation int64, b launchertest.Behaviour, env ...string) launcher.Workload {
	return launcher.Workload{
		InstanceID: id,
		Generation: generation,
		App: &controlplane.App{
			AppMode:  controlplane.Binary,
			Manifest: controlplane.Manifest{Runtime: controlplane.Runtime{AppEntryPoint: []string{"slipway", "sample-app"}}},
		},
		Env: append([]string{
			launchertest.EnvBehaviour + "=" + string(b),
			launchertest.EnvInstance + "=" + id,
			"H2O_CLOUD_INSTANCE_ID=" + id,
		}, env...),
		Token:      "token of " + id,
		OpenBundle: bundleOf(map[string]string{"app.toml": "[App]\n"}),
	}
}

type memoryBlob struct{ *bytes.Reader }

func (memoryBlob) Close() error { return nil }

func bundleOf(files map[string]string) func(context.Context) (controlplane.Blob, error) {
	return func(context.Context) (controlplane.Blob, error) {
		return memoryBlob{bytes.NewReader(zipped(files))}, nil
	}
}

func zipped(files map[string]string) []byte {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		w, err := z.Create(name)
		if err == nil {
			_, err = io.WriteString(w, files[name])
		}
		if err != nil {
			panic(err)
		}
	}
	if err := z.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

func unzip(_ context.Context, blob controlplane.Blob, dir string) error {
	z, err := zip.NewReader(blob, blob.Size())
	if err != nil {
		return err
	}
	return os.CopyFS(dir, z)
}

func currentLog(t *testing.T, l *Launcher, id string) string {
	t.Helper()
	r, err := l.Logs(t.Context(), id, launcher.LogOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func brokenBundle(context.Context) (controlplane.Blob, error) {
	return memoryBlob{bytes.NewReader([]byte("no zip"))}, nil
}

// firstLine is the first line of a log that the app itself wrote.
func firstLine(r io.Reader) string {
	lines := bufio.NewScanner(r)
	for lines.Scan() && strings.HasPrefix(lines.Text(), "slipway: ") {
	}
	return lines.Text()
}
