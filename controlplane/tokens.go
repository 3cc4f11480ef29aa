package controlplane

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"
)

// The life of personal tokens, and how many a user has at most.
const (
	TokenLife    = 30 * 24 * time.Hour // where none is asked for
	MaxTokenLife = 365 * 24 * time.Hour
	maxTokens    = 100
)

// NewToken is a personal token that is to be made. The secret is known to the
// caller alone.
type NewToken struct {
	ID, Hash string // of the secret, as in Token
	Name     string
	Scopes   []Scope       // nil: read and open
	Life     time.Duration // 0: TokenLife
}

// CreateToken makes a personal token of the actor's. A token makes none that
// may do more than itself, or lives longer.
func (s *Service) CreateToken(ctx context.Context, a Actor, n NewToken) (token *Token, err error) {
	if err := s.Allow(a, HaveTokens); err != nil {
		return nil, err
	}
	if n.Name = strings.TrimSpace(shortened(n.Name)); n.Name == "" {
		return nil, Errorf(CodeInvalid, "the token has no name, by which you tell it from others when you revoke one").
			WithHint("name it after where it is used, such as ci")
	}
	if n.Scopes == nil {
		n.Scopes = []Scope{ScopeRead, ScopeOpen}
	}
	scopes, err := validScopes(n.Scopes)
	if err != nil {
		return nil, err
	}
	for _, scope := range scopes {
		if !a.May(scope) {
			return nil, Errorf(CodeForbidden, "this token has not the scope %s, and gives it to no other", scope).
				WithHint("make the token at the console, or with a token that has the scope")
		}
	}
	if n.Life == 0 {
		n.Life = TokenLife
	}
	if n.Life < 0 || n.Life > MaxTokenLife {
		return nil, TokenLifeTooLong()
	}
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		token = &Token{Hash: n.Hash, ID: n.ID, User: a.User, Name: n.Name, Scopes: scopes, CreatedAt: s.now()}
		token.ExpiresAt = token.CreatedAt.Add(n.Life)
		if a.Scopes != nil {
			token.Parent = a.Credential
		}
		if a.Scopes != nil && !a.Until.IsZero() && a.Until.Before(token.ExpiresAt) {
			token.ExpiresAt = a.Until
		}
		return s.putToken(tx, &a, token)
	})
	return token, err
}

// TokenLifeTooLong is what is wrong with an expires_in above MaxTokenLife.
func TokenLifeTooLong() *Error {
	return Errorf(CodeInvalid, "expires_in is too long: a token lives for at most %d days", MaxTokenLife/(24*time.Hour)).
		WithHint("give at most %.0fh", MaxTokenLife.Hours())
}

func (s *Service) putToken(tx Tx, a *Actor, token *Token) error {
	user, err := tx.User(a.User)
	if err != nil {
		return err
	}
	if user.Disabled { // since who asks was let in
		return Errorf(CodeUnauthorized, "%s is disabled", user.Name)
	}
	tokens, err := tx.TokensOf(a.User)
	if err != nil {
		return err
	}
	if len(tokens) >= maxTokens {
		return Errorf(CodeConflict, "you have %d tokens already", len(tokens)).WithHint("revoke what is not used any more: the console lists your tokens")
	}
	s.audit(tx, *a, "token.create", "token/"+token.ID, strings.TrimSpace(token.Name+" "+scopesText(token.Scopes)))
	return tx.Put(token)
}

// validScopes are the scopes in order, each once, with those that they come with.
func validScopes(asked []Scope) ([]Scope, error) {
	for _, scope := range asked {
		if !slices.Contains(Scopes, scope) {
			return nil, Errorf(CodeInvalid, "there is no scope %q", scope).WithHint("the scopes are read, write, open and admin")
		}
	}
	var scopes []Scope
	for _, scope := range Scopes {
		if slices.Contains(asked, scope) || scope == ScopeRead && slices.Contains(asked, ScopeWrite) {
			scopes = append(scopes, scope)
		}
	}
	if len(scopes) == 0 {
		return nil, Errorf(CodeInvalid, "a token needs a scope").WithHint("the scopes are read, write, open and admin")
	}
	return scopes, nil
}

func scopesText(scopes []Scope) string {
	text := make([]string, len(scopes))
	for i, scope := range scopes {
		text[i] = string(scope)
	}
	return strings.Join(text, ",")
}

