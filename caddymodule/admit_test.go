package caddymodule_test

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/go-jose/go-jose/v4"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
)

// visitors are those of spec access.md §3. The owner of instances is ann, that
// of their app is bob.
var visitors = map[string]*controlplane.Actor{
	"anonymous":   nil,
	"visitor":     {User: "vic"},
	"tag visitor": {User: "tom", Roles: []string{"other", "guest"}},
	"full":        {User: "fay", Full: true},
	"owner":       {User: "ann"},
	"app owner":   {User: "bob", Full: true},
	"admin":       {User: "root", Full: true, Admin: true},
}

// keys signs passes that the edge takes, as a control plane does.
func (e *edge) keys() *identity.Keyring {
	e.t.Helper()
	keys, err := identity.NewKeyring(e.t.Context(), e.store, time.Now)
	if err != nil {
		e.t.Fatal(err)
	}
	e.put(instance(900, dead)) // a later route: the edge has the key when it has that
	return keys
}

// pass signs a pass; change may be nil.
func (e *edge) pass(keys *identity.Keyring, a *controlplane.Actor, use identity.PassUse, id string, change func(*identity.Pass)) string {
	e.t.Helper()
	actor := *a
	actor.Credential, actor.Until = "s-"+actor.User, time.Now().Add(time.Hour)
	p := identity.NewPass(&actor, use, id, time.Now())
	if change != nil {
		change(&p)
	}
	token, err := keys.Sign(p)
	if err != nil {
		e.t.Fatal(err)
	}
	return token
}

func appOf(in *controlplane.Instance, lifecycle controlplane.Lifecycle, tags ...string) *controlplane.App {
	return &controlplane.App{
		ID: in.AppID, Name: "app-" + in.AppID, Version: "1", Title: "App", Owner: "bob", Visibility: controlplane.AllUsers,
		Lifecycle: lifecycle, Tags: tags, RoutingMode: in.RoutingMode,
	}
}

func cookieOf(in *controlplane.Instance) string { return "slipway-i-" + in.ID }

// The table of spec access.md §3, open: what each may do with the cookie, with
// a bearer, and for a page load. Without a mark it is 200.
func TestWhoMayOpenAnInstance(t *testing.T) {
	e := startEdge(t, nil)
	keys := e.keys()
	addr := serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "here") })
	columns := []string{"anonymous", "visitor", "tag visitor", "full", "owner", "app owner", "admin"}
	for n, row := range []struct {
		visibility controlplane.Visibility
		mode       controlplane.RoutingMode
		lifecycle  controlplane.Lifecycle
		sharing    bool
		want       string // in the order of the columns; 302 is a sign-in
	}{
		{controlplane.Private, controlplane.Domain, controlplane.OnDemand, false, "302 404 404 404 200 403 403"},
		{controlplane.AllUsers, controlplane.Domain, controlplane.OnDemand, false, "302 404 404 200 200 200 200"},
		{controlplane.Public, controlplane.Domain, controlplane.OnDemand, false, "200 200 200 200 200 200 200"},
		{controlplane.Private, controlplane.Domain, controlplane.Managed, false, "302 404 404 404 200 403 403"},
		{controlplane.AllUsers, controlplane.Domain, controlplane.Managed, false, "302 404 200 200 200 200 200"},
		{controlplane.Private, controlplane.BaseURL, controlplane.OnDemand, true, "302 404 404 404 200 403 403"},
		{controlplane.AllUsers, controlplane.BaseURL, controlplane.OnDemand, true, "302 404 404 200 200 200 200"},
		{controlplane.Public, controlplane.BaseURL, controlplane.OnDemand, true, "200 200 200 200 200 200 200"},
		// Without base_url_sharing only its owner opens a BASE_URL instance.
		{controlplane.Private, controlplane.BaseURL, controlplane.OnDemand, false, "302 404 404 404 200 403 403"},
		{controlplane.AllUsers, controlplane.BaseURL, controlplane.Managed, false, "302 404 404 403 200 403 403"},
		{controlplane.Public, controlplane.BaseURL, controlplane.OnDemand, false, "302 404 404 403 200 403 403"},
	} {
		in := instance(10+n, addr)
		in.Visibility, in.RoutingMode = row.visibility, row.mode
		e.share(row.sharing)
		e.put(&controlplane.Tag{Name: "guests", VisitorRoles: []string{"guest"}}, in, appOf(in, row.lifecycle, "guests"))
		url := urlOf(in) + "/"
		if row.mode == controlplane.BaseURL {
			url = "http://" + base + "/instance/" + in.ID + "/"
		}
		for i, want := range strings.Fields(row.want) {
			who := columns[i]
			t.Run(fmt.Sprintf("%s/%s/%s/sharing=%t/%s", row.mode, row.visibility, row.lifecycle, row.sharing, who), func(t *testing.T) {
				e := *e
				e.t = t
				program := want
				if want == "302" {
					program = "401"
				}
				ways := map[string][]string{"cookie": nil, "bearer": nil}
				if a := visitors[who]; a != nil {
					ways["cookie"] = []string{"Cookie", "a=b; " + cookieOf(in) + "=" + e.pass(keys, a, identity.PassCookie, in.ID, nil)}
					ways["bearer"] = []string{"Authorization", "Bearer " + e.pass(keys, a, identity.PassBearer, in.ID, nil)}
				}
				for way, header := range ways {
					if got := e.do("POST", url, header...).Status[:3]; got != program {
						t.Errorf("by %s: %s, want %s", way, got, program)
					}
					if got := e.do("GET", url, append(header, "Accept", "text/html")...).Status[:3]; got != want {
						t.Errorf("a page by %s: %s, want %s", way, got, want)
					}
				}
			})
		}
	}
	e.wantNoErrors()
}

