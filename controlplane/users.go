package controlplane

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Identity is what a provider says of somebody who signed in.
type Identity struct {
	Issuer, Subject string // who it is, for good
	// Username, Email and DisplayName are for people, and may be empty.
	Username, Email, DisplayName string
	Roles                        []string // nil, of a partial one: not said
	// Partial is set where the provider told less than at a sign-in: what is
	// empty then stays as it was.
	Partial bool
}

// NewSession is a sign-in that is to be kept.
type NewSession struct {
	ID              string // identity.SessionID of its secret
	ProviderSession string
	Refresh         []byte // encrypted, as IDToken
	IDToken         []byte
	ExpiresAt       time.Time
	// Replaces is the session that the browser had before, which ends; empty: none.
	Replaces string
	Address  string // the client's
}

// SignIn takes somebody in whom the provider has vouched for. The error is
// CodeForbidden for a disabled user.
func (s *Service) SignIn(ctx context.Context, who *Identity, n *NewSession) (session *Session, err error) {
	switch {
	case who.Issuer == "" || who.Subject == "":
		return nil, Errorf(CodeInvalid, "the provider did not say who signed in")
	case max(len(who.Issuer), len(who.Subject)) > maxSubject:
		return nil, Errorf(CodeInvalid, "the provider names itself or who signed in with more than %d bytes", maxSubject).
			WithHint("an admin looks at the claims iss and sub of its tokens")
	}
	if who, err = s.cutRoles(ctx, who); err != nil {
		return nil, err
	}
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		name, err := tx.UserOf(who.Issuer, who.Subject)
		if err != nil {
			return err
		}
		var user *User
		if name == "" {
			user, err = s.newUser(tx, who)
		} else {
			user, err = tx.User(name)
		}
		if err != nil {
			return err
		}
		s.learn(tx, user, who)
		session, err = s.begin(tx, user, n)
		return err
	})
	return session, err
}

// begin writes a session, and the user who begins it.
func (s *Service) begin(tx Tx, user *User, n *NewSession) (*Session, error) {
	if user.Disabled {
		return nil, Errorf(CodeForbidden, "the user %s is disabled here", user.Name).WithHint("an admin of this installation can let them in again")
	}
	if n.Replaces != "" && n.Replaces != n.ID {
		old, err := tx.Session(n.Replaces)
		if err == nil {
			err = s.end(tx, old)
		} else if CodeOf(err) == CodeNotFound {
			err = nil
		}
		if err != nil {
			return nil, err
		}
	}
	detail, err := s.makeRoom(tx, user)
	if err != nil {
		return nil, err
	}
	now := s.now()
	user.SignedInAt, user.UpdatedAt = now, now
	if err := tx.Put(user); err != nil {
		return nil, err
	}
	session := &Session{
		ID: n.ID, User: user.Name, Epoch: user.Epoch, ProviderSession: n.ProviderSession, Refresh: n.Refresh, IDToken: n.IDToken,
		CreatedAt: now, CheckedAt: now, ExpiresAt: n.ExpiresAt.UTC().Truncate(time.Microsecond),
	}
	s.audit(tx, Actor{User: user.Name, Address: n.Address}, "user.sign_in", "user/"+user.Name, detail)
	return session, tx.Put(session)
}

// maxSessions is how many sessions a user has at most, at a time.
const maxSessions = 100

// makeRoom ends the oldest sessions of a user who has as many as may be. The
// detail is for the audit.
func (s *Service) makeRoom(tx Tx, user *User) (detail string, err error) {
	ids, err := tx.SessionsOf(user.Name)
	if err != nil {
		return "", err
	}
	for _, id := range ids[:max(0, len(ids)-maxSessions+1)] {
		session, err := tx.Session(id)
		if CodeOf(err) == CodeNotFound {
			continue // it has just ended by itself
		}
		if err == nil {
			err = s.end(tx, session)
		}
		if err != nil {
			return "", err
		}
		detail = fmt.Sprintf("the oldest of %d sessions ended", maxSessions)
	}
	return detail, nil
}

// newUser is a user who signs in for the first time.
func (s *Service) newUser(tx Tx, who *Identity) (*User, error) {
	base := nameFor(who)
	for n := 1; n <= maxNamesakes; n++ {
		name := base
		if n > 1 {
			name = fmt.Sprintf("%s-%d", base, n)
		}
		if slices.ContainsFunc(reservedNames, func(r string) bool { return strings.EqualFold(r, name) }) {
			continue
		}
		switch _, err := tx.User(name); CodeOf(err) {
		case CodeNotFound:
			return &User{Name: name, Issuer: who.Issuer, Subject: who.Subject, CreatedAt: s.now()}, nil
		default:
			if err != nil {
				return nil, err
			}
		}
	}
	return nil, Errorf(CodeConflict, "too many users are called %s", base)
}

