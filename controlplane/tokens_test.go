package controlplane_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
)

func TestATokenMakesNoneThatMayMoreThanItself(t *testing.T) {
	in := people(t)
	session := in.actor(in.signIn(controlplane.Identity{Subject: "0", Username: "root", Roles: []string{"root"}}))
	made := 0
	create := func(a controlplane.Actor, life time.Duration, scopes ...controlplane.Scope) (*controlplane.Token, error) {
		made++
		return in.CreateToken(t.Context(), a, controlplane.NewToken{ID: fmt.Sprint("t", made), Hash: fmt.Sprint("h", made), Name: "ci", Scopes: scopes, Life: life})
	}
	token, err := create(session, 0)
	wantCode(t, err, "")
	same(t, "scopes", fmt.Sprint(token.Scopes), "[read open]")
	token, err = create(session, time.Hour, "admin", "write")
	wantCode(t, err, "")
	same(t, "scopes", fmt.Sprint(token.Scopes), "[read write admin]")
	admin, err := in.Authenticate(t.Context(), token.Hash)
	wantCode(t, err, "")
	same(t, "admin", admin.Admin, true)
	_, err = create(admin, 0, "open")
	wantCode(t, err, controlplane.CodeForbidden, "scope open")
	child, err := create(admin, 0, "write")
	wantCode(t, err, "")
	if !child.ExpiresAt.Equal(token.ExpiresAt) {
		t.Errorf("the child lives until %v, its parent until %v", child.ExpiresAt, token.ExpiresAt)
	}
	weak, err := in.Authenticate(t.Context(), child.Hash)
	wantCode(t, err, "")
	same(t, "admin", weak.Admin, false)
	_, err = create(weak, 0, "admin")
	wantCode(t, err, controlplane.CodeForbidden)
	for _, scopes := range [][]controlplane.Scope{{"root"}, {"read", ""}, {}} {
		_, err = create(session, 0, scopes...)
		wantCode(t, err, controlplane.CodeInvalid)
	}
	_, err = create(session, controlplane.MaxTokenLife+time.Second, "read")
	wantCode(t, err, controlplane.CodeInvalid)
	for _, nobody := range []controlplane.Actor{{}, {Instance: "x"}} {
		if _, err = create(nobody, 0, "read"); err == nil {
			t.Errorf("%+v has a token", nobody)
		}
	}
}

func TestATokenHasAName(t *testing.T) {
	in := people(t)
	ada := in.actor(in.signIn(controlplane.Identity{Subject: "1", Username: "ada"}))
	for _, name := range []string{"", " ", "\t\u202e\n"} {
		_, err := in.CreateToken(t.Context(), ada, controlplane.NewToken{ID: "t1", Hash: "h1", Name: name})
		wantCode(t, err, controlplane.CodeInvalid, "has no name", "such as ci")
	}
	token, err := in.CreateToken(t.Context(), ada, controlplane.NewToken{ID: "t1", Hash: "h1", Name: " my laptop "})
	wantCode(t, err, "")
	same(t, "name", token.Name, "my laptop")
}

func TestATokenIsMeantByAUniquePrefix(t *testing.T) {
	in := people(t)
	ada, bob := in.actor(in.signIn(controlplane.Identity{Subject: "1", Username: "ada"})), in.actor(in.signIn(controlplane.Identity{Subject: "2", Username: "bob"}))
	for actor, ids := range map[*controlplane.Actor][]string{&ada: {"abcdef22", "abcdef33", "ghijkl"}, &bob: {"ghijkl77"}} {
		for _, id := range ids {
			_, err := in.CreateToken(t.Context(), *actor, controlplane.NewToken{ID: id, Hash: "hash of " + id, Name: "ci"})
			wantCode(t, err, "")
		}
	}
	for _, c := range []struct {
		id    string
		code  controlplane.Code
		says  []string
		audit string
	}{
		{"abcdef", controlplane.CodeInvalid, []string{"abcdef22, abcdef33", "slipway token list"}, ""},
		{"abcde", controlplane.CodeNotFound, []string{"the first 6 characters", "slipway token list"}, ""},
		{"", controlplane.CodeNotFound, []string{"slipway token list"}, ""},
		{"abcdef4", controlplane.CodeNotFound, []string{`no token "abcdef4"`, "slipway token list"}, ""},
		{"ghijkl7", controlplane.CodeNotFound, nil, ""}, // somebody else's
		{"ABCDEF2", "", nil, "ada token.revoke token/abcdef22"},
		{"abcdef", "", nil, "ada token.revoke token/abcdef33"},
		{"ghijkl", "", nil, "ada token.revoke token/ghijkl"},
	} {
		wantCode(t, in.RevokeToken(t.Context(), ada, c.id), c.code, c.says...)
		if c.audit != "" && !slices.Contains(in.audit(), c.audit) {
			t.Errorf("audit %q lacks %s", in.audit(), c.audit)
		}
	}
	_, err := in.Authenticate(t.Context(), "hash of ghijkl77")
	wantCode(t, err, "")
}