// Every credential that is not good is as good as none.
func TestACredentialThatIsNotGood(t *testing.T) {
	e := startEdge(t, nil)
	keys := e.keys()
	in, other := instance(1, serve(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "here") })), instance(2, dead)
	in.Visibility = controlplane.Private
	e.put(in, other)
	owner := visitors["owner"]
	good := e.pass(keys, owner, identity.PassCookie, in.ID, nil)
	cookie := func(values ...string) []string {
		var parts []string
		for _, v := range values {
			parts = append(parts, cookieOf(in)+"="+v)
		}
		return []string{"Cookie", strings.Join(parts, "; ")}
	}
	strange, err := identity.NewKeyring(t.Context(), strangeKeys{}, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	changed := func(f func(*identity.Pass)) string { return e.pass(keys, owner, identity.PassCookie, in.ID, f) }
	flipped := []byte(good)
	flipped[len(flipped)-10] ^= 1
	for name, tc := range map[string]struct {
		header []string
		want   int
	}{
		"good":                      {cookie(good), 200},
		"good, among others":        {[]string{"Cookie", "x=1; " + cookieOf(in) + "=" + good + "; y=" + cookieOf(in)}, 200},
		"twice":                     {cookie(good, good), 401},
		"twice, one empty":          {cookie(good, ""), 401},
		"twice, in two lines":       {append(cookie(good), cookie(good)...), 401},
		"another instance's":        {cookie(e.pass(keys, owner, identity.PassCookie, other.ID, nil)), 401},
		"a bearer's":                {cookie(e.pass(keys, owner, identity.PassBearer, in.ID, nil)), 401},
		"a cookie's, as a bearer":   {[]string{"Authorization", "Bearer " + good}, 401},
		"ended":                     {cookie(changed(func(p *identity.Pass) { p.Expires = time.Now().Add(-time.Second).Unix() })), 401},
		"of the future":             {cookie(changed(func(p *identity.Pass) { p.IssuedAt = time.Now().Add(time.Minute).Unix() })), 401},
		"an unknown key's":          {cookie(e.pass(strange, owner, identity.PassCookie, in.ID, nil)), 401},
		"changed":                   {cookie(string(flipped)), 401},
		"without a signature":       {cookie(good[:strings.LastIndexByte(good, '.')+1]), 401},
		"a session's":               {cookie("slw_s_abc"), 401},
		"empty":                     {cookie(""), 401},
		"long":                      {cookie("slw_p_" + strings.Repeat("a", 5000)), 401},
		"by another name":           {[]string{"Cookie", "__Host-" + cookieOf(in) + "=" + good}, 401},
		"a personal token":          {[]string{"Authorization", "Bearer " + identity.NewToken()}, 401},
		"two bearers":               {[]string{"Authorization", "Bearer " + e.pass(keys, owner, identity.PassBearer, in.ID, nil), "Authorization", "Bearer slw_x"}, 401},
		"an app's bearer, a cookie": {append(cookie(good), "Authorization", "Bearer app"), 200},
		"no user":                   {cookie(changed(func(p *identity.Pass) { p.User = "" })), 401},
	} {
		t.Run(name, func(t *testing.T) {
			e := *e
			e.t = t
			resp := e.do("GET", urlOf(in)+"/", tc.header...)
			if resp.StatusCode != tc.want {
				t.Errorf("%d, want %d", resp.StatusCode, tc.want)
			}
			if tc.want != 401 {
				return
			}
			if got := resp.Header.Get("WWW-Authenticate"); !strings.HasPrefix(got, `Bearer realm="slipway"`) {
				t.Errorf("WWW-Authenticate %q", got)
			}
			cleared := strings.Contains(resp.Header.Get("Set-Cookie"), cookieOf(in)+"=; ")
			if sent := strings.Contains(tc.header[1], "; "+cookieOf(in)) || strings.HasPrefix(tc.header[1], cookieOf(in)); sent != cleared {
				t.Errorf("cookie cleared: %t, want %t", cleared, sent)
			}
		})
	}
}

