//go:build linux

package process

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/lead"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/hand"
)

// Launcher runs instances as processes of this machine.
type Launcher struct {
	base

	// ctx ends with Close; readers of logs end with it.
	ctx    context.Context
	cancel context.CancelFunc

	lead lead.Holder[*term]
}

// base is what a launcher is and has, whether it leads or not.
type base struct {
	cfg    Config
	folder string // names DataDir in markers
	*isolation
	python *interpreter
	reaper *reaper
}

var (
	_ launcher.Launcher = (*Launcher)(nil)
	_ launcher.Placed   = (*Launcher)(nil)
)

// New opens the data folder. It acts on nothing there before it leads.
func New(cfg Config) (*Launcher, error) {
	cfg = cfg.withDefaults()
	if cfg.DataDir == "" || cfg.Unpack == nil {
		return nil, errors.New("open the process launcher: Config.DataDir and Config.Unpack are required")
	}
	l, err := open(cfg)
	if err != nil {
		return nil, fmt.Errorf("open the process launcher: %w", err)
	}
	return l, nil
}

func open(cfg Config) (*Launcher, error) {
	dir, err := filepath.Abs(cfg.DataDir)
	if err != nil {
		return nil, fmt.Errorf("find data folder: %w", err)
	}
	for _, d := range []string{dir, filepath.Join(dir, "instances"), filepath.Join(dir, "envs")} {
		if err := os.MkdirAll(d, 0o700); err != nil && !os.IsExist(err) {
			return nil, fmt.Errorf("make data folder: %w", err)
		}
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, fmt.Errorf("find data folder: %w", err)
	}
	cfg.DataDir = dir
	if cfg.Self == "" {
		if cfg.Self, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("find own program: %w", err)
		}
	}
	l := &Launcher{base: base{cfg: cfg, reaper: newReaper()}, lead: lead.Holder[*term]{Name: "process"}}
	a, err := l.order(hand.Order{Name: &hand.Name{Wanted: rand.Text()}})
	if err != nil {
		return nil, fmt.Errorf("name data folder: %w", err)
	}
	l.folder = a.Name
	if l.isolation, err = newIsolation(context.Background(), cfg, a.Name); err != nil {
		return nil, err
	}
	l.python = newInterpreter(cfg, l.mayExecute)
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l, nil
}

// Place names the data folder. A copy of it has another name.
func (l *Launcher) Place(context.Context) (string, error) { return l.folder, nil }

// Lead makes this launcher the one that acts on the data folder. Processes that
// an earlier one left go on, and those that nothing on disk accounts for are
// killed. It is refused with launcher.ErrFenced where one with a larger epoch
// has led. An equal epoch is taken over as a smaller one is.
func (l *Launcher) Lead(ctx context.Context, epoch int64) error {
	return l.lead.Lead(epoch, func() (*term, error) {
		t := newTerm(l, epoch)
		if err := t.begin(ctx); err != nil {
			t.End(launcher.ErrNotLeading)
			return nil, err
		}
		return t, nil
	})
}

// Resign ends what Lead began. Workloads go on.
func (l *Launcher) Resign() { l.lead.Resign() }

// Start begins to run w.
func (l *Launcher) Start(ctx context.Context, w launcher.Workload) error {
	if err := checkID(w.InstanceID); err != nil {
		return err
	}
	if err := w.Complete(); err != nil {
		return fmt.Errorf("start instance %s: %w", w.InstanceID, err)
	}
	t, err := l.leading()
	if err != nil {
		return fmt.Errorf("start instance %s: %w", w.InstanceID, err)
	}
	if reasons := l.Check(w.App); len(reasons) > 0 {
		return &launcher.StartError{Reason: reasons[0]}
	}
	return t.within(ctx, w.InstanceID, func(i *instance) error { return i.start(w) })
}

// Stop ends the instance's workload of this generation or an older one. When
// ctx ends first, the stop goes on without the caller.
func (l *Launcher) Stop(ctx context.Context, instanceID string, generation int64, grace time.Duration) error {
	if err := checkID(instanceID); err != nil {
		return err
	}
	t, err := l.leading()
	if err != nil {
		return fmt.Errorf("stop instance %s: %w", instanceID, err)
	}
	return t.within(ctx, instanceID, func(i *instance) error { return i.stop(ctx, generation, grace) })
}

// Remove stops the workload at once and deletes the instance's folder.
func (l *Launcher) Remove(ctx context.Context, instanceID string) error {
	if err := checkID(instanceID); err != nil {
		return err
	}
	t, err := l.leading()
	if err != nil {
		return fmt.Errorf("remove instance %s: %w", instanceID, err)
	}
	return t.within(ctx, instanceID, func(i *instance) error { return i.remove(ctx) })
}

// Observe streams facts until ctx, the launcher or its lead ends.
func (l *Launcher) Observe(ctx context.Context) <-chan launcher.Fact { return l.lead.Observe(ctx) }

// Logs opens what the instance wrote, whoever leads. It ends with the
// launcher, too.
func (l *Launcher) Logs(ctx context.Context, instanceID string, o launcher.LogOptions) (io.ReadCloser, error) {
	if err := checkID(instanceID); err != nil {
		return nil, err
	}
	if l.ctx.Err() != nil {
		return nil, lead.ErrClosed
	}
	return openLog(ctx, l.ctx, l.instanceDir(instanceID), o)
}

// Close ends what runs for the launcher. Workloads go on unless it leads and
// is to stop them. A second call does nothing.
func (l *Launcher) Close(ctx context.Context, stopWorkloads bool, grace time.Duration) error {
	err := l.lead.Close(func(t *term) error {
		if !stopWorkloads {
			return nil
		}
		err := t.stopAll(ctx, grace)
		if errors.Is(err, launcher.ErrFenced) {
			return nil // they are another's
		}
		return errors.Join(err, l.settleRules(false))
	})
	l.reaper.close()
	l.cancel()
	return err
}

// leading returns the term of a launcher that leads. Who has led since is told
// by the folder: without its lock this only saves work, and hands decide.
func (l *Launcher) leading() (*term, error) {
	t, err := l.lead.Term()
	if err != nil {
		return nil, err
	}
	if present, err := hand.ReadLeader(l.cfg.DataDir); err == nil && present != t.leader {
		t.fence()
	}
	err = t.Over()
	return t, err
}

func (b *base) instanceDir(id string) string { return filepath.Join(b.cfg.DataDir, "instances", id) }

// at tells a test how far an act has come.
func (b *base) at(step string) {
	if b.cfg.reached != nil {
		b.cfg.reached(step)
	}
}

var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// checkID keeps instance IDs usable as names of folders and in markers.
func checkID(id string) error {
	if !idPattern.MatchString(id) {
		return controlplane.Errorf(controlplane.CodeInvalid, "%q is not an instance ID", id)
	}
	return nil
}
