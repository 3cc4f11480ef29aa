package slipwaytest

import (
	"archive/zip"
	"bytes"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/cmd/slipway/cli"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// Eventually polls until ok is true.
func Eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(Patience); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after %s still not so: %s", Patience, what)
		}
	}
}

// FreePort is a port of loopback that nobody listened on a moment ago.
func FreePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return strconv.Itoa(l.Addr().(*net.TCPAddr).Port)
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

// Bundle is a zip archive of these files; a name that ends in "*" is an
// executable file.
func Bundle(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var out bytes.Buffer
	archive := zip.NewWriter(&out)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		plain, executable := strings.CutSuffix(name, "*")
		header := &zip.FileHeader{Name: plain, Method: zip.Store}
		header.SetMode(0o644)
		if executable {
			header.SetMode(0o755)
		}
		w, err := archive.CreateHeader(header)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(files[name])); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}
