//go:build linux

package process

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/launchertest"
)

// The variables that say how a stand-in behaves, and its names: this program,
// called by one of them, stands for the Wave server or for Python. The tests of
// the real ones are in test/realapps.
const (
	envServer = "STANDIN_SERVER"
	envApp    = "STANDIN_APP"
)

// standIn runs the program that this one is called as, and does not return if
// that is a stand-in.
func standIn() {
	switch filepath.Base(os.Args[0]) {
	case "waved":
		behave("server", os.Getenv(envServer), os.Getenv("H2O_WAVE_LISTEN"))
	case "python3":
		if len(os.Args) > 2 && os.Args[1] == "-I" { // who are you?
			fmt.Printf("[%q, %q, %q, [3, 11]]\n", os.Args[0], os.Args[0], "3.11.0")
			os.Exit(0)
		}
		address, err := url.Parse(os.Getenv("H2O_WAVE_APP_ADDRESS"))
		if err != nil {
			panic(err)
		}
		behave("app", os.Getenv(envApp), address.Host)
	default:
		return
	}
	os.Exit(0)
}

// behave is what both can do: "" serves at the address, with /exit?code=N, and
// says goodbye.
func behave(who, how, address string) {
	fmt.Printf("%s runs as %q in %s\n", who, os.Args[1:], func() string { dir, _ := os.Getwd(); return dir }())
	for _, entry := range os.Environ() {
		if strings.HasPrefix(entry, "H2O_WAVE_") || strings.HasPrefix(entry, "PORT=") {
			fmt.Println(who, "has", entry)
		}
	}
	var bye time.Duration
	switch how {
	case "crashes":
		os.Exit(3)
	case "crashes with the server's code":
		os.Exit(213)
	case "ends":
		os.Exit(0)
	case "never":
		time.Sleep(time.Hour)
	case "is slow":
		time.Sleep(500 * time.Millisecond)
	case "elsewhere":
		address = "127.0.0.1:0"
	case "leaves slowly":
		bye = 300 * time.Millisecond
	case "stays":
		bye = time.Hour
	}
	asked := make(chan os.Signal, 1)
	signal.Notify(asked, syscall.SIGTERM)
	go func() {
		<-asked
		fmt.Println(who, "is asked to end")
		time.Sleep(bye)
		fmt.Println(who, "says goodbye")
		os.Exit(0)
	}()
	l, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Println(err)
		os.Exit(0) // as waved does
	}
	_ = http.Serve(l, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if code, err := strconv.Atoi(r.URL.Query().Get("code")); err == nil {
			os.Exit(code)
		}
	}))
}

// withStandIns has a launcher find the stand-ins.
func withStandIns(t *testing.T) func(*Config) {
	t.Helper()
	bin := t.TempDir()
	for _, name := range []string{"python3", "waved"} {
		if err := os.Symlink(os.Args[0], filepath.Join(bin, name)); err != nil {
			t.Fatal(err)
		}
	}
	return func(c *Config) {
		c.Environ = []string{"PATH=" + bin}
		c.WaveServer = filepath.Join(bin, "waved")
	}
}

// waveWorkload is a Wave app without requirements, whose stand-ins behave so.
func waveWorkload(generation int64, server, app string, env ...string) launcher.Workload {
	w := workload("wave", generation, launchertest.Serves, append(env, envServer+"="+server, envApp+"="+app)...)
	w.App = &controlplane.App{
		AppMode:  controlplane.Wave,
		Manifest: controlplane.Manifest{Runtime: controlplane.Runtime{Module: "app.server"}},
	}
	return w
}

// exitBy has a stand-in end with a code.
func exitBy(t *testing.T, address string, code int) {
	t.Helper()
	if resp, err := http.Get(fmt.Sprintf("http://%s/exit?code=%d", address, code)); err == nil {
		resp.Body.Close()
	}
	http.DefaultClient.CloseIdleConnections()
}
