package identity

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// Grant is what a provider gives for a code or a refresh token.
type Grant struct {
	// Who signed in. After a refresh without an ID token it is Partial, and
	// Roles are nil where the provider did not say.
	Who     controlplane.Identity
	Session string // sid
	Refresh string // empty: none, or after a refresh the one that there was
	IDToken string // as it came; empty after a refresh that gave none
	Expires time.Time
	// NoRoles is set where the roles claim was nowhere: then there are none.
	NoRoles bool
}

// discovered is the provider's endpoints, and the client of them.
func (p *Provider) discovered(ctx context.Context) (at *endpoints, config *oauth2.Config, err error) {
	if at, err = p.discover(ctx); err != nil {
		return nil, nil, err
	}
	config, err = p.oauth(at)
	return at, config, err
}

// Exchange trades a code.
func (p *Provider) Exchange(ctx context.Context, code string, l *Login) (*Grant, error) {
	at, config, err := p.discovered(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := p.context(ctx)
	defer cancel()
	tokens, err := config.Exchange(ctx, code, oauth2.VerifierOption(l.Verifier))
	if err != nil {
		return nil, p.failure(at, err, false)
	}
	raw, _ := tokens.Extra("id_token").(string)
	if raw == "" {
		return nil, p.unusable("the sign-in service gave no ID token", "an admin sees to it that the client has the scope openid", nil)
	}
	return p.grant(ctx, at, tokens, raw, l)
}

// Refresh asks about a session. The error is ErrEnded where it is over there.
func (p *Provider) Refresh(ctx context.Context, refresh string) (*Grant, error) {
	at, config, err := p.discovered(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := p.context(ctx)
	defer cancel()
	tokens, err := config.TokenSource(ctx, &oauth2.Token{RefreshToken: refresh}).Token()
	if err != nil {
		return nil, p.failure(at, err, true)
	}
	raw, _ := tokens.Extra("id_token").(string)
	return p.grant(ctx, at, tokens, raw, nil)
}

// grant checks and reads the tokens; l is nil after a refresh.
func (p *Provider) grant(ctx context.Context, at *endpoints, tokens *oauth2.Token, raw string, l *Login) (*Grant, error) {
	g := &Grant{Who: controlplane.Identity{Issuer: p.Issuer, Partial: raw == ""}, Refresh: tokens.RefreshToken, IDToken: raw}
	var said []map[string]any
	if raw != "" {
		id, all, err := p.idToken(ctx, at, raw, tokens.AccessToken, l)
		if err != nil {
			return nil, err
		}
		g.Who.Subject, g.Expires = id.Subject, id.Expiry
		g.Session = text(all, "sid")
		said = append(said, all)
	}
	roles, found, err := rolesIn(said, p.RolesClaim)
	if err == nil && !found && p.RolesClaim != "" {
		if all := p.accessToken(ctx, at, tokens.AccessToken, g.Who.Subject); all != nil {
			said = append(said, all)
		}
		if roles, found, err = rolesIn(said, p.RolesClaim); err == nil && !found && at.userinfo {
			all, infoErr := p.userinfo(ctx, at, tokens, g.Who.Subject)
			if infoErr != nil {
				return nil, infoErr
			}
			said = append(said, all)
			roles, found, err = rolesIn(said, p.RolesClaim)
		}
	}
	if err != nil {
		return nil, p.unusable(err.Error(), "an admin compares the setting roles_claim with the tokens that the service gives", nil)
	}
	g.NoRoles = !found && p.RolesClaim != ""
	switch {
	case found:
		g.Who.Roles = roles
	case !g.Who.Partial:
		g.Who.Roles = []string{}
	}
	p.describe(g, said)
	return g, nil
}

// describe takes what is for people from the first that says it.
func (p *Provider) describe(g *Grant, said []map[string]any) {
	for _, all := range said {
		if g.Who.Subject == "" {
			g.Who.Subject = text(all, "sub")
		}
		if g.Who.Username == "" {
			g.Who.Username = text(all, "preferred_username")
		}
		if g.Who.DisplayName == "" {
			g.Who.DisplayName = text(all, "name")
		}
		// An address that the provider itself does not vouch for is nobody's.
		if verified, said := all["email_verified"]; g.Who.Email == "" && (!said || verified == true || verified == "true") {
			g.Who.Email = text(all, "email")
		}
	}
}

func text(all map[string]any, name string) string {
	s, _ := all[name].(string)
	return s
}

// idToken checks an ID token (OpenID Connect Core 1.0 §3.1.3.7, §12.2).
func (p *Provider) idToken(ctx context.Context, at *endpoints, raw, access string, l *Login) (*oidc.IDToken, map[string]any, error) {
	id, err := p.verify(ctx, at, raw)
	if err != nil {
		return nil, nil, p.unverified(err)
	}
	all, err := claims(id)
	if err != nil {
		return nil, nil, p.unverified(err)
	}
	azp, named := all["azp"]
	switch {
	case id.Subject == "":
		return nil, nil, p.unusable("the sign-in service did not say who signed in", "its ID tokens need the claim sub", nil)
	case named && azp != p.ClientID, len(id.Audience) > 1 && !named:
		return nil, nil, p.unverified(errors.New("it was issued to another client"))
	case l != nil && (id.Nonce == "" || id.Nonce != l.Nonce):
		return nil, nil, p.unverified(errors.New("it was issued for another sign-in"))
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(access); err != nil {
			return nil, nil, p.unverified(err)
		}
	}
	return id, all, p.checkTimes(id)
}

// checkTimes allows clocks to differ by 30 s.
func (p *Provider) checkTimes(t *oidc.IDToken) error {
	now := p.Now()
	off := time.Duration(0)
	switch {
	case t.Expiry.IsZero() || t.IssuedAt.IsZero():
		return p.unverified(errors.New("it has no exp or no iat"))
	case !now.Before(t.Expiry.Add(skew)):
		off = now.Sub(t.Expiry)
	case t.IssuedAt.After(now.Add(skew)):
		off = t.IssuedAt.Sub(now)
	default:
		return nil
	}
	return p.unusable(fmt.Sprintf("the clocks of this installation and of the sign-in service differ by %v or more", off.Round(time.Second)),
		"an admin sets both clocks by NTP: 30 s are allowed", nil)
}

// accessToken reads an access token that is a JWT of the provider's; nil for
// any other.
func (p *Provider) accessToken(ctx context.Context, at *endpoints, raw, subject string) map[string]any {
	if strings.Count(raw, ".") != 2 {
		return nil
	}
	token, err := at.access.Verify(ctx, raw)
	if err != nil || subject != "" && token.Subject != subject {
		return nil
	}
	all, err := claims(token)
	if err != nil {
		return nil
	}
	return all
}

func (p *Provider) userinfo(ctx context.Context, at *endpoints, tokens *oauth2.Token, subject string) (map[string]any, error) {
	info, err := at.provider.UserInfo(ctx, oauth2.StaticTokenSource(tokens))
	if err != nil {
		return nil, p.down(err)
	}
	if info.Subject == "" || subject != "" && info.Subject != subject {
		return nil, p.unusable("the sign-in service told about somebody else", "sign in again", nil)
	}
	all := map[string]any{}
	if err := info.Claims(&all); err != nil {
		return nil, p.down(err)
	}
	return all, nil
}

// verify checks the signature, the issuer and the audience of a token. The error
// is CodeUnavailable where the provider's keys cannot be had; any other is the
// token's fault.
func (p *Provider) verify(ctx context.Context, at *endpoints, raw string) (*oidc.IDToken, error) {
	token, err := at.verifier.Verify(ctx, raw)
	// The library wraps it as text. What it quotes of a token comes later.
	if err == nil || !strings.HasPrefix(err.Error(), badSignature+": fetching keys ") {
		return token, err
	}
	if !errors.Is(ctx.Err(), context.Canceled) { // who leaves says nothing of the provider
		p.forget(at)
	}
	return nil, p.down(err)
}

// badSignature is how the library's errors begin of a signature.
const badSignature = "failed to verify signature"

// unverified is the error of a token of a sign-in that is not to be believed.
func (p *Provider) unverified(cause error) error {
	switch {
	case controlplane.CodeOf(cause) == controlplane.CodeUnavailable:
		return cause
	case strings.HasPrefix(cause.Error(), badSignature):
		return p.unusable("the sign-in service signed with a key that it does not publish",
			"try again; if it lasts, an admin looks at the keys that it names in jwks_uri", cause)
	}
	return p.unusable("the sign-in service gave a token that does not hold", "sign in again; the control plane's log has the reason", cause)
}

func (p *Provider) unusable(what, hint string, cause error) error {
	e := controlplane.Errorf(controlplane.CodeUnavailable, "%s", what).WithHint("%s", hint)
	e.Cause = cause
	return e
}
