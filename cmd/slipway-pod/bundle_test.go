//go:build linux

package main

import (
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/access"
	"github.com/seed-dbc68772/slipway/controlplane/api"
	"github.com/seed-dbc68772/slipway/controlplane/blobs"
	"github.com/seed-dbc68772/slipway/controlplane/bundle/bundletest"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/inpod"
	"github.com/seed-dbc68772/slipway/routing"
)

// host is the installation's own: httptest's certificate has this name.
const host = "example.com"

// office is a real API with an instance that starts.
type office struct {
	*place
	server  *httptest.Server
	front   atomic.Pointer[http.HandlerFunc] // before the API; nil: nothing
	link    controlplane.BundleLink
	sign    func(controlplane.BundleLink) string
	now     atomic.Int64 // ahead of the clock, in seconds
	archive []byte
}

func newOffice(t *testing.T, archive []byte) *office {
	t.Helper()
	o := &office{place: newPlace(t), archive: archive}
	o.sign = func(l controlplane.BundleLink) string { return identity.SignBundleLink([]byte("key"), l) }
	store := etcdtest.Shared(t).Open(t)
	site, err := routing.NewSite(routing.SiteConfig{BaseURL: "https://" + host})
	folder, err2 := blobs.New(t.TempDir())
	if err := errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	blob, err := folder.Create(t.Context())
	if err == nil {
		_, err = blob.Write(archive)
	}
	var digest string
	if err == nil {
		digest, err = blob.Commit()
	}
	if err := errors.Join(err, blob.Discard()); err != nil {
		t.Fatal(err)
	}
	service := controlplane.NewService(controlplane.Config{
		Store: store, Edges: store, Leaders: store, Happenings: store, Blobs: folder, Access: access.Rules{}, SignBundleLink: o.sign,
		Now: func() time.Time { return time.Now().Add(time.Duration(o.now.Load()) * time.Second) },
	})
	app := &controlplane.App{ID: uuid.NewString(), Name: "demo", Version: "1", Owner: "ada", Visibility: controlplane.Private, Bundle: digest, AppMode: controlplane.Python}
	in := &controlplane.Instance{ID: uuid.NewString(), AppID: app.ID, Owner: "ada", Visibility: controlplane.Private, Status: controlplane.Pending, Generation: 1}
	if _, err := store.Update(t.Context(), func(tx controlplane.Tx) error { return errors.Join(tx.Put(app), tx.Put(in)) }); err != nil {
		t.Fatal(err)
	}
	o.link = controlplane.NewBundleLink(digest, in.ID, 1, time.Now(), 0)
	handler := api.New(api.Config{Service: service, Site: site, Log: zap.NewNop()})
	o.server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != host {
			w.WriteHeader(http.StatusMisdirectedRequest)
			return
		}
		if front := o.front.Load(); front != nil {
			(*front)(w, r)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(o.server.Close)
	o.server.Config.ErrorLog = zap.NewStdLog(zap.NewNop())
	return o
}

// before puts something in front of the API.
func (o *office) before(f func(api http.Handler) http.HandlerFunc) {
	api := o.server.Config.Handler
	front := f(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		held := o.front.Swap(nil)
		defer o.front.Store(held)
		api.ServeHTTP(w, r)
	}))
	o.front.Store(&front)
}

func (o *office) given() inpod.Bundle {
	return inpod.Bundle{
		URL: o.server.URL + api.BundleTarget(o.link, o.sign(o.link)), Host: host, Digest: o.link.Digest, Limit: 1 << 30, Patience: 3 * time.Second,
		CA:      pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: o.server.Certificate().Raw}),
		Program: o.path("bin", "slipway-pod"), App: o.path("app"), Scratch: o.path("tmp"),
		Files: []inpod.File{{Path: "conf/plain", Value: []byte("plain\xff")}},
	}
}

