package controlplane_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/access"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
)

const issuer = "https://auth.example.com"

// people is an installation with the tables, whose time is now.
func people(t *testing.T) *installation {
	in := install(t)
	in.now = time.Now()
	in.Access = access.Rules{}
	in.Rights = controlplane.Rights{AdminRole: "root", FullRole: "full"}
	in.Provider = issuer
	return in
}

var sessions int

// signIn signs somebody in, by a new session.
func (in *installation) signIn(who controlplane.Identity) *controlplane.Session {
	in.Helper()
	sessions++
	who.Issuer = issuer
	s, err := in.SignIn(in.Context(), &who, &controlplane.NewSession{
		ID: fmt.Sprintf("session-%d", sessions), ProviderSession: fmt.Sprintf("sid-%d", sessions), ExpiresAt: in.now.Add(controlplane.SessionLife), Address: "203.0.113.7",
	})
	if err != nil {
		in.Fatal(err)
	}
	return s
}

func (in *installation) actor(s *controlplane.Session) controlplane.Actor {
	in.Helper()
	a, err := in.SessionActor(in.Context(), s.ID)
	if err != nil {
		in.Fatal(err)
	}
	return a
}

// audit is what was recorded: "actor action object".
func (in *installation) audit() (lines []string) {
	in.Helper()
	list, err := in.store.Audit(in.Context(), controlplane.Page{})
	if err != nil {
		in.Fatal(err)
	}
	for _, r := range list.Items {
		lines = append(lines, r.Actor+" "+r.Action+" "+r.Object)
	}
	return lines
}

// revoked reports whether edges are told of an end.
func (in *installation) revoked(name string) bool {
	in.Helper()
	resp, err := in.client.Get(in.Context(), etcdtest.Prefix(in.T)+etcdstore.RecordRouteKey(name))
	if err != nil {
		in.Fatal(err)
	}
	return len(resp.Kvs) == 1
}

func TestNamesAreClaimedForGood(t *testing.T) {
	in := people(t)
	for i, c := range []struct {
		who  controlplane.Identity
		want string
	}{
		{controlplane.Identity{Username: "Ada", Email: "a@example.com"}, "Ada"},
		{controlplane.Identity{Username: "ada"}, "ada-2"},
		{controlplane.Identity{Username: "ADA"}, "ADA-3"},
		{controlplane.Identity{Username: "admin"}, "admin-2"},
		{controlplane.Identity{Username: "System"}, "System-2"},
		{controlplane.Identity{Email: "bob+x@example.com"}, "bob+x@example.com"},
		{controlplane.Identity{}, "sub-6"},
		{controlplane.Identity{Username: "../../etc"}, "etc"},
		{controlplane.Identity{Username: "..", Email: "c@example.com"}, "c@example.com"},
		{controlplane.Identity{Username: "--help"}, "help"},
		{controlplane.Identity{Username: "a/b c\x00d\né"}, "a-b-c-d"},
		{controlplane.Identity{Username: strings.Repeat("x", 300)}, strings.Repeat("x", 95)},
		{controlplane.Identity{Username: strings.Repeat("x", 300)}, strings.Repeat("x", 95) + "-2"},
	} {
		c.who.Subject = fmt.Sprintf("sub-%d", i)
		if s := in.signIn(c.who); s.User != c.want {
			t.Errorf("%+v is called %q, want %q", c.who, s.User, c.want)
		}
		c.who.Username, c.who.Email = "other", "other@example.com"
		if s := in.signIn(c.who); s.User != c.want {
			t.Errorf("%+v is later called %q, want %q", c.who, s.User, c.want)
		}
	}
}

