package controlplane

import (
	"context"
	"io"
	"sync"
	"time"
)

// Config is what a Service works with. All fields but ReservedAliases, Changes,
// Quotas, Vault, Provider, Offers and Now are required.
type Config struct {
	Store Store
	// Edges knows the live edges.
	Edges EdgeStore
	// Leaders knows which control plane leads.
	Leaders LeaderStore
	// Changes is what an edge of this process learnt of the routes, for the lag
	// of others.
	Changes *Changes
	// Happenings has the events of instances.
	Happenings EventStore
	Blobs      Blobs
	// ReadBundle checks an archive and reads what an app is made of (package
	// bundle).
	ReadBundle func(ctx context.Context, archive io.ReaderAt, size int64) (ReadBundle, error)
	// ReadMeta reads what an archive that was checked says of itself (package
	// bundle).
	ReadMeta func(archive io.ReaderAt, size int64) (*BundleMeta, error)
	// Access decides who may do what (package access), Rights what the provider's
	// roles mean.
	Access Access
	Rights Rights
	// Quotas bound what users have and start.
	Quotas Quotas
	// Vault seals the values of secrets; nil: there are none (setting secret_keys).
	Vault Vault
	// Sleep says when instances go to sleep.
	Sleep SleepSettings
	// Passes signs what edges check by themselves.
	Passes Passes
	// Provider is the issuer of the OpenID provider; empty without one.
	Provider string
	// ReadInstanceToken tells whose an instance's own token is; false where it is
	// nobody's (identity.ReadInstanceToken).
	ReadInstanceToken func(token string) (instanceID string, generation int64, ok bool)
	// SignBundleLink is the signature of a start's link to its bundle
	// (identity.SignBundleLink).
	SignBundleLink func(BundleLink) string
	// Launchers are asked whether an app can run, by its mode.
	Launchers LauncherSet
	// Offers are what apps can ask for; nil: nothing.
	Offers Offers
	// RoutingMode is for apps that name none (setting routing_mode).
	RoutingMode RoutingMode
	// MaxUpload is the size of the largest archive, in bytes.
	MaxUpload int64
	// ReservedAliases may not be created (setting reserved_aliases).
	ReservedAliases []string
	// Now is the clock.
	Now func() time.Time
}

// LauncherSet picks and asks launchers.
type LauncherSet interface {
	// Launcher names the launcher that runs apps of this mode; empty if none.
	Launcher(mode AppMode) string
	// Check says why this app could not run, or nothing.
	Check(app *App) []Reason
}

// Service has a method for each thing that users can ask for.
type Service struct {
	Config
	bundles sync.Mutex    // held from a commit until its record is written: file locks, which keep others out, are not everywhere
	checks  chan struct{} // holds one for each archive that is being checked
	limits  limits
}

// NewService makes a service.
func NewService(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Offers == nil {
		c.Offers = nothingOffered{}
	}
	return &Service{Config: c, checks: make(chan struct{}, checksAtOnce)}
}

// now is the time to the microsecond, in UTC: what records hold.
func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }
