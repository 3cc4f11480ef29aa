package controlplane_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
)

func TestASignOutEndsOneSessionOrAll(t *testing.T) {
	in := people(t)
	ada := controlplane.Identity{Subject: "1", Username: "ada"}
	first, second, bob := in.signIn(ada), in.signIn(ada), in.signIn(controlplane.Identity{Subject: "2", Username: "bob"})
	ended := func(s *controlplane.Session) bool {
		_, err := in.SessionActor(t.Context(), s.ID)
		return controlplane.CodeOf(err) == controlplane.CodeUnauthorized
	}
	got, err := in.SignOut(t.Context(), in.actor(first), false)
	wantCode(t, err, "")
	if got == nil || got.ID != first.ID || !ended(first) || ended(second) || !in.revoked(etcdstore.RecordOfCredential(first.ID)) {
		t.Errorf("after a sign-out: %+v", got)
	}
	third := in.signIn(ada)
	_, err = in.SignOut(t.Context(), in.actor(third), true)
	wantCode(t, err, "")
	if !ended(second) || !ended(third) || ended(bob) || !in.revoked(etcdstore.RecordOfUser("ada")) {
		t.Error("after a sign-out everywhere")
	}
	if fourth := in.signIn(ada); ended(fourth) {
		t.Error("a later session has ended")
	}
	_, err = in.SignOut(t.Context(), controlplane.Actor{}, true)
	wantCode(t, err, controlplane.CodeUnauthorized)
}

func TestATokenSignsItselfOut(t *testing.T) {
	in := people(t)
	ada := in.actor(in.signIn(controlplane.Identity{Subject: "1", Username: "ada"}))
	_, err := in.CreateToken(t.Context(), ada, controlplane.NewToken{ID: "t1", Hash: "h1", Name: "ci"})
	wantCode(t, err, "")
	_, err = in.CreateToken(t.Context(), ada, controlplane.NewToken{ID: "t2", Hash: "h2", Name: "ci"})
	wantCode(t, err, "")
	a, err := in.Authenticate(t.Context(), "h1")
	wantCode(t, err, "")
	session, err := in.SignOut(t.Context(), a, true)
	wantCode(t, err, "")
	if session != nil || !in.revoked(etcdstore.RecordOfCredential("t1")) {
		t.Errorf("%+v", session)
	}
	_, err = in.Authenticate(t.Context(), "h1")
	wantCode(t, err, controlplane.CodeUnauthorized)
	_, err = in.Authenticate(t.Context(), "h2")
	wantCode(t, err, "")
	_, err = in.SessionActor(t.Context(), ada.Credential)
	wantCode(t, err, controlplane.CodeUnauthorized)
}

func TestASessionEndsInTime(t *testing.T) {
	in := people(t)
	s := in.signIn(controlplane.Identity{Subject: "1", Username: "ada"})
	in.now = s.ExpiresAt.Add(-time.Second)
	_, err := in.SessionActor(t.Context(), s.ID)
	wantCode(t, err, "")
	in.now = s.ExpiresAt
	_, err = in.SessionActor(t.Context(), s.ID)
	wantCode(t, err, controlplane.CodeUnauthorized)
	for _, id := range []string{"", "nothing", s.ID + "x"} {
		_, err := in.SessionActor(t.Context(), id)
		wantCode(t, err, controlplane.CodeUnauthorized)
	}
}

// Several control planes ask the provider once.
func TestOneOfManyChecksASession(t *testing.T) {
	in := people(t)
	s := in.signIn(controlplane.Identity{Subject: "1", Username: "ada"})
	got, err := in.ClaimCheck(t.Context(), s.ID, in.now.Add(-time.Second))
	if err != nil || got != nil {
		t.Fatalf("not due: %+v, %v", got, err)
	}
	in.now = in.now.Add(6 * time.Minute)
	before := in.now.Add(-5 * time.Minute)
	var claimed atomic.Int32
	var all sync.WaitGroup
	for range 5 {
		all.Go(func() {
			if got, err := in.ClaimCheck(t.Context(), s.ID, before); err != nil {
				t.Error(err)
			} else if got != nil {
				claimed.Add(1)
			}
		})
	}
	all.Wait()
	same(t, "claims", claimed.Load(), int32(1))
	// One that has ended by itself goes.
	_, err = in.SignOut(t.Context(), controlplane.Actor{User: "ada"}, true)
	wantCode(t, err, "")
	got, err = in.ClaimCheck(t.Context(), s.ID, in.now.Add(time.Hour))
	if err != nil || got != nil {
		t.Errorf("%+v, %v", got, err)
	}
	if list, err := in.store.Sessions(t.Context(), controlplane.Page{}); err != nil || len(list.Items) != 0 {
		t.Errorf("%v, %v", list.Items, err)
	}
}