func (o *office) fetch(b inpod.Bundle) result {
	o.Helper()
	r := o.step(inpod.StepBundle, o.give(b))
	// The link opens the archive: nobody is to read it anywhere.
	signature := o.sign(o.link)
	if strings.Contains(r.out, signature) || strings.Contains(r.reason.Text, signature) {
		o.Errorf("the link is told:\n%s%s", r.out, r.reason)
	}
	if left, err := os.ReadDir(o.path("tmp")); err != nil || len(left) > 0 {
		o.Errorf("there is left %v, %v", left, err)
	}
	return r
}

// noise is text that no archive makes much smaller.
func noise(n int) string {
	var b strings.Builder
	random := rand.New(rand.NewPCG(1, 2))
	for b.Len() < n {
		b.WriteString(strconv.FormatUint(random.Uint64(), 36))
	}
	return b.String()
}

func sources() map[string]string {
	return map[string]string{"app.toml": "[App]\n", "pkg/main.py": "print(1)\n", "data": noise(3 << 20)}
}

// unpacked checks that all is where it belongs.
func (o *office) unpacked(r result) {
	o.Helper()
	if r.code != 0 {
		o.Fatalf("exit code %d: %v\n%s", r.code, r.reason, r.out)
	}
	want := sources()
	want["conf/plain"] = "plain\xff"
	for name, text := range want {
		if got, err := os.ReadFile(o.path("app", name)); err != nil || string(got) != text {
			o.Errorf("%s: %.40q, %v", name, got, err)
		}
	}
	own, err := os.ReadFile(binary)
	copied, err2 := os.ReadFile(o.path("bin", "slipway-pod"))
	info, err3 := os.Stat(o.path("bin", "slipway-pod"))
	if err := errors.Join(err, err2, err3); err != nil || string(own) != string(copied) || info.Mode().Perm() != 0o755 {
		o.Errorf("the program was not copied: %v", err)
	}
	if entries, err := os.ReadDir(o.path("bin")); err != nil || len(entries) != 1 {
		o.Errorf("beside the program: %v, %v", entries, err)
	}
}

func TestABundleIsFetchedAndUnpacked(t *testing.T) {
	o := newOffice(t, bundletest.Zip(t, sources()))
	o.unpacked(o.fetch(o.given()))
	o.files(map[string]string{"left/by": "the step before"})
	o.unpacked(o.fetch(o.given()))
	if _, err := os.Stat(o.path("app", "left")); err == nil {
		t.Error("what an earlier step left is in the app")
	}
}

func TestAFetchThatIsCutOffIsTakenUp(t *testing.T) {
	o := newOffice(t, bundletest.Zip(t, sources()))
	var calls, sent atomic.Int64
	o.before(func(api http.Handler) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			switch calls.Add(1) {
			case 1:
				w.WriteHeader(http.StatusServiceUnavailable)
			case 2:
				panic(http.ErrAbortHandler)
			default:
				api.ServeHTTP(&cut{w, 1 << 20, &sent}, r)
			}
		}
	})
	o.unpacked(o.fetch(o.given()))
	if n := sent.Load(); calls.Load() < 4 || n > int64(len(o.archive))+4<<20 {
		t.Errorf("%d calls sent %d bytes of %d", calls.Load(), n, len(o.archive))
	}
}

// cut ends an answer after so many bytes.
type cut struct {
	http.ResponseWriter
	left int
	sent *atomic.Int64
}

func (c *cut) Write(b []byte) (int, error) {
	part := b[:min(len(b), c.left)]
	n, err := c.ResponseWriter.Write(part)
	c.sent.Add(int64(n))
	if c.left -= n; c.left == 0 {
		_ = http.NewResponseController(c.ResponseWriter).Flush()
		panic(http.ErrAbortHandler)
	}
	return n, err
}

