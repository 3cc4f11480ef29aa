//go:build linux

package process

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/environ"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/pair"
	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
	"github.com/seed-dbc68772/slipway/controlplane/wave"
)

// waveServer is a Wave server and the folder of the web pages that go with it.
type waveServer struct{ program, pages string }

// waveReason says why a Wave app has no server, as far as that is known before
// its packages are installed.
func (l *Launcher) waveReason(app *controlplane.App) *controlplane.Reason {
	if app.AppMode != controlplane.Wave || l.cfg.WaveServer != "" || !app.Manifest.NoWave {
		return nil
	}
	return reason(controlplane.WaveServerMissing, "requirements.txt does not name h2o-wave, which brings the Wave server, and the launcher has no wave_server of its own")
}

// waveCommand is the keeper of the Wave server and of the app's module.
func (r *run) waveCommand(output *os.File) (command, *controlplane.Reason) {
	c, why := r.pythonCommand(output)
	if why != nil {
		return command{}, why
	}
	server, why := r.waveServer(environ.Value(c.env, "VIRTUAL_ENV"))
	if why != nil {
		return command{}, why
	}
	script := filepath.Join(r.dir(), "wave_app.py")
	err := os.WriteFile(script, wave.App, 0o600)
	if err == nil {
		err = os.MkdirAll(r.waveDir(), 0o700)
	}
	if err != nil {
		return command{}, broken(fmt.Errorf("prepare a Wave app: %w", err))
	}
	kept := pair.Command{
		Server: server.program,
		Folder: r.waveDir(),
		App:    []string{c.path, "-u", script, r.w.App.Manifest.Runtime.Module},
	}
	c.path, c.args, c.own, c.called = r.i.t.cfg.Self, kept.Args(), true, "the keeper of the Wave server"
	c.env = wave.Environ(c.env, wave.Place{App: r.appDir(), Folder: r.waveDir(), Pages: server.pages, Patience: r.state.HealthTimeout})
	c.pair = true
	return c, nil
}

// waveDir is the Wave server's folder: what it keeps of uploads is in data. The
// bundle's own folder may have an .env, which the server would read.
func (r *run) waveDir() string { return filepath.Join(r.dir(), "wave") }

// waveServer is the one of the app's own h2o_wave, else the configured one. The
// package has none where the machine is not one that its makers build for.
func (r *run) waveServer(venv string) (waveServer, *controlplane.Reason) {
	var own waveServer
	if venv != "" {
		own = waveServer{filepath.Join(venv, "waved"), filepath.Join(venv, "www")}
		if unix.Access(own.program, unix.X_OK) == nil {
			return own, nil
		}
	}
	configured := r.i.t.cfg.WaveServer
	if configured == "" {
		return own, reason(controlplane.WaveServerMissing,
			"the app's packages bring no Wave server (h2o-wave has one for x86-64 Linux), and the launcher has no wave_server of its own")
	}
	if info, err := os.Stat(configured); err != nil || !info.Mode().IsRegular() || unix.Access(configured, unix.X_OK) != nil || !r.i.t.mayExecute(configured) {
		return own, reason(controlplane.WaveServerMissing, "the launcher's wave_server %s cannot be executed by the app's user", configured)
	}
	server := waveServer{configured, filepath.Join(filepath.Dir(configured), "www")}
	if _, err := os.Stat(server.pages); err != nil && own.pages != "" {
		server.pages = own.pages
	}
	return server, nil
}

// addPort gives a pair its second port. The caller releases it.
func (r *run) addPort(c *command) error {
	r.state.AppPort = 0
	if !c.pair {
		return nil
	}
	port, err := r.i.t.ports.pick()
	if err != nil {
		return err
	}
	r.state.AppPort = port
	c.env = environ.Merge(c.env, wave.Ports(r.state.Port, port))
	return nil
}

// openPorts is openPort of the run's port, and of a pair's second one: its
// address is the server's, once the app answers too. An app of h2o_wave listens
// when the server knows it.
func (r *run) openPorts(ctx context.Context, g group, door *door) (address netip.AddrPort, own []uint64, stranger *procgroup.Socket) {
	address, own, stranger = r.openPort(ctx, g, door)
	if own == nil || r.state.AppPort == 0 {
		return address, own, stranger
	}
	if _, app, stranger := openPort(ctx, g, r.state.AppPort, door); app == nil {
		return netip.AddrPort{}, nil, stranger
	}
	return address, own, nil
}

// takenPort finds a stranger on a port that the run has not come to use.
func (r *run) takenPort() (l procgroup.Socket, ok bool) {
	if r.state.Ready || r.state.Address != "" {
		return l, false
	}
	if l, ok = taken(r.state.Port); !ok && r.state.AppPort != 0 {
		l, ok = taken(r.state.AppPort)
	}
	return l, ok
}

// crashed says how the run's leader ended. A keeper ends by its server or as its
// app did.
func (r *run) crashed(e exit) *controlplane.Reason {
	if r.state.AppPort == 0 || !e.known || e.status.ExitStatus() != pair.ServerEnded {
		return crashed(r.i.id, e, r.state.Ready)
	}
	when := "before the app was ready"
	if r.state.Ready {
		when = "while the app ran"
	}
	return reason(controlplane.Crashed, "the Wave server ended %s; its last lines are in `slipway instance logs %s`", when, r.i.id)
}

// pairNeverOpened says which of the two did not answer in time.
func (r *run) pairNeverOpened(elsewhere string) *controlplane.Reason {
	if _, ok := taken(r.state.Port); !ok {
		return reason(controlplane.PortNeverOpened, "the Wave server did not listen on port %d ($H2O_WAVE_LISTEN) within %s", r.state.Port, r.state.HealthTimeout)
	}
	return reason(controlplane.PortNeverOpened, "the app did not listen at http://127.0.0.1:%d ($H2O_WAVE_APP_ADDRESS) within %s%s; Runtime.Module has to define an @app of h2o_wave, or to serve there itself",
		r.state.AppPort, r.state.HealthTimeout, elsewhere)
}