func TestTheProviderEndsSessions(t *testing.T) {
	for name, c := range map[string]struct {
		issuer, subject string
		bySession       bool
		first, second   bool // ended
	}{
		"one session":               {issuer, "1", true, true, false},
		"one session, no subject":   {issuer, "", true, true, false},
		"a subject":                 {issuer, "1", false, true, true},
		"another's session":         {issuer, "2", true, false, false},
		"another subject":           {issuer, "2", false, false, false},
		"another provider":          {"https://evil.example", "1", true, false, false},
		"another provider, subject": {"https://evil.example", "1", false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			in := people(t)
			ada := controlplane.Identity{Subject: "1", Username: "ada"}
			first, second := in.signIn(ada), in.signIn(ada)
			sid := ""
			if c.bySession {
				sid = first.ProviderSession
			}
			wantCode(t, in.ProviderSignOut(t.Context(), c.issuer, c.subject, sid), "")
			for s, want := range map[*controlplane.Session]bool{first: c.first, second: c.second} {
				_, err := in.SessionActor(t.Context(), s.ID)
				same(t, s.ID+" has ended", err != nil, want)
			}
		})
	}
}

// A session may do everything: a token that may less must not become one.
func TestALinkNeedsATokenOfAllScopes(t *testing.T) {
	in := people(t)
	in.Provider = ""
	a := controlplane.Actor{User: controlplane.LocalAdmin, Admin: true}
	for n, scopes := range [][]controlplane.Scope{
		{}, {controlplane.ScopeWrite, controlplane.ScopeAdmin}, {controlplane.ScopeRead, controlplane.ScopeWrite, controlplane.ScopeAdmin},
	} {
		a.Scopes = scopes
		_, err := in.CreateLink(t.Context(), a, fmt.Sprint("hash", n))
		wantCode(t, err, controlplane.CodeForbidden)
	}
	a.Scopes = controlplane.Scopes
	_, err := in.CreateLink(t.Context(), a, "hash")
	wantCode(t, err, "")
}

func TestSomethingIsUsedOnce(t *testing.T) {
	in := people(t)
	for i, want := range []bool{true, false, false} {
		first, err := in.FirstUse(t.Context(), controlplane.OnceLogout, "jti", time.Minute)
		if err != nil || first != want {
			t.Errorf("use %d: %v, %v", i, first, err)
		}
	}
	if first, err := in.FirstUse(t.Context(), controlplane.OnceLogin, "jti", time.Minute); err != nil || !first {
		t.Errorf("another kind: %v, %v", first, err)
	}
}

// A user has so many sessions: another sign-in ends the oldest.
func TestAUserHasSoManySessions(t *testing.T) {
	in := people(t)
	bobs := in.signIn(controlplane.Identity{Subject: "2", Username: "bob"})
	var ids []string
	for range 101 {
		ids = append(ids, in.signIn(controlplane.Identity{Subject: "1", Username: "ada"}).ID)
		in.now = in.now.Add(time.Second)
	}
	for i, id := range ids {
		_, err := in.SessionActor(t.Context(), id)
		if ended := err != nil; ended != (i == 0) {
			t.Errorf("session %d of 101: %v", i+1, err)
		}
	}
	if !in.revoked(etcdstore.RecordOfCredential(ids[0])) {
		t.Error("edges are not told of its end")
	}
	in.actor(bobs)
	list, err := in.store.Audit(t.Context(), controlplane.Page{Limit: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if last := list.Items[len(list.Items)-1]; !strings.Contains(last.Detail, "the oldest of 100 sessions ended") {
		t.Errorf("the audit says %+v", last)
	}
	// What a session writes later makes it no newer, and one that ends makes room.
	if err := in.Renewed(t.Context(), ids[1], &controlplane.Identity{Issuer: issuer, Subject: "1", Partial: true}, []byte("r"), nil); err != nil {
		t.Fatal(err)
	}
	if err := in.EndSession(t.Context(), ids[50], "test"); err != nil {
		t.Fatal(err)
	}
	in.signIn(controlplane.Identity{Subject: "1", Username: "ada"})
	if _, err := in.SessionActor(t.Context(), ids[1]); err != nil {
		t.Errorf("the oldest, though there was room: %v", err)
	}
	in.signIn(controlplane.Identity{Subject: "1", Username: "ada"})
	_, err = in.SessionActor(t.Context(), ids[1])
	wantCode(t, err, controlplane.CodeUnauthorized)
}