// strangeKeys are another installation's.
type strangeKeys struct{}

func (strangeKeys) PassKeys(_ context.Context, change func([]controlplane.SigningKey) []controlplane.SigningKey) ([]controlplane.SigningKey, error) {
	return change(nil), nil
}

// A pass is of its own type: what the same key signed for something else is none.
func TestAnotherTokenOfTheSameKeyIsNoPass(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.EdDSA, Key: key}, new(jose.SignerOptions).WithType("JWT").WithHeader("kid", "k"))
	if err != nil {
		t.Fatal(err)
	}
	signed, err := signer.Sign([]byte(`{"use":"cookie","aud":"` + instanceID(1) + `","sub":"ann","sid":"s"}`))
	if err != nil {
		t.Fatal(err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := identity.ReadPass("slw_p_"+text, func(string) ed25519.PublicKey { return key.Public().(ed25519.PublicKey) }); err == nil {
		t.Error("it passes for one")
	}
}

// A right that ends is gone for the next request, and takes what is open with
// it: a WebSocket with status 1008, a stream by its breaking off.
func TestARightThatEnds(t *testing.T) {
	e := startEdge(t, nil)
	keys := e.keys()
	n := 0
	reached := make(chan struct{}, 1)
	app := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/silent" {
			endless(w, r)
			return
		}
		reached <- struct{}{}
		<-r.Context().Done()
	}
	for name, end := range map[string]func(tx controlplane.Tx, in *controlplane.Instance) error{
		"visibility": func(tx controlplane.Tx, in *controlplane.Instance) error {
			in.Visibility = controlplane.Private
			return tx.Put(in)
		},
		"sign-out": func(tx controlplane.Tx, _ *controlplane.Instance) error {
			tx.RevokeCredential(fmt.Sprintf("s-fay%d", n))
			return nil
		},
		"role": func(tx controlplane.Tx, _ *controlplane.Instance) error {
			tx.RevokeUser(fmt.Sprintf("FAY%d", n), 5) // names are one without regard to case
			return nil
		},
		"the alias of another owner": func(tx controlplane.Tx, in *controlplane.Instance) error {
			other := instance(500, dead)
			other.Owner = "eve"
			if err := tx.Put(other); err != nil {
				return err
			}
			in.PrimaryAlias = ""
			if err := tx.Put(in); err != nil {
				return err
			}
			return tx.Put(alias(n, "moving"+fmt.Sprint(n), other.ID))
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := *e
			e.t = t
			n++
			in := instance(100+n, serve(t, app))
			in.Visibility, in.PrimaryAlias = controlplane.AllUsers, fmt.Sprintf("moving%d", n)
			e.put(in, alias(n, in.PrimaryAlias, in.ID), appOf(in, controlplane.OnDemand))
			url := "http://" + in.PrimaryAlias + "." + base
			fay := controlplane.Actor{User: fmt.Sprintf("fay%d", n), Full: true, Epoch: 4}
			pass := e.pass(keys, &fay, identity.PassCookie, in.ID, nil)
			header := http.Header{"Cookie": {cookieOf(in) + "=" + pass}, "Origin": {url}}
			conn := e.dialWith(url+"/ws", header)
			e.talk(conn, "hello")
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header = header.Clone()
			stream, err := e.http.Do(r)
			if err != nil || stream.StatusCode != 200 {
				t.Fatalf("%v, %v", stream, err)
			}
			defer stream.Body.Close()
			if _, err := stream.Body.Read(make([]byte, 4)); err != nil {
				t.Fatal(err)
			}
			silent := make(chan int, 1)
			go func() { silent <- e.do("GET", url+"/silent", "Cookie", header.Get("Cookie")).StatusCode }() // ends with the request
			<-reached
			e.update(func(tx controlplane.Tx) error { return end(tx, in) })
			if got := e.do("GET", url+"/", "Cookie", header.Get("Cookie")).StatusCode; got < 300 {
				t.Errorf("the next request is answered %d", got)
			}
			began := time.Now()
			_, _, err = conn.Read(t.Context())
			if got := websocket.CloseStatus(err); got != websocket.StatusPolicyViolation {
				t.Errorf("the WebSocket ends with %v", err)
			}
			for err = nil; err == nil; {
				_, err = stream.Body.Read(make([]byte, 64))
			}
			if got := <-silent; got != 403 {
				t.Errorf("what had no answer yet is answered %d", got)
			}
			if took := time.Since(began); took > patience/2 {
				t.Errorf("it took %s", took)
			}
		})
	}
	eventually(t, "nothing under way", func() bool { return e.table().Stays() == 0 })
}

