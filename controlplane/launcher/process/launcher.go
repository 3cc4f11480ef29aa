//go:build linux

package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"sync"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/facts"
)

var errClosed = errors.New("the process launcher is closed")

// Launcher runs instances as processes of this machine.
type Launcher struct {
	cfg    Config
	folder string // names DataDir in markers
	lock   *os.File
	facts  *facts.Hub
	ports  *ports
	python *interpreter
	envs   *environments

	// ctx ends with Close. Whatever runs for the launcher is in running.
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu        sync.Mutex
	closed    bool
	instances map[string]*instance
}

var _ launcher.Launcher = (*Launcher)(nil)

// New opens the data folder, adopts the processes that an earlier launcher of
// it left, and kills those that nothing on disk accounts for.
func New(cfg Config) (*Launcher, error) {
	cfg = cfg.withDefaults()
	if cfg.DataDir == "" || cfg.Unpack == nil {
		return nil, errors.New("open the process launcher: Config.DataDir and Config.Unpack are required")
	}
	l, err := open(cfg)
	if err != nil {
		return nil, fmt.Errorf("open the process launcher: %w", err)
	}
	if err := l.adoptAll(); err != nil {
		return nil, errors.Join(fmt.Errorf("open the process launcher: %w", err), l.Close(context.Background(), false, 0))
	}
	l.running.Go(l.boundLogs)
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
	lock, err := lockFolder(dir, cfg.LockTimeout)
	if err != nil {
		return nil, err
	}
	l := &Launcher{
		cfg:       cfg,
		lock:      lock,
		facts:     facts.New(),
		ports:     newPorts(),
		instances: map[string]*instance{},
	}
	if l.folder, err = folderID(dir); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	l.python = newInterpreter(cfg)
	l.envs = newEnvironments(cfg, l.folder)
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l, nil
}

// Start begins to run w.
func (l *Launcher) Start(ctx context.Context, w launcher.Workload) error {
	if err := checkID(w.InstanceID); err != nil {
		return err
	}
	if w.Generation <= 0 || w.App == nil {
		return fmt.Errorf("start instance %s: a workload has an App and a Generation above 0", w.InstanceID)
	}
	if reasons := l.Check(w.App); len(reasons) > 0 {
		return &launcher.StartError{Reason: reasons[0]}
	}
	if w.HealthTimeout <= 0 {
		w.HealthTimeout = defaultHealthTimeout
	}
	if w.StopGrace <= 0 {
		w.StopGrace = defaultStopGrace
	}
	return l.within(ctx, w.InstanceID, func(i *instance) error { return i.start(w) })
}

// Stop ends the instance's workload of this generation or an older one. When
// ctx ends first, the stop goes on without the caller.
func (l *Launcher) Stop(ctx context.Context, instanceID string, generation int64, grace time.Duration) error {
	if err := checkID(instanceID); err != nil {
		return err
	}
	return l.within(ctx, instanceID, func(i *instance) error { return i.stop(ctx, generation, grace) })
}

// Remove stops the workload at once and deletes the instance's folder.
func (l *Launcher) Remove(ctx context.Context, instanceID string) error {
	if err := checkID(instanceID); err != nil {
		return err
	}
	return l.within(ctx, instanceID, func(i *instance) error { return i.remove(ctx) })
}

// Observe streams facts until ctx or the launcher ends.
func (l *Launcher) Observe(ctx context.Context) <-chan launcher.Fact { return l.facts.Observe(ctx) }

// Logs opens what the instance wrote. It ends with the launcher, too.
func (l *Launcher) Logs(ctx context.Context, instanceID string, o launcher.LogOptions) (io.ReadCloser, error) {
	if err := checkID(instanceID); err != nil {
		return nil, err
	}
	i, err := l.instance(instanceID)
	if err != nil {
		return nil, err
	}
	return i.logs.open(ctx, o)
}

// Close ends what runs for the launcher and gives the data folder free. A
// second call does nothing.
func (l *Launcher) Close(ctx context.Context, stopWorkloads bool, grace time.Duration) error {
	l.mu.Lock()
	if l.closed {
		l.mu.Unlock()
		return nil
	}
	l.closed = true
	instances := make([]*instance, 0, len(l.instances))
	for _, i := range l.instances {
		instances = append(instances, i)
	}
	l.mu.Unlock()

	var err error
	if stopWorkloads {
		err = stopAll(ctx, instances, grace)
	}
	l.cancel()
	l.running.Wait()
	for _, i := range instances {
		i.logs.end()
	}
	l.facts.Close()
	return errors.Join(err, l.lock.Close())
}

func stopAll(ctx context.Context, instances []*instance, grace time.Duration) error {
	for _, i := range instances {
		if r := i.current(); r != nil {
			r.stop(grace)
		}
	}
	for _, i := range instances {
		if r := i.current(); r != nil {
			if err := r.await(ctx); err != nil {
				return fmt.Errorf("stop workloads: %w", err)
			}
		}
	}
	return nil
}

// within calls f with the instance. Where a removal is under way, it waits for
// its end and begins with what comes after it.
func (l *Launcher) within(ctx context.Context, id string, f func(*instance) error) error {
	for {
		i, err := l.instance(id)
		if err != nil {
			return err
		}
		if err = f(i); !errors.Is(err, errRemoving) {
			return err
		}
		select {
		case <-i.removal():
		case <-ctx.Done():
			return fmt.Errorf("await removal of instance %s: %w", id, ctx.Err())
		}
	}
}

// instance finds the instance, or begins one that has nothing on disk.
func (l *Launcher) instance(id string) (*instance, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errClosed
	}
	i, ok := l.instances[id]
	if !ok {
		i = newInstance(l, id)
		l.instances[id] = i
	}
	return i, nil
}

// launch runs f as a part of the launcher, unless that is closed.
func (l *Launcher) launch(f func()) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return errClosed
	}
	l.running.Go(f)
	return nil
}

var idPattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)

// checkID keeps instance IDs usable as names of folders and in markers.
func checkID(id string) error {
	if !idPattern.MatchString(id) {
		return controlplane.Errorf(controlplane.CodeInvalid, "%q is not an instance ID", id)
	}
	return nil
}