func TestTwoOfOneNameAtOnceAreTwo(t *testing.T) {
	in := people(t)
	names := make(chan string, 4)
	for i := range cap(names) {
		go func() {
			s, err := in.SignIn(t.Context(), &controlplane.Identity{Issuer: issuer, Subject: fmt.Sprint(i), Username: "eve"},
				&controlplane.NewSession{ID: fmt.Sprintf("at-once-%d", i), ExpiresAt: in.now.Add(time.Hour)})
			if err != nil {
				t.Error(err)
				names <- err.Error()
				return
			}
			names <- s.User
		}()
	}
	var all []string
	for range cap(names) {
		all = append(all, <-names)
	}
	slices.Sort(all)
	same(t, "names", strings.Join(all, " "), "eve eve-2 eve-3 eve-4")
}

func TestRolesMakeRights(t *testing.T) {
	in := people(t)
	for name, c := range map[string]struct {
		roles       []string
		admin, full bool
	}{
		"nobody": {nil, false, false}, "full": {[]string{"full"}, false, true}, "admin": {[]string{"x", "root"}, true, true}, "others": {[]string{"Root", "admin", ""}, false, false},
	} {
		a := in.actor(in.signIn(controlplane.Identity{Subject: name, Username: name, Roles: c.roles}))
		if a.Admin != c.admin || a.Full != c.full || a.Scopes != nil || a.Until.IsZero() {
			t.Errorf("%s: %+v", name, a)
		}
	}
}

func TestChangedRolesEndPassesAndNoSession(t *testing.T) {
	in := people(t)
	ada := controlplane.Identity{Subject: "1", Username: "ada", Roles: []string{"full", "root"}}
	first, second := in.signIn(ada), in.signIn(ada)
	before := in.actor(first)
	ada.Issuer, ada.Roles = issuer, []string{"root", "full"} // the same
	wantCode(t, in.Renewed(t.Context(), first.ID, &ada, nil, nil), "")
	if in.actor(first).Epoch != before.Epoch {
		t.Error("the order of roles is a change")
	}
	ada.Roles = []string{"full"}
	wantCode(t, in.Renewed(t.Context(), first.ID, &ada, []byte("r2"), nil), "")
	for _, s := range []*controlplane.Session{first, second} {
		if a := in.actor(s); a.Admin || a.Epoch <= before.Epoch {
			t.Errorf("%s: %+v", s.ID, a)
		}
	}
	if !in.revoked(etcdstore.RecordOfUser("ada")) || !slices.Contains(in.audit(), "system user.roles user/ada") {
		t.Errorf("edges do not know, or %v", in.audit())
	}
	// An answer that says nothing of roles changes none.
	wantCode(t, in.Renewed(t.Context(), first.ID, &controlplane.Identity{Issuer: issuer, Subject: "1", Partial: true}, nil, nil), "")
	if a := in.actor(first); !a.Full {
		t.Errorf("after a partial answer: %+v", a)
	}
	wantCode(t, in.Renewed(t.Context(), first.ID, &controlplane.Identity{Issuer: issuer, Subject: "1"}, nil, nil), "")
	if a := in.actor(first); a.Full {
		t.Errorf("without roles: %+v", a)
	}
	// Somebody else's answer ends the session.
	wantCode(t, in.Renewed(t.Context(), first.ID, &controlplane.Identity{Issuer: issuer, Subject: "2"}, nil, nil), "")
	_, err := in.SessionActor(t.Context(), first.ID)
	wantCode(t, err, controlplane.CodeUnauthorized)
}