func TestABundleThatCannotBeHad(t *testing.T) {
	whole := bundletest.Zip(t, sources())
	for name, c := range map[string]struct {
		archive []byte
		change  func(*office, *inpod.Bundle)
		code    controlplane.ReasonCode
		words   string
	}{
		"its link is over":      {change: func(o *office, _ *inpod.Bundle) { o.now.Store(3600) }, code: controlplane.LauncherDown, words: "it was good until"},
		"its link was changed":  {change: func(_ *office, b *inpod.Bundle) { b.URL = strings.Replace(b.URL, "generation=1", "generation=2", 1) }, code: controlplane.LauncherDown, words: "was not signed here"},
		"another digest":        {change: func(_ *office, b *inpod.Bundle) { b.Digest = digestOf([]byte("another")) }, code: controlplane.BadBundle, words: "its SHA-256 is " + digestOf(whole)},
		"too large":             {change: func(_ *office, b *inpod.Bundle) { b.Limit = 1 << 20 }, code: controlplane.BadBundle, words: "more than 1048576 bytes"},
		"no archive":            {archive: []byte("PK no"), code: controlplane.BadBundle, words: "cannot be unpacked"},
		"a way out of the app":  {archive: bundletest.Zip(t, map[string]string{"app.toml": "", "../out": "x"}), code: controlplane.BadBundle, words: ".."},
		"nobody there":          {change: func(o *office, _ *inpod.Bundle) { o.server.Close() }, code: controlplane.LauncherDown, words: "connection refused"},
		"another's certificate": {change: func(_ *office, b *inpod.Bundle) { b.CA = nil }, code: controlplane.LauncherDown, words: "certificate"},
		"no certificate":        {change: func(_ *office, b *inpod.Bundle) { b.CA = []byte("none") }, code: controlplane.LauncherDown, words: "has no certificate in PEM"},
		"another name":          {change: func(_ *office, b *inpod.Bundle) { b.Host = "other.example" }, code: controlplane.LauncherDown, words: "other.example"},
		"a redirect": {change: func(o *office, _ *inpod.Bundle) {
			o.before(func(http.Handler) http.HandlerFunc {
				return func(w http.ResponseWriter, _ *http.Request) {
					w.Header().Set("Location", "https://elsewhere.example/")
					w.WriteHeader(http.StatusPermanentRedirect)
				}
			})
		}, code: controlplane.LauncherDown, words: "without a redirect"},
		"only errors": {change: func(o *office, _ *inpod.Bundle) {
			o.before(func(http.Handler) http.HandlerFunc {
				return func(w http.ResponseWriter, _ *http.Request) {
					w.WriteHeader(http.StatusInternalServerError)
					fmt.Fprint(w, `{"detail":"it is ill"}`)
				}
			})
		}, code: controlplane.LauncherDown, words: "it is ill"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			archive := c.archive
			if archive == nil {
				archive = whole
			}
			o := newOffice(t, archive)
			b := o.given()
			if c.change != nil {
				c.change(o, &b)
			}
			o.refused(o.fetch(b), c.code, c.words)
		})
	}
}

func TestAFileThatIsNoneOfTheApps(t *testing.T) {
	o := newOffice(t, bundletest.Zip(t, sources()))
	b := o.given()
	b.Files = []inpod.File{{Path: "pkg", Value: []byte("x")}}
	o.refused(o.fetch(b), controlplane.BadBundle, "[[File]] pkg cannot be written")
}

// Whoever has the link of an earlier start gets nothing for it.
func TestALinkIsUselessAfterItsEnd(t *testing.T) {
	o := newOffice(t, bundletest.Zip(t, sources()))
	ask := func() (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), "GET", o.given().URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		resp, err := o.server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	if status, _ := ask(); status != 200 {
		t.Fatalf("while it is good: %d", status)
	}
	o.now.Store(3600)
	if status, body := ask(); status != 410 || !strings.Contains(body, "start the instance again") {
		t.Errorf("afterwards: %d %s", status, body)
	}
}
