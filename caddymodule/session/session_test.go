package session_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-dbc68772/slipway/caddymodule/session"
	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
	"github.com/seed-dbc68772/slipway/routing"
)

const someID = "0b5ab1de-3a5e-4f0c-9d0f-5a0c0f6c1a01"

// store is a KeyStore, and the table that follows from it.
type store struct {
	keys  []controlplane.SigningKey
	table *routing.Table
}

func (s *store) PassKeys(_ context.Context, change func([]controlplane.SigningKey) []controlplane.SigningKey) ([]controlplane.SigningKey, error) {
	s.keys = change(s.keys)
	for _, key := range s.keys {
		s.put("routes/"+etcdstore.RecordOfKey(key.ID), publicRecord(key))
	}
	return s.keys, nil
}

func publicRecord(key controlplane.SigningKey) string {
	raw, err := json.Marshal(controlplane.VerificationKey{
		Algorithm: controlplane.EdDSA, Key: ed25519.NewKeyFromSeed(key.Seed).Public().(ed25519.PublicKey),
	})
	if err != nil {
		panic(err)
	}
	return string(raw)
}

func (s *store) put(key, value string) {
	change, ok, err := etcdstore.RouteChange(etcdstore.Event{Key: key, Value: []byte(value)})
	if !ok || err != nil {
		panic(fmt.Sprint(key, ok, err))
	}
	s.table = s.table.Apply(s.table.Revision()+1, []routing.Change{change})
}

