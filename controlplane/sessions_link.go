package controlplane

import (
	"context"
	"time"
)

// LinkLife is how long a one-time link waits for its use (spec access.md §6).
const LinkLife = time.Minute

// link is kept under the hash of a one-time link's secret.
type link struct {
	User string `json:"user"`
}

// CreateLink keeps a one-time link that signs the local admin in: hash is that
// of its secret. With a provider there is none. A session may do everything, so
// that a token needs all scopes for it.
func (s *Service) CreateLink(ctx context.Context, a Actor, hash string) (expires time.Time, err error) {
	if err := s.Allow(a, ManageUsers); err != nil {
		return expires, err
	}
	for _, scope := range Scopes {
		if !a.May(scope) {
			return expires, Errorf(CodeForbidden, "this token has not the scope %s, and a session has", scope).
				WithHint("use a token with all scopes")
		}
	}
	if s.Provider != "" {
		return expires, Errorf(CodeConflict, "people sign in through %s here", s.Provider).WithHint("open the console, and sign in there")
	}
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		expires = s.now().Add(LinkLife)
		tx.PutOnce(OnceLink, hash, link{User: a.User}, LinkLife)
		s.audit(tx, a, "login.link", "user/"+a.User, "")
		return nil
	})
	return expires, err
}

// UseLink begins a session by a one-time link. The error is CodeUnauthorized
// for one that is not, or no longer, good.
func (s *Service) UseLink(ctx context.Context, hash string, n *NewSession) (session *Session, err error) {
	refused := Errorf(CodeUnauthorized, "this link was used already, or its time is over").
		WithHint("a link signs in once, within a minute; make another: slipway login --link")
	if s.Provider != "" {
		return nil, refused
	}
	var l link
	if err := s.Store.TakeOnce(ctx, OnceLink, hash, &l); err != nil {
		if CodeOf(err) == CodeNotFound {
			err = refused
		}
		return nil, err
	}
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		user, err := tx.User(l.User)
		if err != nil {
			return err
		}
		session, err = s.begin(tx, user, n)
		return err
	})
	return session, err
}
