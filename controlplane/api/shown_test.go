package api_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// keep is a blob with this content.
func (h *house) keep(content string) (digest string) {
	h.Helper()
	pending, err := h.service.Blobs.Create(h.Context())
	if err != nil {
		h.Fatal(err)
	}
	if _, err := io.WriteString(pending, content); err != nil {
		h.Fatal(err)
	}
	if digest, err = pending.Commit(); err != nil {
		h.Fatal(err)
	}
	if err := pending.Discard(); err != nil {
		h.Fatal(err)
	}
	return digest
}

// What bundles bring can do nothing in a browser that shows it, and is asked for
// again each time.
func TestWhatIsShownOfAnApp(t *testing.T) {
	h := newHouse(t)
	icon, photo, text := h.keep("an icon"), h.keep("a photo"), h.keep("<p>text</p>")
	if _, err := h.store.Update(t.Context(), func(tx controlplane.Tx) error {
		app, err := tx.App(h.app)
		if err != nil {
			return err
		}
		app.Icon, app.LongDescription = icon, text
		app.Screenshots = []controlplane.Picture{{Digest: photo, Type: "image/jpeg"}, {Digest: strings.Repeat("0", 64), Type: "image/png"}}
		return tx.Put(app)
	}); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]struct{ body, kind, digest, policy string }{
		"icon":          {"an icon", "image/png", icon, "default-src 'none'; sandbox"},
		"screenshots/1": {"a photo", "image/jpeg", photo, "default-src 'none'; sandbox"},
		"description":   {"<p>text</p>", "text/html; charset=utf-8", text, "sandbox allow-popups"},
	} {
		t.Run(path, func(t *testing.T) {
			url := "/api/v1/apps/" + h.app + "/" + path
			a := h.call("GET", url, h.user, "")
			header := a.Header
			if a.StatusCode != http.StatusOK || a.body != want.body || header.Get("Content-Type") != want.kind || header.Get("ETag") != `"`+want.digest+`"` {
				t.Errorf("%d %q, %v", a.StatusCode, a.body, header)
			}
			if header.Get("X-Content-Type-Options") != "nosniff" || header.Get("Cache-Control") != "private, no-cache" ||
				!strings.Contains(header.Get("Content-Security-Policy"), "default-src 'none'") || !strings.Contains(header.Get("Content-Security-Policy"), want.policy) {
				t.Errorf("header %v", header)
			}
			a = h.call("GET", url, h.user, "", `If-None-Match: "`+want.digest+`"`)
			if a.StatusCode != http.StatusNotModified || a.body != "" {
				t.Errorf("the same again: %d %q", a.StatusCode, a.body)
			}
		})
	}
	for path, status := range map[string]int{"screenshots/2": 404, "screenshots/3": 404, "screenshots/0": 422, "screenshots/x": 422, "screenshots/-1": 422} {
		if a := h.call("GET", "/api/v1/apps/"+h.app+"/"+path, h.user, ""); a.StatusCode != status {
			t.Errorf("%s: %d %s", path, a.StatusCode, a.body)
		}
	}
}

func TestAnAppWithoutParts(t *testing.T) {
	h := newHouse(t)
	for _, path := range []string{"icon", "screenshots/1", "description"} {
		if p := h.problem(h.call("GET", "/api/v1/apps/"+h.app+"/"+path, h.user, ""), http.StatusNotFound); p.Code != "not_found" {
			t.Errorf("%s: %+v", path, p)
		}
	}
}
