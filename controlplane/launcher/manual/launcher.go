package manual

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/lead"
)

// Config is what a manual launcher needs. Its zero value allows no address.
type Config struct {
	// Allow are the networks that addresses may lie in. Loopback, link-local and
	// metadata addresses need one that lies within such a range.
	Allow []netip.Prefix
	// Deny refuses addresses of Allow, such as the control plane's own ports.
	Deny func(netip.AddrPort) bool
	// Resolver resolves host names; nil is the default one.
	Resolver *net.Resolver
	// Interval is the time between two probes of a ready workload; 0 is 5 s.
	Interval time.Duration
}

// failures is how many probes in a row fail before a ready workload has ended.
const failures = 3

// Launcher watches addresses.
type Launcher struct {
	cfg  Config
	lead lead.Holder[*term]
	// epoch is the largest that it has led with; Lead alone knows it.
	epoch int64
}

// term is the time that a launcher leads.
type term struct {
	*lead.Term
	cfg Config

	mu        sync.Mutex
	instances map[string]*instance
}

// instance is the newest generation seen and its watch, nil when stopped.
type instance struct {
	generation int64
	watch      *watch
}

var _ launcher.Launcher = (*Launcher)(nil)

// New returns a launcher that watches nothing yet.
func New(cfg Config) *Launcher {
	if cfg.Resolver == nil {
		cfg.Resolver = net.DefaultResolver
	}
	if cfg.Interval == 0 {
		cfg.Interval = 5 * time.Second
	}
	return &Launcher{cfg: cfg, lead: lead.Holder[*term]{Name: "manual"}}
}

// Lead begins with nothing to watch: the control plane starts again what should
// run. Others who lead elsewhere are not known here; what they watch harms
// nobody.
func (l *Launcher) Lead(_ context.Context, epoch int64) error {
	return l.lead.Lead(epoch, func() (*term, error) {
		if epoch < l.epoch {
			return nil, fmt.Errorf("epoch %d after %d: %w", epoch, l.epoch, launcher.ErrFenced)
		}
		l.epoch = epoch
		return &term{Term: lead.New(), cfg: l.cfg, instances: map[string]*instance{}}, nil
	})
}

// Resign forgets all workloads; what answers goes on.
func (l *Launcher) Resign() { l.lead.Resign() }

// Check says why an app could not be reached. Host names are looked at when
// they are probed, since Check is to be cheap.
func (l *Launcher) Check(app *controlplane.App) []controlplane.Reason {
	if app.AppMode != controlplane.Manual {
		return []controlplane.Reason{{
			Code: controlplane.LauncherDown,
			Text: fmt.Sprintf("apps of mode %s cannot be run by the launcher manual", app.AppMode),
		}}
	}
	t, err := parseTarget(app.Manifest.Runtime.Address)
	if err == nil {
		if ip, ipErr := netip.ParseAddr(t.host); ipErr == nil {
			err = l.cfg.permit(netip.AddrPortFrom(ip.Unmap(), t.port))
		}
	}
	if err != nil {
		return []controlplane.Reason{refusal(err)}
	}
	return nil
}

// Start begins to probe w's address.
func (l *Launcher) Start(_ context.Context, w launcher.Workload) error {
	if err := w.Complete(); err != nil {
		return fmt.Errorf("start instance: %w", err)
	}
	if reasons := l.Check(w.App); len(reasons) > 0 {
		return &launcher.StartError{Reason: reasons[0]}
	}
	t, err := parseTarget(w.App.Manifest.Runtime.Address)
	if err != nil {
		return &launcher.StartError{Reason: refusal(err)}
	}
	term, err := l.lead.Term()
	if err != nil {
		return fmt.Errorf("start instance %s: %w", w.InstanceID, err)
	}
	term.mu.Lock()
	defer term.mu.Unlock()
	i, err := term.see(w.InstanceID, w.Generation)
	if err != nil {
		return fmt.Errorf("start instance %s: %w", w.InstanceID, err)
	}
	if old := i.watch; old != nil {
		if old.w.Generation == w.Generation && !old.over() {
			return nil
		}
		old.end()
	}
	next := newWatch(term, w, t)
	if !term.Go(next.loop) {
		return fmt.Errorf("start instance %s: %w", w.InstanceID, term.Over())
	}
	i.watch = next
	return nil
}

// Stop forgets the instance's workload of this generation or an older one.
func (l *Launcher) Stop(ctx context.Context, instanceID string, generation int64, _ time.Duration) error {
	t, err := l.lead.Term()
	if err != nil {
		return fmt.Errorf("stop instance %s: %w", instanceID, err)
	}
	t.mu.Lock()
	i, err := t.see(instanceID, generation)
	if err != nil {
		t.mu.Unlock()
		return fmt.Errorf("stop instance %s: %w", instanceID, err)
	}
	w := i.watch
	t.mu.Unlock()
	return w.stop(ctx)
}

// Remove forgets the instance.
func (l *Launcher) Remove(ctx context.Context, instanceID string) error {
	t, err := l.lead.Term()
	if err != nil {
		return fmt.Errorf("remove instance %s: %w", instanceID, err)
	}
	t.mu.Lock()
	var w *watch
	if i := t.instances[instanceID]; i != nil {
		w = i.watch
	}
	t.mu.Unlock()
	if err := w.stop(ctx); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := t.instances[instanceID]; i != nil && i.watch == w {
		delete(t.instances, instanceID)
		t.Facts.Forget(instanceID)
	}
	return nil
}

// Observe streams facts until ctx, the launcher or its lead ends.
func (l *Launcher) Observe(ctx context.Context) <-chan launcher.Fact { return l.lead.Observe(ctx) }

// Logs are empty: what answers writes its logs elsewhere.
func (l *Launcher) Logs(context.Context, string, launcher.LogOptions) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("")), nil
}

// Close ends all probes.
func (l *Launcher) Close(context.Context, bool, time.Duration) error { return l.lead.Close(nil) }

// see finds or begins the instance and fences what is older. The caller holds
// mu.
func (t *term) see(id string, generation int64) (*instance, error) {
	if err := t.Over(); err != nil {
		return nil, err
	}
	i := t.instances[id]
	if i == nil {
		i = &instance{}
		t.instances[id] = i
	}
	if generation < i.generation {
		return nil, fmt.Errorf("generation %d: %w", generation, launcher.ErrFenced)
	}
	i.generation = generation
	return i, nil
}