func TestADisabledUserHasNothing(t *testing.T) {
	in := people(t)
	root := in.actor(in.signIn(controlplane.Identity{Subject: "0", Username: "root", Roles: []string{"root"}}))
	ada := controlplane.Identity{Subject: "1", Username: "Ada"}
	session := in.signIn(ada)
	token, err := in.CreateToken(t.Context(), in.actor(session), controlplane.NewToken{ID: "t1", Hash: strings.Repeat("0", 64), Name: "ci"})
	wantCode(t, err, "")
	_, err = in.DisableUser(t.Context(), in.actor(session), "root", true)
	wantCode(t, err, controlplane.CodeForbidden)
	_, err = in.DisableUser(t.Context(), root, "root", true)
	wantCode(t, err, controlplane.CodeConflict)
	_, err = in.DisableUser(t.Context(), root, "nobody", true)
	wantCode(t, err, controlplane.CodeNotFound, "slipway admin user list")
	_, err = in.User(t.Context(), root, "nobody")
	wantCode(t, err, controlplane.CodeNotFound, "slipway admin user list")
	_, err = in.DisableUser(t.Context(), root, "ADA", true)
	wantCode(t, err, "")
	_, err = in.SessionActor(t.Context(), session.ID)
	wantCode(t, err, controlplane.CodeUnauthorized)
	_, err = in.Authenticate(t.Context(), token.Hash)
	wantCode(t, err, controlplane.CodeUnauthorized)
	_, err = in.SignIn(t.Context(), &controlplane.Identity{Issuer: issuer, Subject: "1"}, &controlplane.NewSession{ID: "x", ExpiresAt: in.now.Add(time.Hour)})
	wantCode(t, err, controlplane.CodeForbidden, "disabled")
	if !in.revoked(etcdstore.RecordOfUser("ada")) {
		t.Error("edges do not know")
	}
	_, err = in.DisableUser(t.Context(), root, "ada", false)
	wantCode(t, err, "")
	_, err = in.SessionActor(t.Context(), session.ID)
	wantCode(t, err, controlplane.CodeUnauthorized) // a session does not come back
	_, err = in.Authenticate(t.Context(), token.Hash)
	wantCode(t, err, controlplane.CodeUnauthorized) // nor does a token
	for _, want := range []string{"Ada user.sign_in user/Ada", "Ada token.create token/t1", "root user.disable user/Ada", "root user.enable user/Ada"} {
		if !slices.Contains(in.audit(), want) {
			t.Errorf("audit %q lacks %s", in.audit(), want)
		}
	}
}

// However many there are, and whenever they came to be there.
func TestNoTokenOfADisabledUserComesBack(t *testing.T) {
	in := people(t)
	root := in.actor(in.signIn(controlplane.Identity{Subject: "0", Username: "root", Roles: []string{"root"}}))
	session := in.actor(in.signIn(controlplane.Identity{Subject: "1", Username: "ada"}))
	make := func(id string) {
		t.Helper()
		_, err := in.CreateToken(t.Context(), session, controlplane.NewToken{ID: id, Hash: "h" + id, Name: "ci"})
		wantCode(t, err, "")
	}
	set := func(disabled bool) {
		t.Helper()
		_, err := in.DisableUser(t.Context(), root, "ada", disabled)
		wantCode(t, err, "")
	}
	count := func() int {
		t.Helper()
		left, err := in.Tokens(t.Context(), session, controlplane.Page{})
		wantCode(t, err, "")
		return len(left.Items)
	}
	for n := range 25 { // more than one transaction ends
		make(fmt.Sprint("t", n))
	}
	set(false) // of who is not disabled it ends nothing
	same(t, "tokens before", count(), 25)
	set(true)
	same(t, "tokens while disabled", count(), 0)
	if !in.revoked(etcdstore.RecordOfCredential("t9")) {
		t.Error("edges do not know of t9")
	}
	_, err := in.CreateToken(t.Context(), session, controlplane.NewToken{ID: "late", Hash: "hlate", Name: "ci"}) // let in before
	wantCode(t, err, controlplane.CodeUnauthorized)
	_, err = in.Store.Update(t.Context(), func(tx controlplane.Tx) error { // what a call that broke off has left
		return tx.Put(&controlplane.Token{ID: "late", Hash: "hlate", User: session.User, Name: "ci", ExpiresAt: time.Now().Add(time.Hour)})
	})
	wantCode(t, err, "")
	set(false)
	same(t, "tokens after", count(), 0)
	_, err = in.Authenticate(t.Context(), "hlate")
	wantCode(t, err, controlplane.CodeUnauthorized)
	var told []string
	for _, line := range in.audit() {
		if strings.HasPrefix(line, "root ") && !strings.Contains(line, "sign_in") {
			told = append(told, line)
		}
	}
	same(t, "audited", told, []string{"root user.disable user/ada", "root token.revoke token/late", "root user.enable user/ada"})
}

