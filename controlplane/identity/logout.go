package identity

import (
	"context"
	"errors"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// logoutEvent is the event of OpenID Connect Back-Channel Logout 1.0 §2.4.
const logoutEvent = "http://schemas.openid.net/event/backchannel-logout"

// LogoutMemory is how long the jti of a logout token is remembered, and how old
// one may be.
const LogoutMemory = 10 * time.Minute

// LogoutToken is what a provider says has ended: a session, or all of a
// subject's.
type LogoutToken struct {
	ID      string // jti; whoever reads it sees to it that it counts once
	Subject string // sub; may be empty
	Session string // sid; may be empty, but not both
}

// ReadLogoutToken checks a logout token (Back-Channel Logout 1.0 §2.6), but for
// whether it was seen before. The error is CodeInvalid for one that does not
// hold, and CodeUnavailable where the provider does not answer.
func (p *Provider) ReadLogoutToken(ctx context.Context, raw string) (*LogoutToken, error) {
	at, err := p.discover(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := p.context(ctx)
	defer cancel()
	token, err := p.verify(ctx, at, raw)
	if controlplane.CodeOf(err) == controlplane.CodeUnavailable {
		return nil, err
	}
	if err == nil {
		err = p.checkTimes(token)
	}
	if err != nil {
		return nil, untrue(err)
	}
	all, err := claims(token)
	if err != nil {
		return nil, untrue(err)
	}
	events, _ := all["events"].(map[string]any)
	_, event := events[logoutEvent].(map[string]any)
	_, nonce := all["nonce"]
	out := &LogoutToken{ID: text(all, "jti"), Subject: text(all, "sub"), Session: text(all, "sid")}
	switch {
	case !event:
		err = errors.New("it is no logout token")
	case nonce:
		err = errors.New("it has a nonce")
	case out.ID == "":
		err = errors.New("it has no jti")
	case out.Subject == "" && out.Session == "":
		err = errors.New("it names neither a subject nor a session")
	case p.Now().Sub(token.IssuedAt) > LogoutMemory-skew:
		err = errors.New("it is too old")
	}
	if err != nil {
		return nil, untrue(err)
	}
	return out, nil
}

// untrue is the error of a logout token that does not hold.
func untrue(cause error) error {
	e := controlplane.Errorf(controlplane.CodeInvalid, "the logout token does not hold")
	e.Cause = cause
	return e
}
