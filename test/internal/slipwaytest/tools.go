package slipwaytest

import (
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/cmd/slipway/cli"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// Eventually polls until ok is true, and returns how long that took.
func Eventually(t testing.TB, what string, ok func() bool) time.Duration {
	t.Helper()
	began := time.Now()
	for ; !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > Patience {
			t.Fatalf("after %s still not so: %s", Patience, what)
		}
	}
	return time.Since(began)
}

// given are the ports that FreePort has returned.
var given sync.Map

// FreePort is a port of loopback that nobody listens on, and none of those that
// the system gives to whoever asks for any (32768 to 60999): whom it is for may
// take seconds until it listens there, and end and begin again.
func FreePort(t testing.TB) string {
	t.Helper()
	for range 1000 {
		port := strconv.Itoa(10_000 + rand.IntN(20_000))
		if _, again := given.LoadOrStore(port, true); again {
			continue
		}
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

// Passable is a new folder that other users can enter, as those of t.TempDir are
// not: instances have users of their own where a test runs as root. It goes at
// the end of the test: take it before what uses it.
func Passable(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "slipway-passable-")
	if err == nil {
		err = os.Chmod(dir, 0o711) //nolint:gosec // that is what it is for
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// Client is a client of the API with the context that a file like cli.toml
// names.
func Client(t testing.TB, file string) *client.Client {
	t.Helper()
	context, err := cli.ReadContext(file)
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(client.Config{Endpoint: context.Endpoint, Token: context.Token, HTTP: &http.Client{Transport: client.LoopbackTransport()}})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// WriteCaddyfile writes the Caddyfile of a folder: sites on loopback without
// TLS of their own. The options are more global ones, and say where the admin
// interface is.
func WriteCaddyfile(t testing.TB, dir, options, sites string) {
	t.Helper()
	text := "{\n\tpersist_config off\n\tauto_https off\n\tdefault_bind 127.0.0.1\n" + options + "\n}\n" + sites + "\n"
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(caddyfile(dir), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// Site is a site for all hosts, of nothing but slipway.
func Site(port string) string { return "http://:" + port + " {\n\tslipway\n}" }

func caddyfile(dir string) string { return filepath.Join(dir, "Caddyfile") }

// RunCaddyfile starts `slipway run` with the Caddyfile of a folder, which is
// its home too.
func RunCaddyfile(t testing.TB, dir string, env []string) *Process {
	t.Helper()
	return RunCaddyfileBy(t, Binary, dir, env)
}

// RunCaddyfileBy is RunCaddyfile for another build of slipway.
func RunCaddyfileBy(t testing.TB, program, dir string, env []string) *Process {
	t.Helper()
	env = append(slices.Clip(env), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	return StartProgram(t, program, env, "run", "--config", caddyfile(dir), "--adapter", "caddyfile")
}

// Reload loads the Caddyfile of a folder once more, be it changed or not, where
// the admin interface is at the socket admin.sock there.
func Reload(t testing.TB, dir string) {
	t.Helper()
	out, err := exec.Command(Binary, "reload", "--config", caddyfile(dir), "--adapter", "caddyfile",
		"--address", "unix/"+filepath.Join(dir, "admin.sock"), "--force").CombinedOutput()
	if err != nil {
		t.Fatalf("reload %s: %v\n%s", dir, err, out)
	}
}
