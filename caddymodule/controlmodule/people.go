package controlmodule

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/caddymodule"
	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/api"
	"github.com/seed-dbc68772/slipway/controlplane/console"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
)

// people is what knows who people are.
type people struct {
	deps     caddymodule.ControlPlaneDeps
	rights   controlplane.Rights
	keys     *identity.Keyring
	sealer   *identity.Sealer
	provider *identity.Provider // nil: one-time links
}

// newPeople reads keys and files. The provider is asked nothing yet: one that
// is down keeps nobody from starting.
func newPeople(ctx context.Context, d caddymodule.ControlPlaneDeps) (*people, error) {
	p := &people{deps: d, rights: controlplane.Rights{AdminRole: d.Settings.AdminRole, FullRole: d.Settings.FullAccessRole}}
	key, err := d.Store.SigningKey(ctx, "login")
	if err != nil {
		return nil, fmt.Errorf("read sealing key: %w", err)
	}
	if p.sealer, err = identity.NewSealer(key); err != nil {
		return nil, err
	}
	if p.keys, err = identity.NewKeyring(ctx, d.Store, time.Now); err != nil {
		return nil, err
	}
	o := d.Settings.OIDC
	if o == nil {
		return p, controlplane.EnsureLocalAdmin(ctx, d.Store, time.Now)
	}
	p.provider, err = identity.NewProvider(identity.ProviderConfig{
		Issuer: o.Issuer, ClientID: o.ClientID, SecretFile: o.ClientSecretFile, Scopes: o.Scopes, CA: o.CA,
		RolesClaim: d.Settings.RolesClaim, RedirectURL: d.Site.ConsoleURL() + "callback", Now: time.Now,
	})
	return p, err
}

func (p *people) issuer() string {
	if p.provider == nil {
		return ""
	}
	return p.provider.Issuer
}

// run rotates keys and asks the provider about sessions until ctx ends.
func (p *people) run(ctx context.Context, group *sync.WaitGroup, service *controlplane.Service) {
	log := p.deps.Log.Named("identity")
	group.Go(func() {
		p.keys.Run(ctx, func(err error) { log.Error("keys were not rotated; the old ones go on", zap.Error(err)) })
	})
	if p.provider != nil {
		poller := identity.Poller{Service: service, Provider: p.provider, Sealer: p.sealer, Log: log}
		group.Go(func() { poller.Run(ctx) })
	}
}

// handlers are the API of the base domain, and the console's host with an API
// of its own: there alone cookies count.
func (p *people) handlers(service *controlplane.Service, c api.Config) (base, host http.Handler) {
	sessions := console.NewSessions(service, p.deps.Site)
	base = api.New(c)
	c.Session = sessions.Actor
	return base, console.New(console.Config{
		Service: service, Site: p.deps.Site, API: api.New(c), Sessions: sessions, Provider: p.provider, Sealer: p.sealer,
		Log: p.deps.Log.Named("console"),
	})
}

func (p *people) close() {
	if p.provider != nil {
		p.provider.Close()
	}
}