func TestTextForPeopleIsWhatItSeems(t *testing.T) {
	in := people(t)
	session := in.signIn(controlplane.Identity{Subject: "1", Username: "ada", DisplayName: "Ada\u202e L\u2066.\n", Email: "a\u200f@example.com"})
	user, err := in.Me(t.Context(), in.actor(session))
	wantCode(t, err, "")
	same(t, "user", user.DisplayName+" "+user.Email, "Ada L. a@example.com")
	token, err := in.CreateToken(t.Context(), in.actor(session), controlplane.NewToken{ID: "t1", Hash: "h1", Name: "lap\u202dtop \u0646\u0645\u06cc\u200c\u062f"})
	wantCode(t, err, "")
	same(t, "token", token.Name, "laptop \u0646\u0645\u06cc\u200c\u062f") // a joiner belongs to words
}

func TestUsersAreTheAdmins(t *testing.T) {
	in := people(t)
	root := in.actor(in.signIn(controlplane.Identity{Subject: "0", Username: "root", Roles: []string{"root"}}))
	ada := in.actor(in.signIn(controlplane.Identity{Subject: "1", Username: "ada", Roles: []string{"full"}}))
	for code, a := range map[controlplane.Code]controlplane.Actor{controlplane.CodeForbidden: ada, controlplane.CodeUnauthorized: {}, "": root} {
		_, err := in.Users(t.Context(), a, controlplane.Page{})
		wantCode(t, err, code)
		_, err = in.User(t.Context(), a, "ada")
		wantCode(t, err, code)
	}
	list, err := in.Users(t.Context(), root, controlplane.Page{})
	if err != nil || len(list.Items) != 2 {
		t.Errorf("%v, %v", list.Items, err)
	}
}

func TestWhatAProviderSaysIsBounded(t *testing.T) {
	long := strings.Repeat("x", 1025)
	for name, who := range map[string]controlplane.Identity{"subject": {Issuer: issuer, Subject: long}, "issuer": {Issuer: long, Subject: "1"}} {
		t.Run(name, func(t *testing.T) {
			in := people(t)
			who.Username = "ada"
			_, err := in.SignIn(t.Context(), &who, &controlplane.NewSession{ID: "x", ExpiresAt: in.now.Add(time.Hour)})
			wantCode(t, err, controlplane.CodeInvalid, "1024 bytes")
		})
	}
	in := people(t)
	in.signIn(controlplane.Identity{Subject: long[:1024], Username: "ada"})
}

// Of more roles than a user may have those stay that mean something here.
func TestRolesThatMeanSomethingAreNotCut(t *testing.T) {
	in := people(t)
	in.tag("red", controlplane.TagChange{VisitorRoles: &[]string{"zz-visit"}, AdminRoles: &[]string{"zz-curate"}})
	all := []string{"zz-visit", "zz-other", "zz-curate", "root", "full"}
	for n := range 1500 {
		all = append(all, fmt.Sprintf("a%04d", n))
	}
	s := in.signIn(controlplane.Identity{Subject: "1", Username: "ada", Roles: all})
	check := func() {
		t.Helper()
		a := in.actor(s)
		if len(a.Roles) != 1000 || !slices.IsSorted(a.Roles) || !a.Admin {
			t.Errorf("%d roles, sorted %v, admin %v", len(a.Roles), slices.IsSorted(a.Roles), a.Admin)
		}
		for role, want := range map[string]bool{"zz-visit": true, "zz-curate": true, "root": true, "full": true, "a0000": true, "zz-other": false} {
			if slices.Contains(a.Roles, role) != want {
				t.Errorf("has the role %s: %v", role, !want)
			}
		}
	}
	check()
	if err := in.Renewed(t.Context(), s.ID, &controlplane.Identity{Issuer: issuer, Subject: "1", Roles: all}, nil, nil); err != nil {
		t.Fatal(err)
	}
	check()
}