// An admin whose token is not good for what admins do is told that, and nobody
// else is.
func TestAnAdminsTokenLacksTheScope(t *testing.T) {
	in := people(t)
	app := in.mustImport(bob, demo("demo", "1", "", ""))
	in.show(app)
	run := in.mustRun(ada, in.mustImport(ada, demo("mine", "1", "", "")))
	const lacks = `it lacks the scope "admin"`
	does := map[string]struct {
		do    func(a controlplane.Actor) error
		other string // what somebody reads who is no admin
	}{
		"users": {func(a controlplane.Actor) error {
			_, err := in.Users(t.Context(), a, controlplane.Page{})
			return err
		}, "this is for admins"},
		"somebody else's app": {func(a controlplane.Actor) error {
			_, err := in.UpdateApp(t.Context(), a, app.ID, controlplane.AppChange{Tags: &[]string{}})
			return err
		}, "belongs to somebody else"},
		"an instance's sleep": {func(a controlplane.Actor) error {
			a.User = ada.User // whoever may change it at all
			on := true
			_, err := in.UpdateInstance(t.Context(), a, run.ID, controlplane.InstanceChange{NoAutosuspend: &on})
			return err
		}, "for admins to say"},
	}
	for who, roles := range map[string][]string{"root": {"root"}, "eve": {"full"}} {
		session := in.actor(in.signIn(controlplane.Identity{Subject: who, Username: who, Roles: roles}))
		token, err := in.CreateToken(t.Context(), session, controlplane.NewToken{ID: "of " + who, Hash: "hash of " + who, Name: "ci", Scopes: []controlplane.Scope{"write"}})
		wantCode(t, err, "")
		a, err := in.Authenticate(t.Context(), token.Hash)
		wantCode(t, err, "")
		for name, c := range does {
			t.Run(who+", "+name, func(t *testing.T) {
				says := c.other
				if who == "root" {
					says = lacks
				}
				wantCode(t, c.do(a), controlplane.CodeForbidden, says)
			})
		}
	}
}

func TestATokenIsRevokedByItsOwner(t *testing.T) {
	in := people(t)
	ada, bob := in.actor(in.signIn(controlplane.Identity{Subject: "1", Username: "ada"})), in.actor(in.signIn(controlplane.Identity{Subject: "2", Username: "bob"}))
	_, err := in.CreateToken(t.Context(), ada, controlplane.NewToken{ID: "t1", Hash: "h1", Name: "ci"})
	wantCode(t, err, "")
	wantCode(t, in.RevokeToken(t.Context(), bob, "t1"), controlplane.CodeNotFound)
	wantCode(t, in.RevokeToken(t.Context(), ada, "t1"), "")
	wantCode(t, in.RevokeToken(t.Context(), ada, "t1"), controlplane.CodeNotFound)
	_, err = in.Authenticate(t.Context(), "h1")
	wantCode(t, err, controlplane.CodeUnauthorized)
	if !in.revoked(etcdstore.RecordOfCredential("t1")) || !slices.Contains(in.audit(), "ada token.revoke token/t1") {
		t.Errorf("edges do not know, or %v", in.audit())
	}
}

func TestATokenTakesThoseThatWereMadeWithIt(t *testing.T) {
	for name, end := range map[string]func(in *installation, session, parent controlplane.Actor) error{
		"revoked": func(in *installation, session, _ controlplane.Actor) error {
			return in.RevokeToken(in.Context(), session, "parent")
		},
		"signed out with": func(in *installation, _, parent controlplane.Actor) error {
			_, err := in.SignOut(in.Context(), parent, false)
			return err
		},
		"signed out everywhere with": func(in *installation, _, parent controlplane.Actor) error {
			_, err := in.SignOut(in.Context(), parent, true)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			in := people(t)
			session := in.actor(in.signIn(controlplane.Identity{Subject: "1", Username: "ada"}))
			make := func(by controlplane.Actor, id string) controlplane.Actor {
				t.Helper()
				token, err := in.CreateToken(t.Context(), by, controlplane.NewToken{ID: id, Hash: "h" + id, Name: "ci", Scopes: []controlplane.Scope{"write"}})
				wantCode(t, err, "")
				a, err := in.Authenticate(t.Context(), token.Hash)
				wantCode(t, err, "")
				return a
			}
			parent := make(session, "parent")
			child := make(parent, "child")
			make(child, "grandchild")
			make(session, "other")
			wantCode(t, end(in, session, parent), "")
			left, err := in.Tokens(t.Context(), session, controlplane.Page{})
			wantCode(t, err, "")
			if len(left.Items) != 1 || left.Items[0].ID != "other" {
				t.Errorf("%d tokens are left", len(left.Items))
			}
			for _, id := range []string{"parent", "child", "grandchild"} {
				if !in.revoked(etcdstore.RecordOfCredential(id)) {
					t.Errorf("edges do not know of %s", id)
				}
			}
		})
	}
}