// endless is an app whose answers and WebSockets never end.
func endless(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/ws" {
		echo(w, r)
		return
	}
	for {
		if _, err := fmt.Fprint(w, "more"); err != nil {
			return
		}
		http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// A change that ends nobody's right closes nothing.
func TestAChangeThatEndsNoRightClosesNothing(t *testing.T) {
	e := startEdge(t, nil)
	keys := e.keys()
	in := instance(1, serve(t, echo))
	in.Visibility = controlplane.AllUsers
	e.put(in, appOf(in, controlplane.OnDemand))
	header := http.Header{"Cookie": {cookieOf(in) + "=" + e.pass(keys, visitors["full"], identity.PassCookie, in.ID, nil)}, "Origin": {urlOf(in)}}
	conn := e.dialWith(urlOf(in)+"/ws", header)
	e.talk(conn, "before")
	e.update(func(tx controlplane.Tx) error {
		tx.RevokeUser("ann", 7)
		tx.RevokeCredential("s-ann")
		in.Visibility = controlplane.Public
		return tx.Put(in)
	})
	time.Sleep(1200 * time.Millisecond) // two looks at what is under way
	e.talk(conn, "after")
}

// An instance that is PUBLIC no more keeps those who may come all the same.
func TestWhatIsSharedNoMoreKeepsItsOwner(t *testing.T) {
	e := startEdge(t, nil)
	keys := e.keys()
	in := instance(1, serve(t, endless))
	in.Visibility = controlplane.Public
	e.put(in, appOf(in, controlplane.OnDemand))
	owner := cookieOf(in) + "=" + e.pass(keys, visitors["owner"], identity.PassCookie, in.ID, nil)
	open := map[string]*websocket.Conn{}
	for name, header := range map[string]http.Header{
		"owner": {"Cookie": {owner}, "Origin": {urlOf(in)}}, "owner by a foreign page": {"Cookie": {owner}, "Origin": {"http://evil.example"}}, "nobody": {},
	} {
		open[name] = e.dialWith(urlOf(in)+"/ws", header)
		e.talk(open[name], "before")
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, urlOf(in)+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Cookie", owner)
	stream, err := e.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	in.Visibility = controlplane.Private
	e.put(in)
	for _, name := range []string{"nobody", "owner by a foreign page"} {
		if _, _, err := open[name].Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
			t.Errorf("%s ends with %v", name, err)
		}
	}
	e.talk(open["owner"], "after")
	for range 50 { // a second of it
		if _, err := stream.Body.Read(make([]byte, 4)); err != nil {
			t.Fatalf("the owner's stream ends: %v", err)
		}
	}
	if n := e.table().Stays(); n != 2 {
		t.Errorf("%d are under way", n)
	}
}

// A pass is renewed beside the request, which waits for no control plane that
// stands still. Where one answers in time, the answer has the new cookie.
func TestARenewalHoldsNoRequest(t *testing.T) {
	e := startEdge(t, nil)
	keys := e.keys()
	in := instance(1, serve(t, func(http.ResponseWriter, *http.Request) {}))
	in.Visibility = controlplane.Private
	e.put(in)
	var hangs atomic.Bool
	asked, left := make(chan struct{}, 100), make(chan struct{}, 100)
	e.control("one", serve(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // else nobody notices that the edge left
		if hangs.Load() {
			asked <- struct{}{}
			<-r.Context().Done()
			left <- struct{}{}
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(v1.Pass{Pass: e.pass(keys, visitors["owner"], identity.PassCookie, in.ID, nil)})
	}))
	n := int64(0)
	// aged is a pass that is to be renewed, and no other.
	aged := func() string {
		n++
		return cookieOf(in) + "=" + e.pass(keys, visitors["owner"], identity.PassCookie, in.ID, func(p *identity.Pass) { p.IssuedAt -= 1200 + n })
	}
	eventually(t, "a new cookie with the answer", func() bool {
		return strings.HasPrefix(e.do("GET", urlOf(in)+"/", "Cookie", aged()).Header.Get("Set-Cookie"), cookieOf(in)+"=slw_p_")
	})
	hangs.Store(true)
	cookie := aged()
	for range 3 {
		if resp := e.do("GET", urlOf(in)+"/", "Cookie", cookie); resp.StatusCode != 200 || resp.Header.Get("Set-Cookie") != "" {
			t.Errorf("%d %v", resp.StatusCode, resp.Header)
		}
	}
	<-asked
	if len(asked) > 0 || len(left) > 0 {
		t.Errorf("%d more ask for the same pass, and %d answers came after that was given up", len(asked), len(left))
	}
}

func TestAWebSocketByCookieComesFromThePageOfItsApp(t *testing.T) {
	e := startEdge(t, nil)
	keys := e.keys()
	in, open := instance(1, serve(t, echo)), instance(2, serve(t, echo))
	in.Visibility = controlplane.Private
	e.put(in, open)
	cookie := cookieOf(in) + "=" + e.pass(keys, visitors["owner"], identity.PassCookie, in.ID, nil)
	for _, tc := range []struct {
		name   string
		in     *controlplane.Instance
		header []string
		want   int
	}{
		{"its own", in, []string{"Cookie", cookie, "Origin", urlOf(in)}, 101},
		{"none", in, []string{"Cookie", cookie}, 403},
		{"null", in, []string{"Cookie", cookie, "Origin", "null"}, 403},
		{"a sibling's", in, []string{"Cookie", cookie, "Origin", urlOf(open)}, 403},
		{"the base domain", in, []string{"Cookie", cookie, "Origin", "http://" + base}, 403},
		{"another scheme", in, []string{"Cookie", cookie, "Origin", "https://" + in.ID + "." + base}, 403},
		{"another port", in, []string{"Cookie", cookie, "Origin", urlOf(in) + ":81"}, 403},
		{"a prefix", in, []string{"Cookie", cookie, "Origin", urlOf(in) + ".evil.example"}, 403},
		{"two", in, []string{"Cookie", cookie, "Origin", urlOf(in), "Origin", "http://evil.example"}, 403},
		{"a bearer, from anywhere", in, []string{"Authorization", "Bearer " + e.pass(keys, visitors["owner"], identity.PassBearer, in.ID, nil), "Origin", "http://evil.example"}, 101},
		{"nobody", in, []string{"Origin", urlOf(in)}, 401},
		{"PUBLIC, from anywhere", open, []string{"Origin", "http://evil.example"}, 101},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := *e
			e.t = t
			request := "GET /ws HTTP/1.1\r\nHost: " + tc.in.ID + "." + base + "\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
				"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
			for i := 0; i < len(tc.header); i += 2 {
				request += tc.header[i] + ": " + tc.header[i+1] + "\r\n"
			}
			if resp := e.raw(request + "\r\n"); resp.StatusCode != tc.want {
				t.Errorf("%d, want %d", resp.StatusCode, tc.want)
			}
		})
	}
}

