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
	"sync/atomic"
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

	watched sync.Mutex // for what changes while stays are watched
	fresh   time.Time
}

// change changes what is looked at by Watch.
func (w *world) change(f func()) {
	w.watched.Lock()
	defer w.watched.Unlock()
	f()
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
// request has a newer one asked for, waits for nothing, and all hand that out.
func TestAPassIsRenewedPastHalfOfItsLife(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		pass := w.sign(t, nil)
		known := w.visitor(pass).Known
		asked := 0
		var answer error
		goOn := make(chan struct{})
		ask := func(_ context.Context, old string) (*session.Known, error) {
			if asked++; old != pass {
				t.Errorf("asked with %q", old)
			}
			<-goOn
			if answer != nil {
				return nil, answer
			}
			return w.checker.Know(w.table, w.in.ID, w.sign(t, nil)), nil
		}
		// some are requests of which no one gets a newer pass.
		some := func() (coming <-chan struct{}) {
			for i := range 3 {
				got, _, c := w.checker.Renewed(known, ask)
				if got != "" || i > 0 && c != nil {
					t.Errorf("request %d: renewed by %q, waits: %t", i, got, c != nil)
				}
				if i == 0 {
					coming = c
				}
			}
			synctest.Wait()
			return coming
		}
		if some(); asked != 0 {
			t.Fatalf("for a fresh one is asked %d times", asked)
		}
		time.Sleep(identity.PassLife/2 + 2*time.Second)
		answer = errors.New("away")
		coming := some()
		goOn <- struct{}{}
		<-coming
		if some(); asked != 1 {
			t.Errorf("asked %d times in a row", asked)
		}
		time.Sleep(time.Minute)
		answer = nil
		coming = some()
		goOn <- struct{}{}
		<-coming
		for range 3 {
			got, seconds, c := w.checker.Renewed(known, ask)
			if got == "" || got == pass || seconds < 890 || seconds > 900 || c != nil {
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

// However many passes are old, so many are asked for at once; and none when it is
// over.
func TestPassesAreAskedForWithinBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var asked, ended atomic.Int32
		hang := func(ctx context.Context, _ string) (*session.Known, error) {
			asked.Add(1)
			defer ended.Add(1)
			<-ctx.Done()
			return nil, ctx.Err()
		}
		begin := func(user string) {
			pass := w.sign(t, func(p *identity.Pass) { p.User, p.IssuedAt = user, p.IssuedAt-1200 })
			w.checker.Renewed(w.visitor(pass).Known, hang)
		}
		for i := range 150 {
			begin(fmt.Sprint("u", i))
		}
		synctest.Wait()
		if n := asked.Load(); n != 100 {
			t.Errorf("%d are asked for at once", n)
		}
		w.checker.Close()
		if begin("late"); asked.Load() != ended.Load() {
			t.Errorf("%d began, and %d ended", asked.Load(), ended.Load())
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
		w.checker.Watch(ctx, &stays, func() *routing.Table { mu.Lock(); defer mu.Unlock(); return table }, time.Now)
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

// share gives the one instance another visibility.
func (w *world) share(v routing.Visibility) {
	in := *w.in
	in.Visibility = v
	w.table = w.table.Apply(w.table.Revision()+1, []routing.Change{routing.PutInstance(in)})
	w.in = w.table.Instance(in.ID)
}

// watch looks after stays until the test ends; each stay's name is in ended when
// it was cut. fresh may be changed between synctest.Wait and time.Sleep.
func (w *world) watch(t *testing.T, stays map[string]*session.Stay) (ended map[string]bool) {
	t.Helper()
	ended = map[string]bool{}
	var all session.Stays
	for name, s := range stays {
		s.Instance, s.Owner, s.Cut = w.in.ID, "ann", func() { ended[name] = true }
		all.Begin(s)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		w.checker.Watch(ctx, &all, func() (t *routing.Table) { w.change(func() { t = w.table }); return t },
			func() (at time.Time) { w.change(func() { at = w.fresh }); return at })
	}()
	return ended
}

// Whoever was let in for a while is, without news of the store, in for as long as
// a pass lives: the record that would end it may have come and gone.
func TestAStayIsAsGoodAsAPassWithoutNews(t *testing.T) {
	for _, tc := range []struct {
		name       string
		visibility routing.Visibility
		silent     time.Duration // of the store, from the beginning
		jump       time.Duration // of the news, after that: nobody ticked meanwhile
		want       bool          // it goes on
	}{
		{"in a short silence", routing.Private, identity.PassLife - 10*time.Second, 0, true},
		{"in a long silence", routing.Private, identity.PassLife + 10*time.Second, 0, false},
		{"in a long silence, for everybody", routing.Public, time.Hour, 0, true},
		{"after a short silence", routing.Private, 0, identity.PassLife - 10*time.Second, true},
		{"after a long silence", routing.Private, 0, 2 * time.Hour, false},
		{"after a long silence, for everybody", routing.Public, 0, 2 * time.Hour, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.share(tc.visibility)
				pass := w.sign(t, func(p *identity.Pass) { p.Until = time.Now().Add(12 * time.Hour).Unix() })
				known := w.visitor(pass).Known
				w.fresh = time.Now()
				later := &session.Stay{Known: known, Began: w.fresh.Add(24 * time.Hour)}
				ended := w.watch(t, map[string]*session.Stay{"it": {Known: known, Began: w.fresh}, "later": later})
				time.Sleep(tc.silent)
				synctest.Wait()
				if tc.jump > 0 {
					w.change(func() { w.fresh = time.Now().Add(tc.jump) })
				}
				time.Sleep(5 * time.Second)
				synctest.Wait()
				if ended["it"] == tc.want {
					t.Errorf("ended: %t", ended["it"])
				}
				if tc.jump > 0 && ended["later"] {
					t.Error("so does what began after the silence")
				}
			})
		})
	}
}

// Who may come by the instance's new visibility stays, though nobody looked who
// they were when everybody came.
func TestWhoCameWhenEverybodyDidIsReadLate(t *testing.T) {
	for name, want := range map[string]bool{
		"the owner": true, "the owner's bearer": true, "the owner, kept": true, "another": false, "another, kept": false, "nobody": false,
		"signed out": false, "cookies do not count": false, "two cookies": false, "over at that time": false,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.share(routing.Public)
				pass := w.sign(t, func(p *identity.Pass) {
					p.Until = time.Now().Add(12 * time.Hour).Unix()
					switch name {
					case "another", "another, kept":
						p.User = "eve"
					case "the owner's bearer":
						p.Use = identity.PassBearer
					case "over at that time":
						p.Expires = time.Now().Add(-time.Second).Unix()
					}
				})
				r := w.request(pass)
				switch name {
				case "nobody":
					r.Header.Del("Cookie")
				case "the owner's bearer":
					r.Header = http.Header{"Authorization": {"Bearer " + pass}}
				case "two cookies":
					r.Header.Add("Cookie", r.Header.Get("Cookie"))
				}
				w.fresh = time.Now()
				came := session.NewUnread(r, &w.cookies, name != "cookies do not count")
				if name == "the owner, kept" || name == "another, kept" {
					came = came.Kept(w.in.ID)
					clear(r.Header)
				}
				ended := w.watch(t, map[string]*session.Stay{"it": {Unread: came, Began: w.fresh}})
				time.Sleep(identity.PassLife - time.Minute)
				w.change(func() { w.fresh = time.Now() })
				time.Sleep(2 * time.Minute) // the pass itself is over
				synctest.Wait()
				if ended["it"] {
					t.Fatal("it ended before")
				}
				w.change(func() {
					w.share(routing.Private)
					if name == "signed out" {
						w.put("routes/revoked/credential/c", `{"v":1}`)
					}
				})
				time.Sleep(5 * time.Second)
				synctest.Wait()
				if ended["it"] == want {
					t.Errorf("ended: %t", ended["it"])
				}
			})
		})
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