func TestAUserHasSoManyTokens(t *testing.T) {
	in := people(t)
	ada := in.actor(in.signIn(controlplane.Identity{Subject: "1", Username: "ada"}))
	var err error
	n := 0
	for ; err == nil && n < 200; n++ {
		_, err = in.CreateToken(t.Context(), ada, controlplane.NewToken{ID: fmt.Sprint("t", n), Hash: fmt.Sprint("h", n), Name: "ci"})
	}
	wantCode(t, err, controlplane.CodeConflict)
	same(t, "tokens", n-1, 100)
}

// device is a login that waits.
func (in *installation) device(code string, scopes ...controlplane.Scope) {
	in.Helper()
	wantCode(in.T, in.BeginDevice(in.Context(), controlplane.NewDevice{Code: "hash of " + code, UserCode: code, Name: "laptop", Scopes: scopes, Address: "198.51.100.4"}), "")
}

func (in *installation) take(code string) (*controlplane.Token, controlplane.Code) {
	in.Helper()
	sessions++
	token, err := in.TakeDeviceToken(in.Context(), "hash of "+code, controlplane.NewToken{ID: fmt.Sprint("d", sessions), Hash: fmt.Sprint("dh", sessions)})
	if err != nil {
		return nil, controlplane.CodeOf(err)
	}
	return token, ""
}

func TestADeviceLogin(t *testing.T) {
	const code = "BCDFGHJK"
	for name, c := range map[string]struct {
		do   func(in *installation, a controlplane.Actor) error
		want controlplane.Code
	}{
		"nobody decides": {func(*installation, controlplane.Actor) error { return nil }, controlplane.CodePending},
		"approved": {func(in *installation, a controlplane.Actor) error {
			return in.DecideDevice(in.Context(), a, "bcdf-ghjk", true)
		}, ""},
		"denied": {func(in *installation, a controlplane.Actor) error {
			return in.DecideDevice(in.Context(), a, code, false)
		}, controlplane.CodeDenied},
		"too late": {func(in *installation, _ controlplane.Actor) error {
			in.now = in.now.Add(controlplane.DeviceLife)
			return nil
		}, controlplane.CodeExpired},
		"approved, and disabled since": {func(in *installation, a controlplane.Actor) error {
			if err := in.DecideDevice(in.Context(), a, code, true); err != nil {
				return err
			}
			_, err := in.DisableUser(in.Context(), controlplane.Actor{User: "x", Admin: true}, a.User, true)
			return err
		}, controlplane.CodeDenied},
	} {
		t.Run(name, func(t *testing.T) {
			in := people(t)
			ada := in.actor(in.signIn(controlplane.Identity{Subject: "1", Username: "ada"}))
			in.device(code, controlplane.ScopeWrite)
			d, err := in.Device(t.Context(), ada, code)
			wantCode(t, err, "")
			same(t, "shown", d.Name+d.Address+fmt.Sprint(d.Scopes), "laptop198.51.100.4[read write]")
			wantCode(t, c.do(in, ada), "")
			token, got := in.take(code)
			same(t, "answer", got, c.want)
			if token == nil {
				return
			}
			same(t, "token", token.User+fmt.Sprint(token.Scopes)+token.Name, "ada[read write]laptop")
			_, got = in.take(code)
			same(t, "a second time", got, controlplane.CodeExpired)
			wantCode(t, in.DecideDevice(t.Context(), ada, code, false), controlplane.CodeNotFound)
		})
	}
}

