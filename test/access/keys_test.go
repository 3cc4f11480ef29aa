package access

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// keyring is one that another control plane of the world's store would have,
// with a clock of its own: nobody waits for a day, or for half of 15 minutes.
func (w *world) keyring(t *testing.T, ahead time.Duration) *identity.Keyring {
	t.Helper()
	store, err := etcdstore.Open(etcdstore.Config{Endpoints: []string{w.endpoint}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	ring, err := identity.NewKeyring(t.Context(), store, func() time.Time { return time.Now().Add(ahead) })
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// noStore is a keyring's that nobody else reads.
type noStore struct{}

func (noStore) PassKeys(_ context.Context, change func([]controlplane.SigningKey) []controlplane.SigningKey) ([]controlplane.SigningKey, error) {
	return change(nil), nil
}

// passOf is what a browser's pass says, once it has entered.
func (b *browser) passOf(t *testing.T, ring *identity.Keyring, in *v1.Instance) identity.Pass {
	t.Helper()
	b.enter(t, in)
	pass, err := ring.Read(b.cookies(t, in.URL)[passCookie(in)])
	if err != nil {
		t.Fatal(err)
	}
	return *pass
}

// aged is the same pass, issued that long ago.
func aged(p identity.Pass, by time.Duration) identity.Pass {
	p.IssuedAt -= int64(by / time.Second)
	p.Expires -= int64(by / time.Second)
	return p
}

// askKeys asks what becomes of passes that are old, and of their keys.
func (w *world) askKeys(t *testing.T) {
	ring := w.keyring(t, 0)
	in := w.things.instances["ALL_USERS DOMAIN ON_DEMAND"]
	for _, e := range w.edges {
		plain := &http.Client{Transport: e.transport}
		b := e.newBrowser("fiona")
		b.signIn(t)
		good := b.passOf(t, ring, in)
		come := func(t *testing.T, ring *identity.Keyring, p identity.Pass, headers ...string) *answer {
			t.Helper()
			token, err := ring.Sign(p)
			if err != nil {
				t.Fatal(err)
			}
			return ask(t, plain, "GET "+in.URL, "", append(headers, "Cookie: "+passCookie(in)+"="+token)...)
		}
		foreign, err := identity.NewKeyring(t.Context(), noStore{}, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(e.name+"/a pass is renewed past half of its life", func(t *testing.T) {
			a := come(t, ring, aged(good, 8*time.Minute))
			line := cookieOf(a, passCookie(in))
			if a.StatusCode != http.StatusOK || !isHostCookie(line) || !maxAgeIs(line, 14*60, 15*60) {
				t.Fatalf("%s %v", a, a.Header)
			}
			cookie, _, _ := strings.Cut(line, ";")
			newer, err := ring.Read(strings.TrimPrefix(cookie, passCookie(in)+"="))
			if err != nil || newer.User != "fiona" || newer.Credential != good.Credential || newer.Expires <= aged(good, 8*time.Minute).Expires || newer.Until != good.Until {
				t.Errorf("%+v %v", newer, err)
			}
			if a := ask(t, plain, "GET "+in.URL, "", "Cookie: "+cookie); a.StatusCode != http.StatusOK {
				t.Errorf("the newer one: %s", a)
			}
		})
		for name, c := range map[string]struct {
			ring   *identity.Keyring
			pass   identity.Pass
			status int
		}{
			"before half of its life it stays":   {ring, aged(good, 6*time.Minute), 200},
			"it is over":                         {ring, aged(good, 15*time.Minute+time.Second), 401},
			"it is of the future":                {ring, aged(good, -2*time.Minute), 401},
			"it is of a key that nobody knows":   {foreign, good, 401},
			"it is of another instance":          {ring, with(good, func(p *identity.Pass) { p.Instance = nothing }), 401},
			"it is a program's":                  {ring, with(good, func(p *identity.Pass) { p.Use = identity.PassBearer }), 401},
			"it is of an epoch that has ended":   {ring, with(good, func(p *identity.Pass) { p.Epoch--; p.User = "otto" }), 401},
			"it lasts no longer than a sign-in":  {ring, with(aged(good, 14*time.Minute), func(p *identity.Pass) { p.Until = p.Expires }), 200},
			"its session is not known, so stays": {ring, with(aged(good, 8*time.Minute), func(p *identity.Pass) { p.Credential = strings.Repeat("a", 64) }), 200},
		} {
			t.Run(e.name+"/"+name, func(t *testing.T) {
				a := come(t, c.ring, c.pass)
				if a.StatusCode != c.status || c.status == 200 && cookieOf(a, passCookie(in)) != "" {
					t.Errorf("%s %v", a, a.Header)
				}
			})
		}
		t.Run(e.name+"/renewal ends with the session", func(t *testing.T) {
			b.signOut(t, false)
			slipwaytest.Eventually(t, "the pass is refused", func() bool { return come(t, ring, aged(good, 8*time.Minute)).StatusCode == 401 })
		})
	}
}

func with(p identity.Pass, change func(*identity.Pass)) identity.Pass {
	change(&p)
	return p
}

// askRotation has the keys rotated as they are after a day: the new one counts
// at every edge, the old one until its last pass is over.
func (w *world) askRotation(t *testing.T) {
	in := w.things.instances["ALL_USERS DOMAIN ON_DEMAND"]
	old := w.keyring(t, 0)
	b := w.control().newBrowser("fiona")
	b.signIn(t)
	good := b.passOf(t, old, in)
	status := func(e *edge, ring *identity.Keyring) int {
		token, err := ring.Sign(good)
		if err != nil {
			t.Fatal(err)
		}
		return ask(t, &http.Client{Transport: e.transport}, "GET "+in.URL, "", "Cookie: "+passCookie(in)+"="+token).StatusCode
	}
	w.keyring(t, 25*time.Hour)                       // publishes a new key
	next := w.keyring(t, 25*time.Hour+2*time.Minute) // signs with it
	for _, e := range w.edges {
		slipwaytest.Eventually(t, "a pass of the new key is good at "+e.name, func() bool { return status(e, next) == 200 })
		if got := status(e, old); got != 200 {
			t.Errorf("%s: a pass of the old key: %d", e.name, got)
		}
		if got := b.at(e).visit(t, in); got != "✓" {
			t.Errorf("%s: a browser of before: %s", e.name, got)
		}
		e.newBrowser("fiona").signIn(t)
	}
	w.keyring(t, 25*time.Hour+62*time.Minute) // forgets the old one
	for _, e := range w.edges {
		slipwaytest.Eventually(t, "a pass of the old key is refused at "+e.name, func() bool { return status(e, old) == 401 })
		if got := status(e, next); got != 200 {
			t.Errorf("%s: a pass of the new key: %d", e.name, got)
		}
	}
}
