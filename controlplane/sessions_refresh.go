package controlplane

import (
	"context"
	"time"
)

// ClaimCheck takes a session that the provider has not been asked about since
// before: of several control planes one gets it, the others nil. One that has
// ended by itself is removed.
func (s *Service) ClaimCheck(ctx context.Context, id string, before time.Time) (claimed *Session, err error) {
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		claimed = nil
		session, _, err := s.liveSession(tx, id)
		if CodeOf(err) == CodeNotFound {
			dead, err := tx.Session(id)
			if CodeOf(err) == CodeNotFound {
				return nil
			}
			if err != nil {
				return err
			}
			return tx.Delete(dead)
		}
		if err != nil || !session.CheckedAt.Before(before) {
			return err
		}
		session.CheckedAt = s.now()
		claimed = session
		return tx.Put(session)
	})
	return claimed, err
}

// Renewed takes over what the provider said when it was asked about a session.
// Nil bytes leave what was there. The session ends where somebody else answers.
func (s *Service) Renewed(ctx context.Context, id string, who *Identity, refresh, idToken []byte) error {
	who, err := s.cutRoles(ctx, who)
	if err != nil {
		return err
	}
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		session, user, err := s.liveSession(tx, id)
		if CodeOf(err) == CodeNotFound {
			return nil // signed out meanwhile
		}
		if err != nil {
			return err
		}
		if user.Issuer != who.Issuer || who.Subject != "" && user.Subject != who.Subject {
			s.audit(tx, itself, "session.end", "user/"+user.Name, "the provider answered for somebody else")
			return s.end(tx, session)
		}
		epoch, email, name := user.Epoch, user.Email, user.DisplayName
		s.learn(tx, user, who)
		if user.Epoch != epoch {
			s.audit(tx, itself, "user.roles", "user/"+user.Name, "the provider gave other roles")
		}
		if user.Epoch != epoch || user.Email != email || user.DisplayName != name {
			user.UpdatedAt = s.now()
			if err := tx.Put(user); err != nil {
				return err
			}
		}
		if refresh != nil {
			session.Refresh = refresh
		}
		if idToken != nil {
			session.IDToken = idToken
		}
		session.CheckedAt = s.now()
		return tx.Put(session)
	})
	return err
}

// ProviderSignOut ends what a provider says has ended (OpenID Connect
// Back-Channel Logout 1.0 §2.6): one session of it, or all of a subject's.
func (s *Service) ProviderSignOut(ctx context.Context, issuer, subject, providerSession string) error {
	if providerSession == "" {
		return s.subjectSignOut(ctx, issuer, subject)
	}
	for p := (Page{Limit: 1000}); ; {
		list, err := s.Store.Sessions(ctx, p)
		if err != nil {
			return err
		}
		for _, session := range list.Items {
			if session.ProviderSession != providerSession {
				continue
			}
			if err := s.endOf(ctx, session.ID, issuer, subject); err != nil {
				return err
			}
		}
		if list.NextAfter == "" {
			return nil
		}
		p.After, p.Revision = list.NextAfter, list.Revision
	}
}

// endOf ends a session if it is one of that subject's, or no subject is named.
func (s *Service) endOf(ctx context.Context, id, issuer, subject string) error {
	_, err := s.Store.Update(ctx, func(tx Tx) error {
		session, user, err := s.liveSession(tx, id)
		if CodeOf(err) == CodeNotFound {
			return nil
		}
		if err != nil || user.Issuer != issuer || subject != "" && user.Subject != subject {
			return err
		}
		s.audit(tx, itself, "session.end", "user/"+user.Name, "signed out at the provider")
		return s.end(tx, session)
	})
	return err
}

func (s *Service) subjectSignOut(ctx context.Context, issuer, subject string) error {
	_, err := s.Store.Update(ctx, func(tx Tx) error {
		name, err := tx.UserOf(issuer, subject)
		if err != nil || name == "" {
			return err
		}
		user, err := tx.User(name)
		if err != nil {
			return err
		}
		s.signOutEverywhere(tx, user)
		s.audit(tx, itself, "session.end", "user/"+user.Name, "signed out everywhere at the provider")
		return tx.Put(user)
	})
	return err
}
