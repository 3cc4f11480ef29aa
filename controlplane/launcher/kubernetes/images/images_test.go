package images_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/images"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// harbour is a registry that counts what it is asked, and may be away.
type harbour struct {
	*testing.T
	host     string
	password string // empty: anybody may read
	asked    atomic.Int64
	away     atomic.Bool
	noConfig atomic.Bool
}

func newHarbour(t *testing.T, password string) *harbour {
	h := &harbour{T: t, password: password}
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.asked.Add(1)
		_, password, _ := r.BasicAuth()
		switch {
		case h.away.Load():
			w.WriteHeader(http.StatusBadGateway)
		case h.password != "" && password != h.password:
			w.Header().Set("WWW-Authenticate", `Basic realm="harbour"`)
			w.WriteHeader(http.StatusUnauthorized)
		case h.noConfig.Load() && strings.Contains(r.URL.Path, "/blobs/"):
			w.WriteHeader(http.StatusNotFound)
		default:
			inner.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(s.Close)
	h.host = strings.TrimPrefix(s.URL, "http://")
	return h
}

func (h *harbour) auth() remote.Option {
	if h.password == "" {
		return remote.WithAuth(authn.Anonymous)
	}
	return remote.WithAuth(&authn.Basic{Username: "pusher", Password: h.password})
}

// push gives the name an image of this configuration and returns its digest's
// name.
func (h *harbour) push(at string, config v1.Config) string {
	h.Helper()
	img, err := mutate.Config(empty.Image, config)
	if err == nil {
		err = remote.Write(h.tag(at), img, h.auth())
	}
	if err != nil {
		h.Fatal(err)
	}
	digest, err := img.Digest()
	if err != nil {
		h.Fatal(err)
	}
	return h.tag(at).Context().Digest(digest.String()).Name()
}

func (h *harbour) tag(at string) name.Tag {
	h.Helper()
	tag, err := name.NewTag(h.host + "/" + at)
	if err != nil {
		h.Fatal(err)
	}
	return tag
}

// look fails for errors, and for a warning that does not begin so.
func (h *harbour) look(i *images.Images, at, warns string) objects.Image {
	h.Helper()
	found, warning, err := i.Look(h.Context(), h.host+"/"+at)
	if err != nil || (warns == "") != (warning == "") || !strings.Contains(warning, warns) {
		h.Fatalf("%s: warning %q, error %v; want a warning with %q", at, warning, err, warns)
	}
	return found
}

func TestWhatARegistrySays(t *testing.T) {
	h := newHarbour(t, "")
	want := objects.Image{
		Known: true, User: "1000:1000", Dir: "/srv", Ports: []int{80, 9000}, Volumes: []string{"/data", "/var/cache"},
		Reference: h.push("team/app:1", v1.Config{
			User: "1000:1000", WorkingDir: "/srv/", ExposedPorts: map[string]struct{}{"9000/tcp": {}, "80": {}, "53/udp": {}, "many": {}},
			Volumes: map[string]struct{}{"/var/cache/": {}, "/data": {}, "/": {}, "relative": {}},
		}),
	}
	i := images.New(images.Config{})
	if diff := cmp.Diff(want, h.look(i, "team/app:1", "")); diff != "" {
		t.Error(diff)
	}
	asked := h.asked.Load()
	h.look(i, "team/app:1", "")
	if n := h.asked.Load(); n != asked {
		t.Errorf("a fresh answer was asked for again: %d requests", n-asked)
	}
	digested := strings.TrimPrefix(want.Reference, h.host+"/")
	if diff := cmp.Diff(want, h.look(i, digested, "")); diff != "" {
		t.Error(diff)
	}
	if n := h.asked.Load(); n != asked {
		t.Errorf("what is known by its digest was asked for: %d requests", n-asked)
	}
	if found := h.look(i, "team/app:2", "it has no such image"); !cmp.Equal(found, objects.Image{}) {
		t.Errorf("what is not there is %+v", found)
	}
	if _, _, err := i.Look(t.Context(), "customImage:latest"); err == nil {
		t.Error("a name that is none has an image")
	}
}

// Who makes an image may write what he likes into it: what would not fit into a
// pod, or into the record of a start, is left out.
func TestAConfigurationIsBounded(t *testing.T) {
	many := func(format string) map[string]struct{} {
		all := map[string]struct{}{}
		for n := range 5000 {
			all[fmt.Sprintf(format, n)] = struct{}{}
		}
		return all
	}
	long := strings.Repeat("x", 1<<20)
	for name, c := range map[string]struct {
		config v1.Config
		warns  string
	}{
		"volumes":  {v1.Config{User: "7", Volumes: many("/data/%d")}, "names 5000 volumes or ports, and at most 64"},
		"ports":    {v1.Config{User: "7", ExposedPorts: many("%d/tcp")}, "names 5000 volumes or ports, and at most 64"},
		"a path":   {v1.Config{User: "7", Volumes: map[string]struct{}{"/" + long: {}}}, "has a name of 1048577 bytes"},
		"a folder": {v1.Config{User: "7", WorkingDir: "/" + long}, "has a name of 1048577 bytes"},
		"the user": {v1.Config{User: long}, "has a name of 1048576 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarbour(t, "")
			want := objects.Image{Reference: h.push("app:1", c.config)}
			if diff := cmp.Diff(want, h.look(images.New(images.Config{}), "app:1", c.warns)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestARegistrysWordsAreBounded(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("0", 20_000))
		w.Header().Set("Content-Type", "application/\u202e"+strings.Repeat("x", 20_000))
		w.Header().Set("Content-Length", "2")
		if r.Method == http.MethodGet {
			io.WriteString(w, "{}")
		}
	}))
	defer s.Close()
	_, warning, err := images.New(images.Config{}).Look(t.Context(), strings.TrimPrefix(s.URL, "http://")+"/app:1")
	if err != nil || warning == "" || len(warning) > 500 || strings.ContainsRune(warning, '\u202e') {
		t.Errorf("a warning of %d bytes: %.600s, %v", len(warning), warning, err)
	}
}

func TestATagThatMoves(t *testing.T) {
	h := newHarbour(t, "")
	first := h.push("app:1", v1.Config{User: "1"})
	i := images.New(images.Config{Fresh: time.Nanosecond})
	if got := h.look(i, "app:1", ""); got.Reference != first {
		t.Errorf("at first it is %+v", got)
	}
	second := h.push("app:1", v1.Config{User: "2"})
	if got := h.look(i, "app:1", ""); got.Reference != second || got.User != "2" {
		t.Errorf("then it is %+v", got)
	}
	h.away.Store(true)
	if got := h.look(i, "app:1", "the app runs what it was before, "+second); got.Reference != second || got.User != "2" {
		t.Errorf("with the registry away it is %+v", got)
	}
	h.away.Store(false)
	third := h.push("app:1", v1.Config{User: "3"})
	h.noConfig.Store(true)
	if got := h.look(i, "app:1", "does not say how"); got.Reference != third || got.Known {
		t.Errorf("without its configuration it is %+v", got)
	}
}

func TestARegistryThatIsAwayStopsNoStart(t *testing.T) {
	h := newHarbour(t, "")
	digest := h.push("app:1", v1.Config{})
	h.away.Store(true)
	i := images.New(images.Config{})
	if got := h.look(i, "app:1", "it answers 502"); !cmp.Equal(got, objects.Image{}) {
		t.Errorf("a tag is %+v", got)
	}
	if got := h.look(i, strings.TrimPrefix(digest, h.host+"/"), "does not say how"); !cmp.Equal(got, objects.Image{Reference: digest}) {
		t.Errorf("a digest is %+v", got)
	}
	i = images.New(images.Config{Timeout: 50 * time.Millisecond, Transport: way(func(r *http.Request) (*http.Response, error) {
		<-r.Context().Done()
		return nil, r.Context().Err()
	})})
	_, warning, err := i.Look(t.Context(), "registry.example.com/app:1")
	if err != nil || !strings.Contains(warning, "in time") {
		t.Errorf("one that hangs: warning %q, error %v", warning, err)
	}
	closed := httptest.NewServer(nil)
	closed.Close()
	host := strings.TrimPrefix(closed.URL, "http://")
	_, warning, err = images.New(images.Config{}).Look(t.Context(), host+"/app:1")
	if err != nil || !strings.Contains(warning, "refused") || strings.Contains(warning, "("+host) {
		t.Errorf("one that is closed: warning %q, error %v", warning, err)
	}
	left, cancel := context.WithCancelCause(t.Context())
	why := errors.New("nobody waits any more")
	cancel(why)
	if _, _, err := i.Look(left, "other/app:1"); !errors.Is(err, why) {
		t.Errorf("a start that was given up: error %v", err)
	}
}

func TestManyStartsAskOnce(t *testing.T) {
	h := newHarbour(t, "")
	h.push("app:1", v1.Config{})
	i := images.New(images.Config{})
	before := h.asked.Load()
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			if _, warning, err := i.Look(t.Context(), h.host+"/app:1"); err != nil || warning != "" {
				t.Errorf("warning %q, error %v", warning, err)
			}
		})
	}
	all.Wait()
	if n := h.asked.Load() - before; n > 5 {
		t.Errorf("%d requests for one image", n)
	}
}

