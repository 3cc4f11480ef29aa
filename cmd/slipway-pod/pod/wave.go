//go:build linux

package pod

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/environ"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/inpod"
	processpair "github.com/seed-dbc68772/slipway/controlplane/launcher/process/pair"
	"github.com/seed-dbc68772/slipway/controlplane/wave"
)

// pair is where a Wave server and its app listen, on loopback.
type pair struct{ server, app int }

func (p pair) addresses() []string {
	return []string{fmt.Sprintf("127.0.0.1:%d", p.server), fmt.Sprintf("127.0.0.1:%d", p.app)}
}

// waveOf is the keeper of the Wave server and of the app's module, this program
// again (package pair of the launcher process).
func (s *step) waveOf(r *inpod.Run) (*program, error) {
	p, err := pythonOf(r)
	if err != nil {
		return nil, err
	}
	server, pages, err := waveServer(environ.Value(p.env, "VIRTUAL_ENV"))
	if err != nil {
		return nil, err
	}
	folder, script := filepath.Join(r.Work, "wave"), filepath.Join(r.Work, "wave_app.py")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("prepare a Wave app: %w", err)
	}
	if err := os.WriteFile(script, wave.App, 0o600); err != nil {
		return nil, fmt.Errorf("prepare a Wave app: %w", err)
	}
	at, err := freePorts()
	if err != nil {
		return nil, fmt.Errorf("prepare a Wave app: %w", err)
	}
	kept := processpair.Command{Server: server, Folder: folder, App: []string{p.path, "-u", script, r.Module}}
	p.args, p.called, p.wave = kept.Args(), "the keeper of the Wave server", &at
	if p.path, err = os.Executable(); err != nil {
		return nil, fmt.Errorf("prepare a Wave app: %w", err)
	}
	p.env = wave.Environ(p.env, wave.Place{App: r.App, Folder: folder, Pages: pages, Patience: r.Patience})
	p.env = environ.Merge(p.env, wave.Ports(at.server, at.app))
	return p, nil
}

// waveServer is the one of the app's own h2o_wave, else the image's: waved on its
// PATH, with the folder www beside it.
func waveServer(env string) (program, pages string, err error) {
	own, ownPages := filepath.Join(env, "waved"), filepath.Join(env, "www")
	if env != "" && unix.Access(own, unix.X_OK) == nil {
		return own, ownPages, nil
	}
	found, err := exec.LookPath("waved")
	if err != nil {
		return "", "", fail(controlplane.WaveServerMissing, "the app's packages bring no Wave server (h2o-wave has one for x86-64 Linux), and the image of the runtime version has no waved on its PATH")
	}
	pages = filepath.Join(filepath.Dir(found), "www")
	if _, err := os.Stat(pages); err != nil && env != "" {
		pages = ownPages
	}
	return found, pages, nil
}

// freePorts are two ports that nobody listens on: a pod's network is its own.
func freePorts() (p pair, err error) {
	for _, port := range []*int{&p.server, &p.app} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return p, err
		}
		defer l.Close() // once both are known
		*port = l.Addr().(*net.TCPAddr).Port
	}
	return p, nil
}
