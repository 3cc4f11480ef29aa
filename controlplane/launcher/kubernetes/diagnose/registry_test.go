package diagnose_test

import (
	"archive/tar"
	"bytes"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// images is a registry beside the cluster, which nodes reach without TLS since
// it is on loopback, and another one whose certificate nobody trusts.
type images struct{ host, untrusted string }

// slowImage is how long a blob of an image below slow/ takes.
const slowImage = 4 * time.Second

// serveImages starts both. The node's address is one of this machine.
func serveImages(t *testing.T, nodeIP string) images {
	t.Helper()
	store := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		failures := map[string]int{
			"/v2/private/": http.StatusUnauthorized, "/v2/busy/": http.StatusTooManyRequests, "/v2/broken/": http.StatusServiceUnavailable,
		}
		for prefix, code := range failures {
			if strings.HasPrefix(r.URL.Path, prefix) {
				http.Error(w, http.StatusText(code), code)
				return
			}
		}
		if strings.HasPrefix(r.URL.Path, "/v2/slow/") && strings.Contains(r.URL.Path, "/blobs/") && r.Method == http.MethodGet {
			time.Sleep(slowImage)
		}
		store.ServeHTTP(w, r)
	}))
	t.Cleanup(plain.Close)
	listener, err := net.Listen("tcp", net.JoinHostPort(nodeIP, "0"))
	if err != nil {
		t.Fatal(err)
	}
	secure := &httptest.Server{Listener: listener, Config: &http.Server{Handler: store, ErrorLog: log.New(io.Discard, "", 0)}}
	secure.StartTLS()
	t.Cleanup(secure.Close)
	r := images{host: plain.Listener.Addr().String(), untrusted: listener.Addr().String()}

	linux := victim(t)
	r.push(t, "victim:1", linux, v1.Config{User: "1000"}, "amd64")
	r.push(t, "slow/victim:1", linux, v1.Config{User: "1000", Labels: map[string]string{"slow": "yes"}}, "amd64")
	r.push(t, "root:1", linux, v1.Config{}, "amd64")
	r.push(t, "named:1", linux, v1.Config{User: "app"}, "amd64")
	r.pushIndex(t, "arm:1", linux)
	return r
}

// victim is a layer with the program, and with files that are none.
func victim(t *testing.T) v1.Layer {
	t.Helper()
	program := filepath.Join(t.TempDir(), "victim")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "./testdata/victim")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", build, err, out)
	}
	code, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for _, f := range []struct {
		path string
		mode int64
		data []byte
	}{{"victim", 0o755, code}, {"notes.txt", 0o644, []byte("no program\n")}, {"garbage", 0o755, []byte("\x00\x01no program either\n")}} {
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: f.path, Mode: f.mode, Size: int64(len(f.data))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(f.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive.Bytes())), nil })
	if err != nil {
		t.Fatal(err)
	}
	return layer
}

func image(t *testing.T, layer v1.Layer, config v1.Config, architecture string) v1.Image {
	t.Helper()
	img, err := mutate.AppendLayers(empty.Image, layer)
	if err != nil {
		t.Fatal(err)
	}
	config.Entrypoint = []string{"/victim"}
	file, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	file = file.DeepCopy()
	file.Config, file.OS, file.Architecture = config, "linux", architecture
	if img, err = mutate.ConfigFile(img, file); err != nil {
		t.Fatal(err)
	}
	return img
}

func (r images) reference(t *testing.T, tag string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(r.host+"/"+tag, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	return ref
}

func (r images) push(t *testing.T, tag string, layer v1.Layer, config v1.Config, architecture string) {
	t.Helper()
	if err := remote.Write(r.reference(t, tag), image(t, layer, config, architecture)); err != nil {
		t.Fatal(err)
	}
}

// pushIndex pushes an image that is there for another processor alone.
func (r images) pushIndex(t *testing.T, tag string, layer v1.Layer) {
	t.Helper()
	index := mutate.AppendManifests(empty.Index, mutate.IndexAddendum{
		Add:        image(t, layer, v1.Config{User: "1000"}, "arm64"),
		Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: "arm64"}},
	})
	if err := remote.WriteIndex(r.reference(t, tag), index); err != nil {
		t.Fatal(err)
	}
}