// The names that a visitor may not know of are like those that are not there.
func TestWhatIsHiddenIsLikeWhatIsNotThere(t *testing.T) {
	e := startEdge(t, nil)
	keys := e.keys()
	in := instance(1, dead)
	in.Visibility = controlplane.Private
	e.put(in, alias(1, "loose", ""))
	pass := []string{"Cookie", cookieOf(in) + "=" + e.pass(keys, visitors["full"], identity.PassCookie, in.ID, nil)}
	for _, accept := range []string{"text/html", "application/json"} {
		hidden := e.do("GET", urlOf(in)+"/a", append(pass, "Accept", accept)...)
		want := text(hidden)
		for name, url := range map[string]string{
			"unknown": "http://nobody." + base, "unassigned": "http://loose." + base, "unknown ID": "http://" + instanceID(7) + "." + base,
			"its status": urlOf(in) + "/.slipway/status?",
		} {
			resp := e.do("GET", url+"/a", append(pass, "Accept", accept)...)
			resp.Header.Del("Date")
			hidden.Header.Del("Date")
			if got := text(resp); resp.StatusCode != 404 || got != want || fmt.Sprint(resp.Header) != fmt.Sprint(hidden.Header) {
				t.Errorf("%s: %d %v %q, and hidden %d %v %q", name, resp.StatusCode, resp.Header, got, hidden.StatusCode, hidden.Header, want)
			}
		}
	}
	if keys, err := e.etcd.Get(t.Context(), e.prefix+"wake/", withPrefix); err != nil || keys.Count > 0 {
		t.Errorf("%d were woken (%v)", keys.Count, err)
	}
}