// maxNamesakes is how many users may want one name.
const maxNamesakes = 200

// reservedNames are the local admin's, and what the audit calls the control
// plane itself.
var reservedNames = []string{LocalAdmin, "system"}

// nameFor is the name that somebody would like to have.
func nameFor(who *Identity) string {
	for _, wish := range []string{who.Username, who.Email, who.Subject} {
		name := strings.Map(func(r rune) rune {
			switch {
			case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9', strings.ContainsRune("._@+-", r):
				return r
			}
			return '-'
		}, wish)
		name = name[:min(len(name), maxName)]
		// A name is also an argument and a segment of a path.
		if name = strings.Trim(name, ".-"); name != "" {
			return name
		}
	}
	return "user"
}

// maxName leaves room for what tells namesakes apart, in 100 bytes.
const maxName = 95

// learn takes over what the provider says now, of roles what cutRoles left. Where roles changed, all that
// was issued with the old ones ends, but the sessions go on.
func (s *Service) learn(tx Tx, user *User, who *Identity) {
	if !who.Partial || who.Email != "" {
		user.Email = shortened(who.Email)
	}
	if !who.Partial || who.DisplayName != "" {
		user.DisplayName = shortened(who.DisplayName)
	}
	if who.Partial && who.Roles == nil || slices.Equal(who.Roles, user.Roles) {
		return
	}
	user.Roles = who.Roles
	user.Epoch++
	tx.RevokeUser(user.Name, user.Epoch)
}

// shortened bounds what a provider says of a person, and what anybody names a
// token or a command line. What turns the direction of text would show people
// something else than there is.
func shortened(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == '\uFFFD' || unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > 200 {
		text = string(runes[:200])
	}
	return text
}

// Users lists those who have signed in.
func (s *Service) Users(ctx context.Context, a Actor, p Page) (List[*User], error) {
	if err := s.Allow(a, ManageUsers); err != nil {
		return List[*User]{}, err
	}
	return s.Store.Users(ctx, p)
}

// User finds a user, without regard to case.
func (s *Service) User(ctx context.Context, a Actor, name string) (user *User, err error) {
	if err := s.Allow(a, ManageUsers); err != nil {
		return nil, err
	}
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		user, err = anyUser(tx, name)
		return err
	})
	return user, err
}

// anyUser is a user whom an admin asked for by name.
func anyUser(tx Tx, name string) (*User, error) {
	user, err := tx.User(name)
	if CodeOf(err) == CodeNotFound {
		return nil, Errorf(CodeNotFound, "no user %q", name).WithHint("slipway admin user list shows who has signed in")
	}
	return user, err
}

// Me is the user who asks; nil for an instance.
func (s *Service) Me(ctx context.Context, a Actor) (user *User, err error) {
	if a.User == "" {
		return nil, nil
	}
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		user, err = tx.User(a.User)
		return err
	})
	return user, err
}

// DisableUser ends everything that a user has, personal tokens too, and lets them
// in no more; or lets them in again, to sign in anew. The own tokens of their
// instances go on.
func (s *Service) DisableUser(ctx context.Context, a Actor, name string, disabled bool) (user *User, err error) {
	if err := s.Allow(a, ManageUsers); err != nil {
		return nil, err
	}
	if !disabled { // what an earlier call did not come to end, or was made meanwhile
		if err := s.endTokensOf(ctx, a, name, false); err != nil {
			return nil, err
		}
	}
	changed := false
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		changed = false
		if user, err = anyUser(tx, name); err != nil {
			return err
		}
		if err := unchanged(ctx, user.Revision); err != nil || user.Disabled == disabled {
			return err
		}
		switch {
		case disabled && (user.Name == a.User || user.Issuer == ""):
			return Errorf(CodeConflict, "%s would be locked out", user.Name).WithHint("another admin can disable this user, but nobody the local admin")
		case disabled:
			s.signOutEverywhere(tx, user)
			s.audit(tx, a, "user.disable", "user/"+user.Name, "all sessions and tokens end")
		default:
			s.audit(tx, a, "user.enable", "user/"+user.Name, "")
		}
		changed, user.Disabled, user.UpdatedAt = true, disabled, s.now()
		return tx.Put(user)
	})
	if err == nil && disabled {
		err = s.endTokensOf(ctx, a, name, changed)
	}
	return user, err
}
