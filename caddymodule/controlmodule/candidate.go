package controlmodule

import (
	"context"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/api"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
	"github.com/seed-dbc68772/slipway/controlplane/lifecycle"
)

// candidate is a control plane as one that would lead.
type candidate struct {
	*running
	config controlplane.Config // of a service
	key    []byte              // that signs instances' own tokens
	log    *zap.Logger

	appsChecked time.Duration // between one check of all apps and the next

	followed string // who led when we looked last
}

// campaign leads whenever it is this control plane's turn, until ctx ends. One
// whose launchers have other workloads than the records' leaves it to others.
func (c *candidate) campaign(ctx context.Context) {
	for c.awaitPlaces(ctx) {
		standing, leave := context.WithCancel(ctx)
		c.Store.Campaign(standing, controlplane.Candidate{
			Name: c.Name, Address: c.Address, Follow: c.follow,
			Lead: func(ctx context.Context, l controlplane.Leadership) {
				if err := c.lead(ctx, l); err != nil && ctx.Err() == nil {
					c.log.Error("this control plane cannot lead", zap.Int64("epoch", l.Epoch), zap.Error(err))
					leave()
				}
			},
		})
		leave()
		if ctx.Err() == nil { // it could not lead: let others try
			pause(ctx, placeLook)
		}
	}
}

func (c *candidate) follow(leader string) {
	if leader != c.followed {
		c.followed = leader
		c.log.Info("another control plane leads", zap.String("name", leader))
	}
	c.settled.open()
}

// lead does what one control plane at a time does, until ctx ends. An error says
// why it cannot.
func (c *candidate) lead(ctx context.Context, l controlplane.Leadership) error {
	c.followed = ""
	defer c.settled.open()
	defer c.resign()
	if err := c.takeOver(ctx, l); err != nil {
		return err
	}
	c.log.Info("this control plane leads", zap.Int64("epoch", l.Epoch))
	manager := lifecycle.New(lifecycle.Config{
		Store: l.Store, Watcher: c.Store, Blobs: c.blobs, Launchers: c.launchers, Site: c.Site,
		Secrets:      controlplane.SecretResolver{Store: l.Store, Vault: c.config.Vault, Rights: c.config.Rights},
		Token:        func(id string, generation int64) string { return identity.InstanceToken(c.key, id, generation) },
		BundleTarget: func(l controlplane.BundleLink) string { return api.BundleTarget(l, c.config.SignBundleLink(l)) },
		Edges:        c.Store, Activity: c.Store, Sleep: c.config.Sleep, Drain: time.Duration(c.Settings.Drain),
		StartsAtOnce: int(c.Settings.StartsAtOnce), Rights: c.config.Rights, Now: time.Now,
		Starts: lifecycle.StartLimits{
			User: int(c.Settings.StartsPerUser), Source: int(c.Settings.StartsPerSource), Anonymous: int(c.Settings.AnonymousStarts),
		},
		HealthTimeout: time.Duration(c.Settings.HealthTimeout), StopGrace: c.grace, Observer: observer{c.counts, c.tracer},
		WaveClient: waveClient(c.Settings.OIDC),
		Log:        c.Log.Named("lifecycle"),
	})
	defer c.counts.leads(l.Epoch, manager)()
	chores := make(chan struct{})
	go func() { // awaited below
		defer close(chores)
		c.chores(ctx, l.Store)
		select {
		case <-manager.Settled():
			c.settled.open()
		case <-ctx.Done():
		}
		var checks sync.WaitGroup
		defer checks.Wait()
		checks.Go(func() { c.checkApps(ctx, l.Store) })
		for {
			pause(ctx, sweepEvery)
			if ctx.Err() != nil {
				return
			}
			c.sweep(ctx, l.Store)
		}
	}()
	manager.Run(ctx)
	<-chores
	return nil
}

// resign ends the work of the launchers here. Those whose workloads end with
// this process end them now, while nobody else starts them again.
func (c *candidate) resign() {
	if c.ending.Load() {
		err := c.closeLaunchers(func(name string) bool { return c.modules[name].StopOnExit() }, true)
		if err != nil {
			c.log.Error("some instances did not end", zap.Error(err))
		}
	}
	for _, l := range c.launchers {
		l.Resign()
	}
}

// chores are what a new leader puts in order: settings that all edges obey, and
// what a killed control plane left half-way.
func (c *candidate) chores(ctx context.Context, store controlplane.Store) {
	config := c.config
	config.Store = store
	service := controlplane.NewService(config)
	c.insist(ctx, "publish settings", func(ctx context.Context) error { return c.publish(ctx, store) })
	c.insist(ctx, "take back that nobody starts anything", func(ctx context.Context) error { return c.tellStarts(ctx, store, "") })
	c.insist(ctx, "finish changes of tags", service.MendTags)
	c.sweep(ctx, store)
}

// sweepEvery is how often imports are looked for that nobody finishes: the store
// was away when one should have been, or another control plane was killed.
const sweepEvery = time.Minute

func (c *candidate) sweep(ctx context.Context, store controlplane.Store) {
	config := c.config
	config.Store = store
	c.insist(ctx, "finish imports", controlplane.NewService(config).Sweep)
}

// checkAppsEvery is how often the leader checks whether apps can be run (spec
// apps.md §3).
const checkAppsEvery = 10 * time.Minute

// checkApps checks that at once, and again and again until ctx ends.
func (c *candidate) checkApps(ctx context.Context, store controlplane.Store) {
	config := c.config
	config.Store = store
	service := controlplane.NewService(config)
	for ctx.Err() == nil {
		c.insist(ctx, "check whether apps can be run", service.CheckApps)
		pause(ctx, c.appsChecked)
	}
}

// publish publishes the settings that all edges obey: of control planes that
// differ, the leader's.
func (c *candidate) publish(ctx context.Context, store controlplane.Store) error {
	settings := controlplane.EdgeSettings{BaseURLSharing: *c.Settings.BaseURLSharing, PublicMode: c.Settings.PublicMode}
	var before *controlplane.EdgeSettings
	_, err := store.Update(ctx, func(tx controlplane.Tx) (err error) {
		before, err = tx.EdgeSettings()
		if err == nil && (before == nil || *before != settings) {
			tx.PutEdgeSettings(settings)
		}
		return err
	})
	if err != nil {
		return err
	}
	if before != nil && *before != settings {
		c.log.Warn("edges obey this control plane's settings now; where others have different ones, give all the same",
			zap.Any("before", before), zap.Any("now", settings))
	}
	if settings.BaseURLSharing {
		c.log.Warn("base_url_sharing is on: all apps of mode BASE_URL share one origin, and each can act in the others as its visitor")
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}
