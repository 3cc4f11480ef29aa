package api_test

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/api"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
)

func digestOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// linked is a house with an instance whose app has a bundle.
type linked struct {
	*house
	in  *controlplane.Instance
	app *controlplane.App
	now time.Time
}

func newLinked(t *testing.T) *linked {
	t.Helper()
	h := newHouse(t)
	l := &linked{house: h, now: time.Now()}
	h.service.Now = func() time.Time { return l.now }
	h.service.SignBundleLink = func(b controlplane.BundleLink) string { return identity.SignBundleLink([]byte("ours"), b) }
	l.app = &controlplane.App{
		ID: uuid.NewString(), Name: "packed", Version: "1", Owner: "ada", Visibility: controlplane.Private, Lifecycle: controlplane.OnDemand,
		RoutingMode: controlplane.Domain, AppMode: controlplane.Python, Bundle: h.keep("the archive"),
	}
	l.in = &controlplane.Instance{
		ID: uuid.NewString(), AppID: l.app.ID, Owner: "ada", Visibility: controlplane.Private, Status: controlplane.Pending,
		RoutingMode: controlplane.Domain, Generation: 4,
	}
	l.put()
	return l
}

func (l *linked) put() {
	l.Helper()
	_, err := l.store.Update(l.Context(), func(tx controlplane.Tx) error {
		if err := tx.Put(l.app); err != nil {
			return err
		}
		return tx.Put(l.in)
	})
	if err != nil {
		l.Fatal(err)
	}
}

func (l *linked) link() controlplane.BundleLink {
	return controlplane.NewBundleLink(l.app.Bundle, l.in.ID, l.in.Generation, l.now, 0)
}

func (l *linked) get(method, target string, header ...string) answer {
	l.Helper()
	return l.call(method, target, "", "", header...)
}

func TestALinkFetchesTheBundleOfItsStart(t *testing.T) {
	l := newLinked(t)
	target := api.BundleTarget(l.link(), l.service.SignBundleLink(l.link()))
	got := l.get("GET", target)
	if got.StatusCode != 200 || got.body != "the archive" || got.Header.Get("ETag") != `"`+l.app.Bundle+`"` || got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("%d %s %v", got.StatusCode, got.body, got.Header)
	}
	if got := l.get("HEAD", target); got.StatusCode != 200 || got.body != "" || got.Header.Get("Content-Length") != "11" {
		t.Errorf("HEAD: %d %q %v", got.StatusCode, got.body, got.Header)
	}
	if got := l.get("GET", target, "Range: bytes=4-"); got.StatusCode != 206 || got.body != "archive" {
		t.Errorf("a range: %d %q", got.StatusCode, got.body)
	}
	if got := l.get("GET", target, "If-None-Match: "+`"`+l.app.Bundle+`"`); got.StatusCode != 304 {
		t.Errorf("unchanged: %d", got.StatusCode)
	}
	if got := l.get("POST", target); got.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", got.StatusCode)
	}
	l.now = l.now.Add(controlplane.DefaultBundleLink + 10*time.Second) // another clock may be behind
	if got := l.get("GET", target); got.StatusCode != 200 {
		t.Errorf("within the skew of clocks: %d", got.StatusCode)
	}
}

func TestALinkIsGoodForNothingElse(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*linked, *controlplane.BundleLink) // of the link, after it was signed
		spoil  func(*linked)                           // of all else
		sign   func(controlplane.BundleLink) string
		status int
		says   string
	}{
		"another bundle":   {change: func(l *linked, b *controlplane.BundleLink) { b.Digest = l.keep("another") }, status: 403, says: "not signed here"},
		"another instance": {change: func(l *linked, b *controlplane.BundleLink) { b.Instance = l.run }, status: 403, says: "not signed here"},
		"another start":    {change: func(_ *linked, b *controlplane.BundleLink) { b.Generation++ }, status: 403, says: "not signed here"},
		"a later end":      {change: func(_ *linked, b *controlplane.BundleLink) { b.Expires = b.Expires.Add(time.Second) }, status: 403, says: "not signed here"},
		"another key":      {sign: func(b controlplane.BundleLink) string { return identity.SignBundleLink([]byte("theirs"), b) }, status: 403, says: "not signed here"},
		"an instance's token": {sign: func(b controlplane.BundleLink) string {
			return identity.InstanceToken([]byte("ours"), b.Instance, b.Generation)
		}, status: 403, says: "not signed here"},
		"a part of it":   {sign: func(b controlplane.BundleLink) string { return identity.SignBundleLink([]byte("ours"), b)[:20] }, status: 403, says: "not signed here"},
		"later":          {spoil: func(l *linked) { l.now = l.now.Add(controlplane.DefaultBundleLink + time.Minute) }, status: 410, says: "it was good until"},
		"the next start": {spoil: func(l *linked) { l.in.Generation++; l.put() }, status: 410, says: "the start of instance"},
		"asleep":         {spoil: func(l *linked) { l.in.Status = controlplane.Suspended; l.put() }, status: 410, says: "the start of instance"},
		"failed":         {spoil: func(l *linked) { l.in.Status = controlplane.Failed; l.put() }, status: 410, says: "the start of instance"},
		"terminating":    {spoil: func(l *linked) { l.in.Status = controlplane.Terminating; l.put() }, status: 410, says: "the start of instance"},
		"another app's":  {spoil: func(l *linked) { l.app.Bundle = l.keep("another"); l.put() }, status: 410, says: "no such bundle"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLinked(t)
			link := l.link()
			sign := l.service.SignBundleLink
			if c.sign != nil {
				sign = c.sign
			}
			signature := sign(link)
			if c.change != nil {
				c.change(l, &link)
			}
			if c.spoil != nil {
				c.spoil(l)
			}
			got := l.get("GET", api.BundleTarget(link, signature))
			if p := l.problem(got, c.status); !strings.Contains(p.Detail, c.says) || p.Hint == "" {
				t.Errorf("%+v", p)
			}
		})
	}
}

func TestAnIncompleteLink(t *testing.T) {
	l := newLinked(t)
	target := api.BundleTarget(l.link(), l.service.SignBundleLink(l.link()))
	for _, bad := range []string{
		strings.Replace(target, "signature=", "other=", 1), strings.Replace(target, "generation=4", "generation=four", 1), target + "&more=1",
	} {
		l.problem(l.get("GET", bad), 422)
	}
}

// A link ends after as long as was asked for, within bounds.
func TestHowLongALinkIsGood(t *testing.T) {
	now := time.Unix(1_700_000_000, 5)
	for asked, want := range map[time.Duration]time.Duration{
		0: controlplane.DefaultBundleLink, -1: controlplane.DefaultBundleLink, time.Minute: time.Minute, 10 * time.Hour: controlplane.MaxBundleLink,
	} {
		if got := controlplane.NewBundleLink("d", "i", 1, now, asked).Expires; !got.Equal(time.Unix(1_700_000_000, 0).Add(want)) {
			t.Errorf("%s gives %s", strconv.FormatFloat(asked.Seconds(), 'f', 0, 64), got)
		}
	}
}
