package slipwaytest

import (
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane/bundle/bundletest"
)

// App is an app to import: the app for tests, unless it says otherwise.
type App struct {
	Name    string
	Runtime string // lines of [Runtime]; default: the app for tests
	Mode    string // RoutingMode; default DOMAIN
	Timeout string // InstanceTimeout; default the server's
	Env     map[string]string
	Files   map[string]string // beside the manifest; "*" at the end of a name makes it executable
}

// Manifest is its app.toml.
func (a App) Manifest() string {
	runtime, mode := a.Runtime, a.Mode
	if runtime == "" {
		runtime = "AppMode = \"binary\"\nAppEntryPoint = [\"./testapp\"]"
	}
	if mode == "" {
		mode = "DOMAIN"
	}
	text := fmt.Sprintf("[App]\nName = %q\nVersion = \"1.0.0\"\n", a.Name)
	if a.Timeout != "" {
		text += fmt.Sprintf("InstanceTimeout = %q\n", a.Timeout)
	}
	text += fmt.Sprintf("[Runtime]\n%s\nRoutingMode = %q\n", runtime, mode)
	for _, name := range slices.Sorted(maps.Keys(a.Env)) {
		text += fmt.Sprintf("[[Env]]\nName = %q\nValue = %q\n", name, a.Env[name])
	}
	return text
}

// Bundle is its zip archive.
func (a App) Bundle(t testing.TB) []byte {
	t.Helper()
	files := map[string]string{"app.toml": a.Manifest()}
	if a.Runtime == "" {
		raw, err := os.ReadFile(Testapp)
		if err != nil {
			t.Fatal(err)
		}
		files["testapp*"] = string(raw)
	}
	maps.Copy(files, a.Files)
	return bundletest.Zip(t, files)
}

// Stranger is another program at an address where an app was: it answers 418
// to everything, until the test ends. Who frees the address does so before, and
// perhaps a moment late: the kernel closes the sockets of a process that is
// gone already.
func Stranger(t testing.TB, address string) {
	t.Helper()
	var l net.Listener
	Eventually(t, address+" is free", func() bool {
		var err error
		l, err = net.Listen("tcp", address)
		return err == nil
	})
	s := &http.Server{ReadHeaderTimeout: Patience, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
	})}
	go func() { _ = s.Serve(l) }() // ends with Close
	t.Cleanup(func() { s.Close() })
}
