package controlplane

import (
	"context"
	"time"
)

// itself is the control plane, where it acts by itself.
var itself = Actor{User: "system"}

// SessionLife is how long a sign-in at the console lasts at most.
const SessionLife = 12 * time.Hour

// SessionActor is who holds a session, with their rights of now. The error is
// CodeUnauthorized for one that is not, or no longer, good.
func (s *Service) SessionActor(ctx context.Context, id string) (a Actor, err error) {
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		_, a, err = s.holder(tx, id)
		return err
	})
	return a, err
}

// holder is a live session with its actor.
func (s *Service) holder(tx Tx, id string) (*Session, Actor, error) {
	session, user, err := s.liveSession(tx, id)
	if CodeOf(err) == CodeNotFound {
		return nil, Actor{}, Errorf(CodeUnauthorized, "the session has ended").WithHint("sign in again")
	}
	if err != nil {
		return nil, Actor{}, err
	}
	a := s.Rights.Actor(user)
	a.Credential, a.Until = session.ID, session.ExpiresAt
	return session, a, nil
}

// liveSession finds a session that has not ended. The error is CodeNotFound.
func (s *Service) liveSession(tx Tx, id string) (*Session, *User, error) {
	session, err := tx.Session(id)
	if err != nil {
		return nil, nil, err
	}
	user, err := tx.User(session.User)
	if err != nil {
		return nil, nil, err
	}
	if user.Disabled || session.Epoch < user.SignedOut || !s.Now().Before(session.ExpiresAt) {
		return nil, nil, Errorf(CodeNotFound, "the session has ended")
	}
	return session, user, nil
}

// end ends a session at every edge.
func (s *Service) end(tx Tx, session *Session) error {
	tx.RevokeCredential(session.ID)
	return tx.Delete(session)
}

// signOutEverywhere ends what a user has signed in to, at every edge. It does
// not write the user.
func (s *Service) signOutEverywhere(tx Tx, user *User) {
	user.Epoch++
	user.SignedOut = user.Epoch
	tx.RevokeUser(user.Name, user.Epoch)
}

// SignOut ends the session or the token that the call was made with, as
// RevokeToken does, and all sessions of its user if everywhere is set. It returns
// the session, for the provider; nil for a token.
func (s *Service) SignOut(ctx context.Context, a Actor, everywhere bool) (session *Session, err error) {
	if a.User == "" {
		return nil, Errorf(CodeUnauthorized, "nobody is signed in")
	}
	var children []string
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		session, children = nil, nil
		user, err := tx.User(a.User)
		if err != nil {
			return err
		}
		action := "user.sign_out"
		if everywhere {
			action = "user.sign_out_everywhere"
			s.signOutEverywhere(tx, user)
			if err := tx.Put(user); err != nil {
				return err
			}
		}
		s.audit(tx, a, action, "user/"+user.Name, "")
		switch found, err := tx.Session(a.Credential); {
		case err == nil:
			session = found
			return s.end(tx, found)
		case CodeOf(err) != CodeNotFound:
			return err
		}
		_, children, err = endToken(tx, a.User, a.Credential)
		return err
	})
	if err != nil {
		return nil, err
	}
	return session, s.revokeAll(ctx, a, children)
}

// EndSession ends a session that its user did not end: detail says why, for
// the audit.
func (s *Service) EndSession(ctx context.Context, id, detail string) error {
	_, err := s.Store.Update(ctx, func(tx Tx) error {
		session, err := tx.Session(id)
		if CodeOf(err) == CodeNotFound {
			return nil
		}
		if err != nil {
			return err
		}
		s.audit(tx, itself, "session.end", "user/"+session.User, detail)
		return s.end(tx, session)
	})
	return err
}

// signInsEach is how many sign-ins a source finishes within signInWindow: an
// office behind one address comes to work, and nobody makes the provider and the
// store work without end.
const (
	signInsEach  = 600
	signInWindow = 10 * time.Minute
)

// MayFinishSignIn counts a sign-in that is finished from an address, and refuses
// one too many with CodeTooMany.
func (s *Service) MayFinishSignIn(address string) error {
	if s.limits.allow("sign-ins from "+sourceOf(address), limit{signInsEach, signInWindow}, s.Now()) {
		return nil
	}
	return Errorf(CodeTooMany, "too many sign-ins came from this address").WithHint("try again in some minutes")
}

// FirstUse reports whether something is seen for the first time, and remembers
// it for that long.
func (s *Service) FirstUse(ctx context.Context, kind OnceKind, key string, remember time.Duration) (first bool, err error) {
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		var seen struct{}
		err := tx.Once(kind, key, &seen)
		first = CodeOf(err) == CodeNotFound
		if !first {
			return err
		}
		tx.PutOnce(kind, key, seen, remember)
		return nil
	})
	return first && err == nil, err
}

// What FirstUse remembers.
const (
	OnceLogin  OnceKind = "login"  // the state of a sign-in
	OnceLogout OnceKind = "logout" // the jti of a provider's logout token
)