// world is one PRIVATE instance, and the means to sign passes for it.
type world struct {
	store
	ring    *identity.Keyring
	in      *routing.Instance
	checker *session.Checker
	cookies session.Cookies
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{checker: session.New()}
	site, err := routing.NewSite(routing.SiteConfig{BaseURL: "https://apps.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	w.cookies = session.NewCookies(site)
	id, _ := routing.ParseID(someID)
	w.table = routing.NewTable().Apply(1, []routing.Change{
		routing.PutInstance(routing.Instance{ID: id, App: "app", Owner: "ann", Status: routing.Deployed}),
		routing.PutPolicy(routing.Policy{App: "app", Owner: "bob"}),
	})
	if w.ring, err = identity.NewKeyring(t.Context(), &w.store, time.Now); err != nil {
		t.Fatal(err)
	}
	w.in = w.table.Instance(id)
	return w
}

func (w *world) sign(t testing.TB, change func(*identity.Pass)) string {
	t.Helper()
	p := identity.NewPass(&controlplane.Actor{User: "ann", Credential: "c", Until: time.Now().Add(time.Hour)}, identity.PassCookie, someID, time.Now())
	if change != nil {
		change(&p)
	}
	token, err := w.ring.Sign(p)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func (w *world) request(pass string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "/", nil)
	r.Header.Set("Cookie", "theme=dark; __Host-slipway-i-"+someID+"="+pass+"; _ga=GA1.2.3")
	return r
}

func (w *world) visitor(pass string) session.Visitor {
	return w.checker.Visitor(w.table, w.in, w.cookies, w.request(pass))
}

func TestCookies(t *testing.T) {
	for base, want := range map[string][2]string{
		"https://apps.example.com":      {"__Host-slipway-i-X", "__Host-slipway-i-X=v; Path=/; Max-Age=9; HttpOnly; Secure; SameSite=Lax"},
		"https://apps.example.com:8443": {"__Host-slipway-i-X", "__Host-slipway-i-X=v; Path=/; Max-Age=9; HttpOnly; Secure; SameSite=Lax"},
		"http://localhost:8080":         {"slipway-i-X-8080", "slipway-i-X-8080=v; Path=/; Max-Age=9; HttpOnly; SameSite=Lax"},
		"http://localhost":              {"slipway-i-X", "slipway-i-X=v; Path=/; Max-Age=9; HttpOnly; SameSite=Lax"},
	} {
		site, err := routing.NewSite(routing.SiteConfig{BaseURL: base})
		if err != nil {
			t.Fatal(err)
		}
		c := session.NewCookies(site)
		if name := c.Pass("X"); name != want[0] || c.Set(name, "v", 9) != want[1] {
			t.Errorf("%s: %s, %s", base, name, c.Set(name, "v", 9))
		}
	}
}

func TestFind(t *testing.T) {
	for _, tc := range []struct {
		lines []string
		value string
		count int
	}{
		{nil, "", 0},
		{[]string{"a=1"}, "1", 1},
		{[]string{"a="}, "", 1},
		{[]string{"a"}, "", 0},
		{[]string{"A=1"}, "", 0},
		{[]string{"ba=1; ab=2"}, "", 0},
		{[]string{"b=1;a=2 ;c=3"}, "2", 1},
		{[]string{"a=1; a=2"}, "2", 2},
		{[]string{"a=1", "b=2; a=3"}, "3", 2},
		{[]string{"b=a=1"}, "", 0},
		{[]string{"a=b=c"}, "b=c", 1},
		{[]string{";;; a=1;"}, "1", 1},
		{[]string{" \ta=1\t "}, "1", 1},
	} {
		value, count := session.Find(http.Header{"Cookie": tc.lines}, "a")
		if value != tc.value || count != tc.count {
			t.Errorf("%q: %q, %d", tc.lines, value, count)
		}
	}
}

func TestTheCheckOfAPassAllocatesLittle(t *testing.T) {
	w := newWorld(t)
	r := w.request(w.sign(t, nil))
	check := func() {
		v := w.checker.Visitor(w.table, w.in, w.cookies, r)
		if w.checker.MayOpen(w.table, w.in, v.Known) != controlplane.Allowed {
			t.Fatal("refused")
		}
	}
	check()
	if got := testing.AllocsPerRun(100, check); got > 2 { // the ID and the cookie's name
		t.Errorf("%v allocations", got)
	}
}

// A pass that was verified is looked up in the table each time.
func TestAVerifiedPassIsStillRevoked(t *testing.T) {
	for name, revoke := range map[string]func(*world){
		"user":       func(w *world) { w.put("routes/revoked/user/ann", `{"epoch":1,"v":1}`) },
		"credential": func(w *world) { w.put("routes/revoked/credential/c", `{"v":1}`) },
		"key": func(w *world) {
			w.table = w.table.Apply(w.table.Revision()+1, []routing.Change{routing.DeleteRecord(etcdstore.RecordOfKey(w.keys[0].ID))})
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			pass := w.sign(t, nil)
			if w.visitor(pass).Known == nil {
				t.Fatal("not known")
			}
			revoke(w)
			if v := w.visitor(pass); v.Known != nil || !v.Spoiled {
				t.Errorf("%+v", v)
			}
		})
	}
	t.Run("of an older epoch only", func(t *testing.T) {
		w := newWorld(t)
		w.put("routes/revoked/user/ann", `{"epoch":3,"v":1}`)
		for epoch, want := range map[int64]bool{2: false, 3: true, 4: true} {
			if got := w.visitor(w.sign(t, func(p *identity.Pass) { p.Epoch = epoch })).Known != nil; got != want {
				t.Errorf("epoch %d: %t", epoch, got)
			}
		}
	})
}

// A pass lives for 15 minutes, and not beyond the sign-in; past half of it one
// request asks for a newer one, and all hand that out.
func TestAPassIsRenewedPastHalfOfItsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		pass := w.sign(t, nil)
		known := w.visitor(pass).Known
		asked := 0
		var answer error
		ask := func(old string) (*session.Known, error) {
			if asked++; old != pass {
				t.Errorf("asked with %q", old)
			}
			if answer != nil {
				return nil, answer
			}
			return w.checker.Know(w.table, w.in.ID, w.sign(t, nil)), nil
		}
		if got, _ := w.checker.Renewed(known, ask); got != "" || asked != 0 {
			t.Fatalf("a fresh one is renewed: %q, asked %d times", got, asked)
		}
		time.Sleep(identity.PassLife/2 + 2*time.Second)
		answer = errors.New("away")
		for range 3 {
			if got, _ := w.checker.Renewed(known, ask); got != "" {
				t.Error("renewed by nobody")
			}
		}
		if asked != 1 {
			t.Errorf("asked %d times in a row", asked)
		}
		time.Sleep(time.Minute)
		answer = nil
		for range 3 {
			got, seconds := w.checker.Renewed(known, ask)
			if got == "" || got == pass || seconds < 890 || seconds > 900 {
				t.Errorf("renewed by %q for %d s", got, seconds)
			}
		}
		if asked != 2 {
			t.Errorf("asked %d times", asked)
		}
		time.Sleep(identity.PassLife)
		if w.visitor(pass).Known != nil {
			t.Error("it outlives its time")
		}
	})
}