// Tokens are a page of the actor's own, in the order of their IDs.
func (s *Service) Tokens(ctx context.Context, a Actor, p Page) (list List[*Token], err error) {
	if err := s.Allow(a, HaveTokens); err != nil {
		return list, err
	}
	list.Revision, err = s.Store.Update(ctx, func(tx Tx) (err error) {
		list.Items, err = tx.TokensOf(a.User)
		return err
	})
	if err != nil {
		return list, err
	}
	// They are a hundred at most: a page is cut from all of them.
	list.Items = slices.DeleteFunc(list.Items, func(t *Token) bool { return t.ID <= p.After })
	if limit := cmp.Or(p.Limit, maxTokens); len(list.Items) > limit {
		list.Items = list.Items[:limit]
		list.NextAfter = list.Items[limit-1].ID
	}
	return list, nil
}

// RevokeToken ends a token of the actor's, by its ID or a unique prefix of 6
// characters or more of it (spec interfaces.md §1), what was issued for it, and
// then the tokens that were made with it: whoever stole it keeps nothing. The
// errors are CodeNotFound, and CodeInvalid for a prefix of several.
func (s *Service) RevokeToken(ctx context.Context, a Actor, id string) error {
	if err := s.Allow(a, HaveTokens); err != nil {
		return err
	}
	var tokens []*Token
	_, err := s.Store.Update(ctx, func(tx Tx) (err error) {
		tokens, err = tx.TokensOf(a.User)
		return err
	})
	if err != nil {
		return err
	}
	if id, err = tokenID(tokens, id); err != nil {
		return err
	}
	return s.revoke(ctx, a, id)
}

// tokenID is the ID of the one token that is meant by it or by a prefix of it.
func tokenID(tokens []*Token, id string) (string, error) {
	var found []string
	for _, t := range tokens {
		if t.ID == id {
			return id, nil
		}
		if len(id) >= minIDPrefix && strings.HasPrefix(t.ID, strings.ToLower(id)) {
			found = append(found, t.ID)
		}
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return "", Errorf(CodeInvalid, "%q begins the IDs of several tokens: %s", id, strings.Join(found, ", ")).
			WithHint("give more of the ID; slipway token list shows them")
	case len(id) < minIDPrefix:
		return "", noToken(id).WithHint("give its ID, or at least the first %d characters of it; slipway token list shows them", minIDPrefix)
	}
	return "", noToken(id)
}

func noToken(id string) *Error {
	return Errorf(CodeNotFound, "no token %q", id).WithHint("slipway token list shows them")
}

func (s *Service) revoke(ctx context.Context, a Actor, id string) error {
	var children []string
	_, err := s.Store.Update(ctx, func(tx Tx) (err error) {
		var token *Token
		token, children, err = endToken(tx, a.User, id)
		if err != nil {
			return err
		}
		if token == nil {
			return noToken(id)
		}
		s.audit(tx, a, "token.revoke", "token/"+id, token.Name)
		return nil
	})
	if err != nil {
		return err
	}
	return s.revokeAll(ctx, a, children)
}

// revokeAll revokes tokens, each in a transaction of its own: all those of a user
// are more than one holds.
func (s *Service) revokeAll(ctx context.Context, a Actor, ids []string) error {
	for _, id := range ids {
		if err := s.revoke(ctx, a, id); err != nil && CodeOf(err) != CodeNotFound { // it was revoked meanwhile
			return err
		}
	}
	return nil
}

// endTokensOf deletes the tokens of a user while that is disabled. They are good
// for nothing then; gone, they stay so when the user is let in again. Of those
// that the record of the disabling does not account for, each leaves one of its
// own.
func (s *Service) endTokensOf(ctx context.Context, a Actor, name string, accounted bool) error {
	const atOnce = 10 // all of a user's are more than one transaction holds
	for more := true; more; {
		_, err := s.Store.Update(ctx, func(tx Tx) error {
			more = false
			user, err := anyUser(tx, name)
			if err != nil || !user.Disabled {
				return err
			}
			tokens, err := tx.TokensOf(user.Name)
			if err != nil {
				return err
			}
			more = len(tokens) > atOnce
			for _, t := range tokens[:min(len(tokens), atOnce)] {
				if !accounted {
					s.audit(tx, a, "token.revoke", "token/"+t.ID, t.Name)
				}
				tx.RevokeCredential(t.ID)
				if err := tx.Delete(t); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// endToken ends a user's token and what was issued for it, and returns it, nil
// where there is none, with the IDs of those that were made with it: they end next.
func endToken(tx Tx, user, id string) (token *Token, children []string, err error) {
	tokens, err := tx.TokensOf(user)
	if err != nil {
		return nil, nil, err
	}
	for _, t := range tokens {
		switch id {
		case t.ID:
			token = t
		case t.Parent:
			children = append(children, t.ID)
		}
	}
	if token == nil {
		return nil, nil, nil
	}
	tx.RevokeCredential(id)
	return token, children, tx.Delete(token)
}