// Nobody wakes what they may not open.
func TestWhoMayNotOpenWakesNobody(t *testing.T) {
	e := startEdge(t, settings{"hold": 300 * time.Millisecond})
	keys := e.keys()
	asleep := instance(1, "")
	asleep.Status, asleep.Visibility = controlplane.Suspended, controlplane.Private
	e.put(asleep, appOf(asleep, controlplane.OnDemand))
	for who, a := range visitors {
		if who == "owner" {
			continue
		}
		header := []string{"Accept", "text/html"}
		if a != nil {
			header = append(header, "Cookie", cookieOf(asleep)+"="+e.pass(keys, a, identity.PassCookie, asleep.ID, nil))
		}
		e.do("GET", urlOf(asleep)+"/", header...)
	}
	count := func() int64 {
		found, err := e.etcd.Get(t.Context(), e.prefix+"wake/", withPrefix)
		if err != nil {
			t.Fatal(err)
		}
		return found.Count
	}
	if n := count(); n != 0 {
		t.Fatalf("%d were woken", n)
	}
	e.do("GET", urlOf(asleep)+"/", "Cookie", cookieOf(asleep)+"="+e.pass(keys, visitors["owner"], identity.PassCookie, asleep.ID, nil))
	if n := count(); n != 1 {
		t.Errorf("%d were woken by the owner", n)
	}
}

// An app that asks is told who visits it, by us alone.
func TestAnAppThatAsksIsToldWhoVisitsIt(t *testing.T) {
	e := startEdge(t, nil)
	keys := e.keys()
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"User", "Email", "Roles", "Instance"} {
			fmt.Fprintf(w, "%s=%q ", name, r.Header.Values("X-Slipway-"+name))
		}
	})
	asks, other := instance(1, addr), instance(2, addr)
	app := appOf(asks, controlplane.OnDemand)
	app.Manifest.Runtime.EnableOIDC = true
	e.put(asks, other, app, appOf(other, controlplane.OnDemand))
	actor := controlplane.Actor{User: "fay", Email: "fay@example.com", Full: true, Roles: []string{"a", "b", "x,admin", " admin", "admin\r\n"}}
	forged := []string{"X-Slipway-User", "root", "x-slipway-roles", "admin", "X_Slipway_User", "root", "Connection", "X-Slipway-User, X-Slipway-Instance", "X-Slipway-Email", "root@"}
	pass := func(in *controlplane.Instance) []string {
		return append(forged, "Cookie", cookieOf(in)+"="+e.pass(keys, &actor, identity.PassCookie, in.ID, nil))
	}
	for _, tc := range []struct {
		name   string
		in     *controlplane.Instance
		header []string
		want   string
	}{
		{"who is signed in", asks, pass(asks), `User=["fay"] Email=["fay@example.com"] Roles=["a,b"] Instance=["` + asks.ID + `"] `},
		{"nobody", asks, forged, `User=[] Email=[] Roles=[] Instance=["` + asks.ID + `"] `},
		{"an app that does not ask", other, pass(other), `User=[] Email=[] Roles=[] Instance=[] `},
		{"a pass of another instance", asks, []string{"Cookie", cookieOf(asks) + "=" + e.pass(keys, &actor, identity.PassCookie, other.ID, nil)},
			`User=[] Email=[] Roles=[] Instance=["` + asks.ID + `"] `},
	} {
		if got := text(e.do("GET", urlOf(tc.in)+"/", tc.header...)); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.name, got, tc.want)
		}
	}
}