func TestAPassDoesNotOutliveTheSignIn(t *testing.T) {
	now := time.Now()
	p := identity.NewPass(&controlplane.Actor{User: "ann", Until: now.Add(5 * time.Minute)}, identity.PassCookie, someID, now)
	if p.Expires != p.Until || p.Aging(now.Add(4*time.Minute)) {
		t.Errorf("%+v", p)
	}
}

// Many begin and end while they are looked at.
func TestStaysComeAndGo(t *testing.T) {
	w := newWorld(t)
	known := w.visitor(w.sign(t, nil)).Known
	var stays session.Stays
	ctx, cancel := context.WithCancel(t.Context())
	var running, cut sync.WaitGroup
	var mu sync.Mutex
	table := w.table
	running.Go(func() {
		w.checker.Watch(ctx, &stays, func() *routing.Table { mu.Lock(); defer mu.Unlock(); return table })
	})
	const kept = 50
	cut.Add(kept)
	for range kept {
		stays.Begin(&session.Stay{Instance: w.in.ID, Owner: "ann", Known: known, Cut: cut.Done})
	}
	for range 8 {
		running.Go(func() {
			for range 1000 {
				s := &session.Stay{Instance: w.in.ID, Owner: "ann", Known: known, Cut: func() {}}
				stays.Begin(s)
				s.End()
				s.End()
			}
		})
	}
	w.put("routes/revoked/credential/c", `{"v":1}`)
	mu.Lock()
	table = w.table
	mu.Unlock()
	cut.Wait()
	cancel()
	running.Wait()
	if n := stays.Len(); n != kept {
		t.Errorf("%d are under way", n)
	}
}

func BenchmarkVisitor(b *testing.B) {
	w := newWorld(b)
	r := w.request(w.sign(b, nil))
	b.ReportAllocs()
	for b.Loop() {
		v := w.checker.Visitor(w.table, w.in, w.cookies, r)
		if w.checker.MayOpen(w.table, w.in, v.Known) != controlplane.Allowed {
			b.Fatal("refused")
		}
	}
}

func BenchmarkVerify(b *testing.B) {
	w := newWorld(b)
	r := w.request(w.sign(b, nil))
	for b.Loop() {
		if session.New().Visitor(w.table, w.in, w.cookies, r).Known == nil {
			b.Fatal("refused")
		}
	}
}

func BenchmarkStay(b *testing.B) {
	var stays session.Stays
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s := &session.Stay{}
			stays.Begin(s)
			s.End()
		}
	})
}

func FuzzFind(f *testing.F) {
	f.Add("a=1; b=2", "a")
	f.Add("; ;=; a", "")
	f.Fuzz(func(t *testing.T, line, name string) {
		if name == "" {
			return
		}
		if value, count := session.Find(http.Header{"Cookie": {line}}, name); count == 0 && value != "" {
			t.Errorf("%q in %q: %q", name, line, value)
		}
	})
}
