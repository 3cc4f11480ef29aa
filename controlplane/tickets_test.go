package controlplane_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/access"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
)

// open is an installation whose passes can be read, with an instance of ada's.
func openable(t *testing.T) (*installation, *identity.Keyring, *controlplane.Instance) {
	in := people(t)
	keys, err := identity.NewKeyring(t.Context(), in.store, func() time.Time { return in.now })
	if err != nil {
		t.Fatal(err)
	}
	in.Passes = keys
	app := &controlplane.App{ID: uuid.NewString(), Name: "demo", Version: "1", Owner: "ada", Visibility: controlplane.AllUsers, Tags: []string{"sales"}}
	run := &controlplane.Instance{ID: uuid.NewString(), AppID: app.ID, Owner: "ada", Visibility: controlplane.AllUsers, Status: controlplane.Deployed, RoutingMode: controlplane.Domain}
	in.keep(&controlplane.Tag{Name: "sales", VisitorRoles: []string{"sellers"}}, app, run)
	return in, keys, run
}

func (in *installation) keep(records ...any) {
	in.Helper()
	if _, err := in.store.Update(in.Context(), func(tx controlplane.Tx) error {
		for _, r := range records {
			if err := tx.Put(r); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		in.Fatal(err)
	}
}

// opened gets a ticket and trades it.
func (in *installation) opened(a controlplane.Actor, id string) (controlplane.Issued, error) {
	in.Helper()
	sessions++
	ticket := strings.Repeat("t", sessions)
	_, err := in.OpenInstance(in.Context(), a, controlplane.OpenRequest{Instance: id, Ticket: ticket, Nonce: "n", Host: func(*controlplane.Instance) string { return "h" }})
	if err != nil {
		return controlplane.Issued{}, err
	}
	return in.TradeTicket(in.Context(), controlplane.TradeRequest{Ticket: ticket, Nonce: "n", Instance: id, Host: "h"})
}

func TestAPassIsRenewedWithTheRightsOfNow(t *testing.T) {
	in, keys, run := openable(t)
	who := controlplane.Identity{Subject: "1", Username: "eve", Email: "eve@example.com", Roles: []string{"full"}}
	session := in.signIn(who)
	pass, err := in.opened(in.actor(session), run.ID)
	wantCode(t, err, "")
	p, err := keys.Read(pass.Pass)
	wantCode(t, err, "")
	if !p.Full || p.Admin || p.Email != "eve@example.com" || p.Credential != session.ID || p.Until != session.ExpiresAt.Unix() || p.Expires != pass.ExpiresAt.Unix() ||
		pass.ExpiresAt.Sub(in.now) > identity.PassLife {
		t.Errorf("pass %+v", p)
	}
	who.Issuer, who.Roles = issuer, []string{"full", "root"}
	wantCode(t, in.Renewed(t.Context(), session.ID, &who, nil, nil), "")
	in.now = in.now.Add(8 * time.Minute)
	pass, err = in.RenewPass(t.Context(), pass.Pass)
	wantCode(t, err, "")
	newer, err := keys.Read(pass.Pass)
	wantCode(t, err, "")
	if !newer.Admin || newer.Epoch <= p.Epoch || newer.Expires <= p.Expires || newer.Until != p.Until {
		t.Errorf("newer %+v", newer)
	}
	// At the end of the sign-in it ends too.
	in.now = session.ExpiresAt.Add(-14 * time.Minute)
	last, err := in.opened(in.actor(session), run.ID)
	wantCode(t, err, "")
	in.now = session.ExpiresAt.Add(-time.Minute)
	last, err = in.RenewPass(t.Context(), last.Pass)
	wantCode(t, err, "")
	if last.ExpiresAt.After(session.ExpiresAt) {
		t.Errorf("the pass lives until %v, the session until %v", last.ExpiresAt, session.ExpiresAt)
	}
}

func TestWhatHasEndedIsNotRenewed(t *testing.T) {
	for name, end := range map[string]func(in *installation, s *controlplane.Session, run *controlplane.Instance) error{
		"signed out": func(in *installation, s *controlplane.Session, _ *controlplane.Instance) error {
			_, err := in.SignOut(in.Context(), in.actor(s), false)
			return err
		},
		"signed out everywhere": func(in *installation, s *controlplane.Session, _ *controlplane.Instance) error {
			_, err := in.SignOut(in.Context(), controlplane.Actor{User: s.User}, true)
			return err
		},
		"disabled": func(in *installation, s *controlplane.Session, _ *controlplane.Instance) error {
			_, err := in.DisableUser(in.Context(), controlplane.Actor{User: "x", Admin: true}, s.User, true)
			return err
		},
		"not shared any more": func(in *installation, _ *controlplane.Session, run *controlplane.Instance) error {
			run.Visibility = controlplane.Private
			in.keep(run)
			return nil
		},
		"role taken": func(in *installation, s *controlplane.Session, _ *controlplane.Instance) error {
			return in.Renewed(in.Context(), s.ID, &controlplane.Identity{Issuer: issuer, Subject: "1"}, nil, nil)
		},
		"the instance is gone": func(in *installation, _ *controlplane.Session, run *controlplane.Instance) error {
			_, err := in.store.Update(in.Context(), func(tx controlplane.Tx) error { return tx.Delete(run) })
			return err
		},
		"the pass is too old": func(in *installation, _ *controlplane.Session, _ *controlplane.Instance) error {
			in.now = in.now.Add(identity.PassLife)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			in, _, run := openable(t)
			session := in.signIn(controlplane.Identity{Subject: "1", Username: "eve", Roles: []string{"full"}})
			pass, err := in.opened(in.actor(session), run.ID)
			wantCode(t, err, "")
			wantCode(t, end(in, session, run), "")
			_, err = in.RenewPass(t.Context(), pass.Pass)
			wantCode(t, err, controlplane.CodeUnauthorized, "this ticket or pass is not valid")
		})
	}
}

func TestATicketIsRefusedInOneWay(t *testing.T) {
	in, _, run := openable(t)
	eve := in.actor(in.signIn(controlplane.Identity{Subject: "1", Username: "eve", Roles: []string{"full"}}))
	bearer, err := in.BearerPass(t.Context(), eve, run.ID)
	wantCode(t, err, "")
	upper, err := in.BearerPass(t.Context(), eve, strings.ToUpper(run.ID))
	wantCode(t, err, "")
	for _, pass := range []string{"", "slw_p_x", bearer.Pass, upper.Pass} {
		_, err := in.RenewPass(t.Context(), pass)
		wantCode(t, err, controlplane.CodeUnauthorized, "this ticket or pass is not valid")
	}
	_, err = in.TradeTicket(t.Context(), controlplane.TradeRequest{Ticket: "x", Instance: run.ID})
	wantCode(t, err, controlplane.CodeUnauthorized, "this ticket or pass is not valid")
}

func TestWhoMayOpen(t *testing.T) {
	in, _, run := openable(t)
	for name, c := range map[string]struct {
		who  controlplane.Actor
		want controlplane.Code
	}{
		"nobody":       {controlplane.Actor{}, controlplane.CodeUnauthorized},
		"a visitor":    {controlplane.Actor{User: "v", Roles: []string{"sellers"}}, controlplane.CodeNotFound},
		"full":         {controlplane.Actor{User: "f", Full: true}, ""},
		"its owner":    {controlplane.Actor{User: "ada"}, ""},
		"the instance": {controlplane.Actor{Instance: run.ID}, controlplane.CodeNotFound},
	} {
		_, err := in.OpenInstance(t.Context(), c.who, controlplane.OpenRequest{Instance: run.ID, Ticket: name, Nonce: "n", Host: func(*controlplane.Instance) string { return "h" }})
		if c.want != "" {
			wantCode(t, err, c.want)
		} else if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	visitor := controlplane.Actor{User: "v"}
	_, hidden := in.BearerPass(t.Context(), visitor, run.ID)
	_, absent := in.BearerPass(t.Context(), visitor, uuid.Nil.String())
	same(t, "what a visitor is told", explain(hidden), strings.ReplaceAll(explain(absent), uuid.Nil.String(), run.ID))
	in.Access = access.Rules{}
	_, err := in.BearerPass(t.Context(), controlplane.Actor{}, uuid.Nil.String())
	wantCode(t, err, controlplane.CodeUnauthorized)
}

func TestMoreRolesThanAPassHolds(t *testing.T) {
	for name, more := range map[string]func(i int) string{
		"long":    func(i int) string { return fmt.Sprint(i%10, strings.Repeat("y", 200)) },
		"short":   func(i int) string { return fmt.Sprint(i) },
		"escaped": func(i int) string { return fmt.Sprint(strings.Repeat("<", 200), i%7) },
	} {
		t.Run(name, func(t *testing.T) {
			in, keys, run := openable(t)
			roles := []string{"full", "sellers"}
			for i := range 400 {
				roles = append(roles, more(i))
			}
			eve := in.actor(in.signIn(controlplane.Identity{Subject: "1", Username: "eve", Roles: roles}))
			pass, err := in.BearerPass(t.Context(), eve, run.ID)
			wantCode(t, err, "")
			p, err := keys.Read(pass.Pass)
			wantCode(t, err, "")
			if !slices.Equal(p.Roles, []string{"sellers"}) || !p.Full {
				t.Errorf("roles %v", p.Roles)
			}
		})
	}
}

// A token without an end gives passes that have one.
func TestABearerEndsWithinAQuarterOfAnHour(t *testing.T) {
	in, keys, run := openable(t)
	for _, until := range []time.Time{{}, in.now.Add(time.Hour), in.now.Add(time.Minute)} {
		pass, err := in.BearerPass(t.Context(), controlplane.Actor{User: "ada", Credential: "t", Until: until}, run.ID)
		wantCode(t, err, "")
		p, err := keys.Read(pass.Pass)
		wantCode(t, err, "")
		want := in.now.Add(identity.PassLife)
		if !until.IsZero() && until.Before(want) {
			want = until
		}
		if p.Use != identity.PassBearer || p.Expires != want.Unix() || !p.Alive(in.now) || p.Aging(in.now.Add(14*time.Minute)) && until.IsZero() {
			t.Errorf("until %v: %+v", until, p)
		}
	}
}