// A key that leaves the store takes its passes with it.
func TestAKeyThatIsGone(t *testing.T) {
	e := startEdge(t, nil)
	keys := e.keys()
	in := instance(1, serve(t, func(http.ResponseWriter, *http.Request) {}))
	in.Visibility = controlplane.Private
	e.put(in)
	cookie := []string{"Cookie", cookieOf(in) + "=" + e.pass(keys, visitors["owner"], identity.PassCookie, in.ID, nil)}
	if got := e.do("GET", urlOf(in)+"/", cookie...).StatusCode; got != 200 {
		t.Fatalf("%d", got)
	}
	if _, err := e.etcd.Delete(t.Context(), e.prefix+"routes/keys/", withPrefix); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the end", func() bool { return e.do("GET", urlOf(in)+"/", cookie...).StatusCode == 401 })
	// A value that is no key is refused, and the last good one stays.
	for _, value := range []string{"{", `{"alg":"none","key":""}`, `{"alg":"EdDSA","key":"AAAA"}`} {
		if _, err := e.etcd.Put(t.Context(), e.prefix+etcdstore.RecordRouteKey(etcdstore.RecordOfKey("bad")), value); err != nil {
			t.Fatal(err)
		}
	}
	e.put(instance(9, dead))
	if got := e.do("GET", urlOf(in)+"/", cookie...).StatusCode; got != 401 {
		t.Errorf("%d", got)
	}
}

// An app's policy that does not parse lets nobody in who was not let in before:
// the last good one stays, and without one nobody comes by what it would say.
func TestAPolicyThatDoesNotParse(t *testing.T) {
	e := startEdge(t, nil)
	keys := e.keys()
	addr := serve(t, func(http.ResponseWriter, *http.Request) {})
	good, never := instance(1, addr), instance(2, addr)
	app := appOf(good, controlplane.Managed, "guests")
	for _, in := range []*controlplane.Instance{good, never} {
		in.Visibility = controlplane.AllUsers
	}
	never.AppID = instanceID(77) // of which there is no record
	e.put(&controlplane.Tag{Name: "guests", VisitorRoles: []string{"guest"}}, good, app, never)
	status := func(in *controlplane.Instance, who string) int {
		return e.do("POST", urlOf(in)+"/", "Cookie", cookieOf(in)+"="+e.pass(keys, visitors[who], identity.PassCookie, in.ID, nil)).StatusCode
	}
	check := func(when string) {
		t.Helper()
		for who, want := range map[string][2]int{"visitor": {404, 404}, "tag visitor": {200, 404}, "full": {200, 200}, "owner": {200, 200}} {
			for i, in := range []*controlplane.Instance{good, never} {
				if got := status(in, who); got != want[i] {
					t.Errorf("%s: %s is answered %d by instance %d, want %d", when, who, got, i+1, want[i])
				}
			}
		}
	}
	check("before")
	roles := `"visitor_roles":["guest","other"],"title":"x"}`
	for n, value := range []string{
		"{", `{"v":99,"owner":"bob","lifecycle":"MANAGED","visibility":"ALL_USERS",` + roles, `{"owner":"bob","lifecycle":"MANAGED","visibility":"EVERYBODY",` + roles,
		`{"owner":1,"lifecycle":"MANAGED","visibility":"PUBLIC",` + roles, `{"owner":"bob","lifecycle":"SOMETHING","visibility":"PUBLIC",` + roles,
	} {
		for _, id := range []string{app.ID, never.AppID} {
			if _, err := e.etcd.Put(t.Context(), e.prefix+"routes/policy/"+id, value); err != nil {
				t.Fatal(err)
			}
		}
		e.put(instance(20+n, dead)) // comes after it
		check(value)
	}
}