func TestWhoAsksTooOftenIsSlowedDown(t *testing.T) {
	in := people(t)
	in.device("BCDFGHJK")
	for i, step := range []struct {
		after time.Duration
		want  controlplane.Code
	}{
		{0, controlplane.CodePending}, {5 * time.Second, controlplane.CodePending}, {2 * time.Second, controlplane.CodeSlowDown},
		{5 * time.Second, controlplane.CodeSlowDown}, {15 * time.Second, controlplane.CodePending},
	} {
		in.now = in.now.Add(step.after)
		if _, got := in.take("BCDFGHJK"); got != step.want {
			t.Errorf("step %d: %s, want %s", i, got, step.want)
		}
	}
	// Who asks on and on makes the store write no more.
	at := func() int64 {
		list, err := in.store.Tags(t.Context(), controlplane.Page{})
		wantCode(t, err, "")
		return list.Revision
	}
	for range 120 {
		in.take("BCDFGHJK")
	}
	before := at()
	if _, got := in.take("BCDFGHJK"); got != controlplane.CodeSlowDown || at() != before {
		t.Errorf("%s, and %d writes", got, at()-before)
	}
	if _, got := in.take("NOTHING"); got != controlplane.CodeExpired {
		t.Errorf("an unknown code: %s", got)
	}
}

func TestWhoAsksAllTheTimeWritesNothing(t *testing.T) {
	in := people(t)
	in.device("BCDFGHJK")
	revision := func() int64 {
		apps, err := in.Store.Apps(t.Context(), controlplane.Page{})
		wantCode(t, err, "")
		return apps.Revision
	}
	for range 20 {
		in.take("BCDFGHJK")
	}
	before := revision()
	for range 20 {
		_, got := in.take("BCDFGHJK")
		same(t, "answer", got, controlplane.CodeSlowDown)
	}
	same(t, "writes", revision()-before, int64(0))
	in.now = in.now.Add(time.Minute)
	_, got := in.take("BCDFGHJK")
	same(t, "a minute later", got, controlplane.CodePending)
}

func TestDeviceLoginsAreBounded(t *testing.T) {
	in := people(t)
	ada := in.actor(in.signIn(controlplane.Identity{Subject: "1", Username: "ada"}))
	begin := func(n int, address string) error {
		return in.BeginDevice(t.Context(), controlplane.NewDevice{Code: fmt.Sprint("c", address, n), UserCode: fmt.Sprint("u", address, n), Address: address})
	}
	for n := range 30 {
		wantCode(t, begin(n, fmt.Sprintf("2001:db8::%d", n+1)), "")
	}
	wantCode(t, begin(30, "2001:db8::ffff"), controlplane.CodeTooMany)
	wantCode(t, begin(31, "2001:db8:0:1::1"), "")
	wantCode(t, begin(31, "2001:db8:0:1::1"), controlplane.CodeConflict) // a user code is one login's
	in.now = in.now.Add(controlplane.DeviceLife)
	wantCode(t, begin(32, "2001:db8::ffff"), "")
	// Codes are not to be tried out, by looking or by deciding.
	for name, guess := range map[string]func(controlplane.Actor) error{
		"look":    func(a controlplane.Actor) error { _, err := in.Device(t.Context(), a, "ZZZZZZZZ"); return err },
		"approve": func(a controlplane.Actor) error { return in.DecideDevice(t.Context(), a, "ZZZZZZZZ", true) },
		"deny":    func(a controlplane.Actor) error { return in.DecideDevice(t.Context(), a, "ZZZZZZZZ", false) },
	} {
		guesser := in.actor(in.signIn(controlplane.Identity{Subject: name, Username: name}))
		var err error
		n := 0
		for ; n < 60 && controlplane.CodeOf(err) != controlplane.CodeTooMany; n++ {
			err = guess(guesser)
		}
		same(t, name, n-1, 40)
	}
	token := ada
	token.Scopes = controlplane.Scopes
	wantCode(t, in.DecideDevice(t.Context(), token, "x", true), controlplane.CodeForbidden)
	wantCode(t, in.DecideDevice(t.Context(), controlplane.Actor{}, "x", true), controlplane.CodeUnauthorized)
}

// A few sources use up what waits at a time, and keep nobody else out.
func TestDeviceLoginsAreShared(t *testing.T) {
	in := people(t)
	n := 0
	begin := func(source int) error {
		n++
		return in.BeginDevice(t.Context(), controlplane.NewDevice{Code: fmt.Sprint("c", n), UserCode: fmt.Sprint("u", n), Address: fmt.Sprintf("192.0.2.%d", source)})
	}
	for source := range 34 {
		for range 30 {
			if err := begin(source); err != nil && n <= 1000 {
				t.Fatalf("number %d: %v", n, err)
			}
		}
	}
	wantCode(t, begin(3), controlplane.CodeTooMany)
	wantCode(t, begin(100), "")
	wantCode(t, begin(100), controlplane.CodeTooMany)
	in.now = in.now.Add(controlplane.DeviceLife)
	wantCode(t, begin(100), "")
	wantCode(t, begin(100), "")
}
