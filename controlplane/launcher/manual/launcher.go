package manual

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/facts"
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

var errClosed = errors.New("the manual launcher is closed")

// Launcher watches addresses.
type Launcher struct {
	cfg  Config
	turn sync.Mutex // of Lead, Resign and Close, one at a time

	mu     sync.Mutex
	closed bool
	epoch  int64 // the largest that it has led with
	term   *term // nil: it does not lead
}

// term is the time that a launcher leads.
type term struct {
	cfg   Config
	facts *facts.Hub

	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu        sync.Mutex
	ended     error // why it is over; nil while it goes on
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
	return &Launcher{cfg: cfg}
}

// Lead begins with nothing to watch: the control plane starts again what should
// run. Others who lead elsewhere are not known here; what they watch harms
// nobody.
func (l *Launcher) Lead(_ context.Context, epoch int64) error {
	l.turn.Lock()
	defer l.turn.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return errClosed
	case l.term != nil:
		return fmt.Errorf("lead the manual launcher: it leads already, with epoch %d", l.epoch)
	case epoch < 1:
		return fmt.Errorf("lead the manual launcher: epoch %d is not above 0", epoch)
	case epoch < l.epoch:
		return fmt.Errorf("lead the manual launcher: epoch %d after %d: %w", epoch, l.epoch, launcher.ErrFenced)
	}
	t := &term{cfg: l.cfg, facts: facts.New(), instances: map[string]*instance{}}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	l.epoch, l.term = epoch, t
	return nil
}

// Resign forgets all workloads; what answers goes on.
func (l *Launcher) Resign() {
	l.turn.Lock()
	defer l.turn.Unlock()
	l.resign(launcher.ErrNotLeading)
}

func (l *Launcher) resign(why error) {
	l.mu.Lock()
	t := l.term
	l.term = nil
	l.mu.Unlock()
	if t == nil {
		return
	}
	t.mu.Lock()
	t.ended = why
	t.mu.Unlock()
	t.cancel()
	t.running.Wait()
	t.facts.Close()
}

// leading returns the term of a launcher that leads.
func (l *Launcher) leading() (*term, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.closed:
		return nil, errClosed
	case l.term == nil:
		return nil, launcher.ErrNotLeading
	}
	return l.term, nil
}

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
	term, err := l.leading()
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
	i.watch = next
	term.running.Go(next.loop)
	return nil
}

// Stop forgets the instance's workload of this generation or an older one.
func (l *Launcher) Stop(ctx context.Context, instanceID string, generation int64, _ time.Duration) error {
	t, err := l.leading()
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
	t, err := l.leading()
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
		t.facts.Forget(instanceID)
	}
	return nil
}

// Observe streams facts until ctx, the launcher or its lead ends.
func (l *Launcher) Observe(ctx context.Context) <-chan launcher.Fact {
	t, err := l.leading()
	if err != nil {
		none := make(chan launcher.Fact)
		close(none)
		return none
	}
	return t.facts.Observe(ctx)
}

// Logs are empty: what answers writes its logs elsewhere.
func (l *Launcher) Logs(context.Context, string, launcher.LogOptions) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("")), nil
}

// Close ends all probes.
func (l *Launcher) Close(context.Context, bool, time.Duration) error {
	l.turn.Lock()
	defer l.turn.Unlock()
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.resign(errClosed)
	return nil
}

// see finds or begins the instance and fences what is older. The caller holds
// mu.
func (t *term) see(id string, generation int64) (*instance, error) {
	if t.ended != nil {
		return nil, t.ended
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
