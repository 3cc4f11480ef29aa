package controlplane

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"
)

// Passes signs what edges check by themselves; identity.Keyring does.
type Passes interface {
	// Issue makes a pass for an actor at one instance: as a bearer of API
	// clients, or else for a browser's cookie. It ends when a.Until is over at
	// the latest.
	Issue(a *Actor, instance string, bearer bool) (pass string, expires time.Time, err error)
	// Holder reads a pass of a cookie that is good at present.
	Holder(pass string) (a Actor, instance string, err error)
}

// Issued is a pass with its end.
type Issued struct {
	Pass      string
	ExpiresAt time.Time
}

// TicketLife is how long a one-time ticket waits for its trade (spec access.md §6).
const TicketLife = 30 * time.Second

// OpenRequest asks for a one-time ticket to an instance.
type OpenRequest struct {
	Instance string // ID
	Ticket   string // hash of the ticket's secret
	Nonce    string // hash of what the browser's cookie on the instance's host holds
	// Host is the host that an instance has.
	Host func(*Instance) string
}

// openTicket is kept under the hash of a one-time ticket's secret.
type openTicket struct {
	Instance   string `json:"instance"`
	Host       string `json:"host"`
	Nonce      string `json:"nonce"`
	Credential string `json:"credential"`
}

// OpenInstance keeps a one-time ticket for an instance that the actor may open.
// The actor is a session's. The error is CodeUnauthorized, CodeForbidden or
// CodeNotFound, as the tables say.
func (s *Service) OpenInstance(ctx context.Context, a Actor, r OpenRequest) (in *Instance, err error) {
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		if in, _, err = s.mayOpen(tx, &a, r.Instance); err != nil || a.User == "" {
			return err
		}
		tx.PutOnce(OnceTicket, r.Ticket, openTicket{
			Instance: in.ID, Host: r.Host(in), Nonce: r.Nonce, Credential: a.Credential,
		}, TicketLife)
		return nil
	})
	return in, err
}

// mayOpen finds an instance that the actor may open, and the visitor roles that
// its app names.
func (s *Service) mayOpen(tx Tx, a *Actor, id string) (*Instance, []string, error) {
	hidden := noSuch(*a, "instance", id)
	in, err := tx.Instance(id)
	if CodeOf(err) == CodeNotFound {
		return nil, nil, hidden
	}
	if err != nil {
		return nil, nil, err
	}
	of, err := instanceResource(tx, in)
	if err != nil {
		return nil, nil, err
	}
	switch s.Access.Decide(a, OpenInstance, of) {
	case Allowed:
		return in, of.VisitorRoles, nil
	case SignIn:
		return nil, nil, signIn()
	case Forbidden:
		return nil, nil, Errorf(CodeForbidden, "instance %s is not yours to open", id).WithHint("its owner, %s, can share it", in.Owner)
	}
	return nil, nil, hidden
}

// TradeRequest is what an edge gives for the cookie of a browser.
type TradeRequest struct {
	Ticket, Nonce  string // hashes of the ticket, and of what the browser's cookie holds
	Instance, Host string // that the ticket came to
}

// TradeTicket trades a one-time ticket for a pass. Whatever is wrong with it,
// the error is one and the same of CodeUnauthorized.
func (s *Service) TradeTicket(ctx context.Context, r TradeRequest) (Issued, error) {
	var t openTicket
	if err := s.Store.TakeOnce(ctx, OnceTicket, r.Ticket, &t); err != nil {
		return Issued{}, refusedTicket(err)
	}
	if t.Nonce != r.Nonce || t.Instance != r.Instance || t.Host != r.Host {
		return Issued{}, refusedTicket(nil)
	}
	return s.cookiePass(ctx, t.Credential, t.Instance)
}

// RenewPass is a newer pass for one that is still good, with the rights of now.
// The error is that of TradeTicket.
func (s *Service) RenewPass(ctx context.Context, pass string) (Issued, error) {
	a, instance, err := s.Passes.Holder(pass)
	if err != nil {
		return Issued{}, refusedTicket(nil)
	}
	return s.cookiePass(ctx, a.Credential, instance)
}

// cookiePass is a pass for a session.
func (s *Service) cookiePass(ctx context.Context, session, instance string) (out Issued, err error) {
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		_, a, err := s.holder(tx, session)
		if err != nil {
			return err
		}
		_, roles, err := s.mayOpen(tx, &a, instance)
		if err == nil {
			out, err = s.issue(a, instance, roles, false)
		}
		return err
	})
	if err != nil {
		return Issued{}, refusedTicket(err)
	}
	return out, nil
}

// refusedTicket hides why, but for a store that does not answer.
func refusedTicket(err error) error {
	switch CodeOf(err) {
	case CodeUnavailable, CodeInternal:
		if err != nil {
			return err
		}
	}
	return Errorf(CodeUnauthorized, "this ticket or pass is not valid").WithHint("open the instance again from the console")
}

// BearerPass is a pass for an API client of the actor.
func (s *Service) BearerPass(ctx context.Context, a Actor, id string) (out Issued, err error) {
	if a.User == "" {
		return out, signIn()
	}
	if id = strings.ToLower(id); len(id) != 36 {
		in, err := s.Instance(ctx, a, id)
		if err != nil {
			return out, err
		}
		id = in.ID
	}
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		in, roles, err := s.mayOpen(tx, &a, id)
		if err == nil {
			out, err = s.issue(a, in.ID, roles, true)
		}
		return err
	})
	return out, err
}

// maxPassRoles is how long a user's roles may be together in a pass, in bytes of
// its JSON; else it has those alone that its app names.
const maxPassRoles = 1500

func sizeInPass(role string) int {
	raw, _ := json.Marshal(role) // of any text
	return len(raw) + len(",")
}

func (s *Service) issue(a Actor, instance string, named []string, bearer bool) (out Issued, err error) {
	size := 0
	for _, role := range a.Roles {
		size += sizeInPass(role)
	}
	if size > maxPassRoles {
		size = 0
		a.Roles = slices.DeleteFunc(slices.Clone(a.Roles), func(r string) bool {
			_, found := slices.BinarySearch(named, r)
			if found {
				size += sizeInPass(r)
			}
			return !found || size > maxPassRoles
		})
	}
	out.Pass, out.ExpiresAt, err = s.Passes.Issue(&a, instance, bearer)
	return out, err
}
