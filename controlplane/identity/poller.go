package identity

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// How often the provider is asked about a session, and how often it is looked
// which are due.
const (
	checkEvery   = 5 * time.Minute
	sweepEvery   = 20 * time.Second
	checksAtOnce = 8 // of each control plane
)

// The uses of sealed tokens.
const (
	sealRefresh = "refresh "
	sealIDToken = "id token "
)

// Poller asks the provider about sessions. Of several control planes each does
// a part of them.
type Poller struct {
	Service  *controlplane.Service
	Provider *Provider
	Sealer   *Sealer
	Log      *zap.Logger
}

// Run polls until ctx ends.
func (p *Poller) Run(ctx context.Context) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		if err := p.Sweep(ctx); err != nil && ctx.Err() == nil {
			p.Log.Warn("sessions were not checked with the provider; they go on", zap.Error(err))
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// Sweep asks about all sessions that are due. It ends where the provider does
// not answer: all go on then, until their own end.
func (p *Poller) Sweep(ctx context.Context) error {
	before := p.Provider.Now().Add(-checkEvery)
	for page := (controlplane.Page{Limit: 1000}); ; {
		list, err := p.Service.Store.Sessions(ctx, page)
		if err != nil {
			return err
		}
		if err := p.checkAll(ctx, list.Items, before); err != nil {
			return err
		}
		if list.NextAfter == "" {
			return nil
		}
		page.After, page.Revision = list.NextAfter, list.Revision
	}
}

// checkAll asks about those that are due, some at once, until one fails.
func (p *Poller) checkAll(ctx context.Context, sessions []*controlplane.Session, before time.Time) error {
	var all sync.WaitGroup
	room, failed := make(chan struct{}, checksAtOnce), make(chan error, 1)
	for _, session := range sessions {
		if len(session.Refresh) == 0 || !session.CheckedAt.Before(before) {
			continue
		}
		room <- struct{}{}
		if len(failed) > 0 {
			break
		}
		all.Go(func() {
			defer func() { <-room }()
			if err := p.check(ctx, session.ID, before); err != nil {
				select {
				case failed <- err:
				default: // the first one says it
				}
			}
		})
	}
	all.Wait()
	close(failed)
	return <-failed
}

// check asks about one session, if no other control plane does.
func (p *Poller) check(ctx context.Context, id string, before time.Time) error {
	session, err := p.Service.ClaimCheck(ctx, id, before)
	if err != nil || session == nil {
		return err
	}
	refresh, err := p.Sealer.Open(sealRefresh+id, session.Refresh)
	if err != nil {
		return p.Service.EndSession(ctx, id, "its refresh token cannot be read")
	}
	// A refresh token that rotates is lost with an answer that nobody awaits.
	asked, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*providerLimit)
	defer cancel()
	grant, err := p.Provider.Refresh(asked, string(refresh))
	if errors.Is(err, ErrEnded) {
		return p.Service.EndSession(asked, id, "the provider has ended it")
	}
	if err != nil {
		return err
	}
	sealedRefresh, sealedID, err := p.Sealer.sealTokens(id, grant)
	if err != nil {
		return err
	}
	return p.Service.Renewed(asked, id, &grant.Who, sealedRefresh, sealedID)
}

// sealTokens seals what a session keeps of a grant; nil where there is nothing.
func (s *Sealer) sealTokens(id string, g *Grant) (refresh, idToken []byte, err error) {
	if g.Refresh != "" {
		if refresh, err = s.Seal(sealRefresh+id, []byte(g.Refresh)); err != nil {
			return nil, nil, err
		}
	}
	if g.IDToken != "" {
		idToken, err = s.Seal(sealIDToken+id, []byte(g.IDToken))
	}
	return refresh, idToken, err
}

// NewSession is the session of a grant. With a refresh token it lasts as long as
// any, and is asked about; without one as long as the ID token.
func (s *Sealer) NewSession(id string, g *Grant, now time.Time) (*controlplane.NewSession, error) {
	n := &controlplane.NewSession{ID: id, ProviderSession: g.Session, ExpiresAt: now.Add(controlplane.SessionLife)}
	if g.Refresh == "" && g.Expires.Before(n.ExpiresAt) {
		n.ExpiresAt = g.Expires
	}
	var err error
	n.Refresh, n.IDToken, err = s.sealTokens(id, g)
	return n, err
}

// IDToken is the ID token of a session; empty where it has none.
func (s *Sealer) IDToken(session *controlplane.Session) string {
	raw, err := s.Open(sealIDToken+session.ID, session.IDToken)
	if err != nil {
		return ""
	}
	return string(raw)
}