func TestPullSecrets(t *testing.T) {
	h := newHarbour(t, "open sesame")
	want := h.push("team/app:1", v1.Config{})
	secret := func(host, password string) []byte {
		text, err := json.Marshal(map[string]any{"auths": map[string]any{host: map[string]string{"username": "puller", "password": password}}})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	for _, c := range []struct {
		name    string
		secrets func(context.Context) ([][]byte, error)
		warns   string
	}{
		{"none", nil, "nobody with the pull secrets"},
		{"of another registry", func(context.Context) ([][]byte, error) {
			return [][]byte{secret("registry.example.com", "open sesame")}, nil
		}, "nobody with the pull secrets"},
		{"with another password", func(context.Context) ([][]byte, error) { return [][]byte{secret(h.host, "hunter2")}, nil }, "nobody with the pull secrets"},
		{"of the registry", func(context.Context) ([][]byte, error) { return [][]byte{secret(h.host, "open sesame")}, nil }, ""},
		{"no JSON", func(context.Context) ([][]byte, error) { return [][]byte{[]byte(`{"auths": hunter2`)}, nil }, "the 1. is no .dockerconfigjson"},
		{"that cannot be read", func(context.Context) ([][]byte, error) { return nil, errors.New("no such Secret") }, "no such Secret"},
	} {
		t.Run(c.name, func(t *testing.T) {
			found, warning, err := images.New(images.Config{Secrets: c.secrets}).Look(t.Context(), h.host+"/team/app:1")
			if err != nil || !strings.Contains(warning, c.warns) || (c.warns == "") != (found.Reference == want) {
				t.Errorf("it is %+v, warning %q, error %v", found, warning, err)
			}
			if strings.Contains(warning, "sesame") || strings.Contains(warning, "hunter2") {
				t.Errorf("the warning tells a password: %s", warning)
			}
		})
	}
}

func TestAnImageOfManyPlatforms(t *testing.T) {
	h := newHarbour(t, "")
	var all v1.ImageIndex = empty.Index
	for _, arch := range []string{"amd64", "arm64"} {
		img, err := mutate.Config(empty.Image, v1.Config{User: "1000", Env: []string{"ARCH=" + arch}})
		if err != nil {
			t.Fatal(err)
		}
		all = mutate.AppendManifests(all, mutate.IndexAddendum{
			Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	if err := remote.WriteIndex(h.tag("app:1"), all); err != nil {
		t.Fatal(err)
	}
	digest, err := all.Digest()
	if err != nil {
		t.Fatal(err)
	}
	found := h.look(images.New(images.Config{}), "app:1", "")
	if !strings.HasSuffix(found.Reference, "@"+digest.String()) || found.User != "1000" {
		t.Errorf("it is %+v, want the digest of all, %s", found, digest)
	}
}

// TestAnswersAreBounded has a registry send manifests without an end.
func TestAnswersAreBounded(t *testing.T) {
	var sent atomic.Int64
	endless := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/vnd.oci.image.manifest.v1+json")
		w.Header().Set("Docker-Content-Digest", "sha256:"+strings.Repeat("0", 64))
		if strings.HasSuffix(r.URL.Path, "/v2/") || r.Method == http.MethodHead {
			w.Header().Set("Content-Length", "1")
			return
		}
		for block := bytes.Repeat([]byte(" "), 64<<10); sent.Load() < 1<<30; {
			n, err := w.Write(block)
			if sent.Add(int64(n)); err != nil {
				return
			}
		}
	}))
	defer endless.Close()
	_, warning, err := images.New(images.Config{Timeout: time.Minute}).Look(t.Context(), strings.TrimPrefix(endless.URL, "http://")+"/app:1")
	if err != nil || warning == "" {
		t.Errorf("warning %q, error %v", warning, err)
	}
	if n := sent.Load(); n > 64<<20 {
		t.Errorf("%d bytes were read", n)
	}
}

func TestDockersRegistryByItsName(t *testing.T) {
	const digest = "@sha256:1d74054eb919a29cd1cb573c262e730fb9405524487050ef67ade22a24028b86"
	i := images.New(images.Config{Transport: way(func(*http.Request) (*http.Response, error) {
		return nil, errors.New("no way there")
	})})
	found, warning, err := i.Look(t.Context(), "nginx"+digest)
	if err != nil || !strings.Contains(warning, "no way there") || found.Reference != "docker.io/library/nginx"+digest {
		t.Errorf("it is %+v, warning %q, error %v", found, warning, err)
	}
}

// way is one to registries.
type way func(*http.Request) (*http.Response, error)

func (w way) RoundTrip(r *http.Request) (*http.Response, error) { return w(r) }
