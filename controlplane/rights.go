package controlplane

import (
	"context"
	"slices"
	"time"
)

// LocalAdmin is the one user of an installation without a provider.
const LocalAdmin = "admin"

// Rights say what the provider's roles mean (settings admin_role and
// full_access_role).
type Rights struct {
	AdminRole string // who has it is an admin; empty: nobody
	FullRole  string // who has it has full access; empty: everybody signed in
}

// Actor is a user with their rights of now.
func (r Rights) Actor(u *User) Actor {
	a := Actor{User: u.Name, Email: u.Email, Roles: u.Roles, Epoch: u.Epoch}
	a.Admin = u.Issuer == "" || r.AdminRole != "" && slices.Contains(u.Roles, r.AdminRole)
	a.Full = a.Admin || r.FullRole == "" || slices.Contains(u.Roles, r.FullRole)
	return a
}

// Authenticate finds who holds a personal token, by its SHA-256 in hexadecimal.
// The error is CodeUnauthorized for one that is not, or no longer, good.
func (s *Service) Authenticate(ctx context.Context, hash string) (a Actor, err error) {
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		token, err := tx.Token(hash)
		if err != nil {
			return err
		}
		user, err := tx.User(token.User)
		if err != nil {
			return err
		}
		if user.Disabled || !token.ExpiresAt.IsZero() && !s.Now().Before(token.ExpiresAt) {
			return Errorf(CodeNotFound, "the token has ended")
		}
		a = s.Rights.Actor(user)
		a.Credential, a.Until, a.Scopes = token.ID, token.ExpiresAt, token.Scopes
		if a.Scopes == nil {
			a.Scopes = []Scope{} // of a token, nil would be everything
		}
		a.NotAsAdmin = a.Admin && !a.May(ScopeAdmin)
		a.Admin = a.Admin && !a.NotAsAdmin
		return nil
	})
	if CodeOf(err) == CodeNotFound {
		err = Errorf(CodeUnauthorized, "this token is not valid here").WithHint("sign in again with: slipway login")
	}
	return a, err
}

// AuthenticateInstance is the instance whose own token this is, while that start
// of it goes on. It may ask who it is, and nothing that is a user's. The error
// is CodeUnauthorized.
func (s *Service) AuthenticateInstance(ctx context.Context, token string) (Actor, error) {
	refused := Errorf(CodeUnauthorized, "this token is not valid here").
		WithHint("it is good for one start of an instance: the file SLIPWAY_TOKEN_FILE holds the present one")
	id, generation, ok := s.ReadInstanceToken(token)
	if !ok {
		return Actor{}, refused
	}
	in, err := s.Store.Instance(ctx, id)
	switch {
	case CodeOf(err) == CodeNotFound:
		return Actor{}, refused
	case err != nil:
		return Actor{}, err
	case in.Generation != generation || !in.Status.Live():
		return Actor{}, refused
	}
	return Actor{Instance: id}, nil
}

// EnsureLocalAdmin makes sure that there is the local admin.
func EnsureLocalAdmin(ctx context.Context, store Store, now func() time.Time) error {
	_, err := store.Update(ctx, func(tx Tx) error {
		if _, err := tx.User(LocalAdmin); CodeOf(err) != CodeNotFound {
			return err
		}
		at := now().UTC()
		return tx.Put(&User{Name: LocalAdmin, Subject: LocalAdmin, CreatedAt: at, UpdatedAt: at})
	})
	return err
}
