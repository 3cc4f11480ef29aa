package controlplane

import (
	"context"
	"io"
	"strings"
	"sync"
	"time"
)

// Config is what a Service works with. All fields but ReservedAliases, Changes,
// Provider and Now are required.
type Config struct {
	Store Store
	// Edges knows the live edges.
	Edges EdgeStore
	// Changes is what an edge of this process learnt of the routes, for the lag
	// of others.
	Changes *Changes
	Blobs   Blobs
	// ReadBundle checks an archive and reads its manifest (package bundle).
	ReadBundle func(ctx context.Context, archive io.ReaderAt, size int64) (Manifest, []Fault, error)
	// Access decides who may do what (package access), Rights what the provider's
	// roles mean.
	Access Access
	Rights Rights
	// Passes signs what edges check by themselves.
	Passes Passes
	// Provider is the issuer of the OpenID provider; empty without one.
	Provider string
	// Launchers are asked whether an app can run, by its mode.
	Launchers LauncherSet
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
	bundles sync.Mutex // held from a bundle's commit until its record decides its fate
	limits  limits
}

// NewService makes a service.
func NewService(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{Config: c}
}

// now is the time to the microsecond, in UTC: what records hold.
func (s *Service) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// minIDPrefix is how much of an ID people must type.
const minIDPrefix = 6

// resolve completes a unique prefix of an ID. list lists by prefix.
func resolve[T any](ctx context.Context, kind, id string, list func(context.Context, Page) (List[T], error), idOf func(T) string) (string, error) {
	id = strings.ToLower(id)
	if len(id) == 36 {
		return id, nil
	}
	if len(id) < minIDPrefix || len(id) > 36 || strings.Trim(id, "0123456789abcdef-") != "" {
		return "", Errorf(CodeNotFound, "no %s %q", kind, id).
			WithHint("give its ID, or at least the first %d characters of it; slipway %s list shows them", minIDPrefix, kind)
	}
	found, err := list(ctx, Page{Prefix: id, Limit: 5})
	if err != nil {
		return "", err
	}
	switch len(found.Items) {
	case 0:
		return "", Errorf(CodeNotFound, "no %s %q", kind, id).WithHint("slipway %s list shows them", kind)
	case 1:
		return idOf(found.Items[0]), nil
	}
	candidates := make([]string, len(found.Items))
	for i, item := range found.Items {
		candidates[i] = idOf(item)
	}
	return "", Errorf(CodeInvalid, "%q begins the IDs of several %ss: %s", id, kind, strings.Join(candidates, ", ")).
		WithHint("give more of the ID")
}

func (s *Service) resolveApp(ctx context.Context, id string) (string, error) {
	return resolve(ctx, "app", id, s.Store.Apps, func(a *App) string { return a.ID })
}

func (s *Service) resolveInstance(ctx context.Context, id string) (string, error) {
	return resolve(ctx, "instance", id, s.Store.Instances, func(in *Instance) string { return in.ID })
}
