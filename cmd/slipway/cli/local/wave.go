package local

import (
	"crypto/rand"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/seed-dbc68772/slipway/controlplane/wave"
)

// ServerVariable names a Wave server for apps whose packages bring none.
const ServerVariable = "H2O_WAVE_SERVER"

// wavePrograms are the Wave server and the app's module beside it.
func (r *run) wavePrograms(p interpreter, env []string) ([]program, error) {
	server := filepath.Join(p.venv, "waved")
	if p.venv == "" || !executable(server) {
		server = r.own(ServerVariable, "")
	}
	if server == "" || !executable(server) {
		return nil, unusable("name h2o-wave in requirements.txt, or a server in the variable "+ServerVariable,
			"the app's packages bring no Wave server")
	}
	port, err := freePort()
	if err != nil {
		return nil, fmt.Errorf("find a port for the app: %w", err)
	}
	// The server reads an .env of its folder: it gets one of its own.
	dir, script := filepath.Join(r.dir, "wave"), filepath.Join(r.dir, "wave_app.py")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("run app: %w", err)
	}
	if err := os.WriteFile(script, wave.App, 0o600); err != nil {
		return nil, fmt.Errorf("run app: %w", err)
	}
	r.ports = append(r.ports, port)
	local := "127.0.0.1:" + strconv.Itoa(r.Port)
	env = merge(append(append([]string{"H2O_WAVE_NO_LOG=1", "H2O_WAVE_KEEP_APP_LIVE=1"}, env...),
		"H2O_WAVE_LISTEN="+local,
		"H2O_WAVE_ADDRESS=http://"+local,
		"H2O_WAVE_APP_ADDRESS=http://127.0.0.1:"+strconv.Itoa(port),
		"H2O_WAVE_WEB_DIR="+filepath.Join(filepath.Dir(server), "www"),
		"H2O_WAVE_ACCESS_KEYCHAIN="+filepath.Join(dir, "keychain"),
		"H2O_WAVE_ACCESS_KEY_ID="+rand.Text(),
		"H2O_WAVE_ACCESS_KEY_SECRET="+rand.Text(),
		"H2O_WAVE_CONNECTION_TIMEOUT=90",
		"H2O_WAVE_NO_AUTOSTART=1",
	))
	module := r.m.Runtime.Module
	return []program{
		{path: server, dir: dir, env: env, name: "the Wave server"},
		{path: p.path, args: append([]string{"-u", script, module}, r.Args...), dir: r.appDir(), env: env, name: "python3 -m " + module},
	}, nil
}

// freePort is a port that nobody listened on a moment ago.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
