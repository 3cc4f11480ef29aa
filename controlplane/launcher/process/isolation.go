//go:build linux

package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"

	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine/machine"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine/netns"
	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
)

// isolation is what instances can be kept apart by on this machine.
type isolation struct {
	dir      string   // the data folder
	secret   []string // further folders that are hidden
	most     int      // processes of one instance
	shm      int64    // bytes of the /dev/shm that Runtime.EnableSHM asks for
	owner    string   // names it in control groups and rules
	able     machine.Abilities
	users    machine.Users
	networks *netns.Networks // nil, in tests: none
	exposed  []string        // files of Config.Secrets that hiding would take too much with
}

// resources is where Runtime.ResourceVolumeSize asks for a volume.
const resources = "/resources"

// newIsolation finds what is permitted here.
func newIsolation(ctx context.Context, cfg Config, folder string) (*isolation, error) {
	s := &isolation{
		dir:    cfg.DataDir,
		secret: slices.Clone(cfg.Hide),
		most:   cfg.Processes,
		shm:    cfg.SharedMemory,
		owner:  procgroup.Digest(folder),
		able:   machine.Probe(ctx, filepath.Join(cfg.DataDir, "instances")),
		users:  machine.Users{Dir: filepath.Join(cfg.DataDir, "users"), First: cfg.FirstUser, Last: cfg.LastUser},
	}
	s.keep(cfg)
	var err error
	if s.networks, err = netns.New(cfg.Network, s.owner); err != nil {
		return nil, err
	}
	if s.able.Users == nil {
		s.able.Users, err = s.enterable()
	}
	s.tell(cfg.Log)
	return s, err
}

// tell says once what apps go without on this machine, before any runs.
func (s *isolation) tell(log *zap.Logger) {
	for _, c := range []struct {
		without string
		why     error
	}{
		{"users of their own", s.able.Users},
		{"mount namespaces: those with volumes or absolute [[File]] paths are not runnable", s.able.Mounts},
		{"limits of memory", s.able.Memory},
		{"limits of CPU", s.able.CPU},
	} {
		if c.why != nil {
			log.Warn("apps run without "+c.without, zap.Error(c.why))
		}
	}
	if why := s.exposes(); why != nil {
		log.Warn(why.Text)
	}
	if s.able.Users != nil && len(s.exposed) > 0 {
		log.Warn("apps can read files that are secret; put these into a folder of their own, where no program is", zap.Strings("files", s.exposed))
	}
}

// enterable opens the data folder to the instances' users. What is in it stays
// closed to them, but for their own. no is why they have no use of it.
func (s *isolation) enterable() (no, err error) {
	blocked, err := machine.CanEnter(s.anybody(), filepath.Dir(s.dir))
	if err != nil {
		return err, nil
	}
	if blocked != "" {
		return fmt.Errorf("apps run as root, since users of their own cannot enter %s; allow it with `chmod o+x %s` and start again", blocked, blocked), nil
	}
	for _, folder := range []string{s.dir, filepath.Join(s.dir, "instances"), filepath.Join(s.dir, "envs")} {
		if err := os.Chmod(folder, 0o711); err != nil {
			return nil, fmt.Errorf("open data folder to users of instances: %w", err)
		}
	}
	return nil, nil
}

// open lets users pass through folders, where instances have their own. They
// cannot be listed.
func (s *isolation) open(folders ...string) error {
	if s.able.Users != nil {
		return nil
	}
	for _, folder := range folders {
		if err := os.Chmod(folder, 0o711); err != nil {
			return err
		}
	}
	return nil
}

// anybody stands for the user of any instance.
func (s *isolation) anybody() confine.User {
	return confine.User{UID: s.users.First, GID: s.users.First}
}

// mayExecute reports whether users of instances may execute the program.
func (s *isolation) mayExecute(program string) bool {
	return s.able.Users != nil || machine.CanExecute(s.anybody(), program)
}

// namespaced says what of the app needs a mount namespace.
func namespaced(m controlplane.Manifest) []string {
	var found []string
	if v := m.Runtime.VolumeMount; v != "" {
		found = append(found, "Runtime.VolumeMount "+v)
	}
	if v := m.Runtime.ResourceVolumeSize; v != "" {
		found = append(found, "Runtime.ResourceVolumeSize "+v)
	}
	for _, f := range m.Files {
		if path.IsAbs(f.Path) {
			found = append(found, "[[File]] "+f.Path)
		}
	}
	return found
}

// limits are those of the manifest that can be enforced here.
func (s *isolation) limits(rt controlplane.Runtime) (machine.Limits, error) {
	var l machine.Limits
	if s.able.Memory == nil && rt.MemoryLimit != "" {
		q, err := resource.ParseQuantity(rt.MemoryLimit)
		if err != nil {
			return l, fmt.Errorf("read Runtime.MemoryLimit %q: %w", rt.MemoryLimit, err)
		}
		l.Memory = q.Value()
	}
	if s.able.CPU == nil && rt.CPULimit != "" {
		q, err := resource.ParseQuantity(rt.CPULimit)
		if err != nil {
			return l, fmt.Errorf("read Runtime.CPULimit %q: %w", rt.CPULimit, err)
		}
		l.CPU = q.MilliValue()
	}
	if s.able.Processes == nil {
		l.Processes = int64(s.most)
	}
	return l, nil
}

// unenforced says which wishes of the manifest are not granted here.
func (s *isolation) unenforced(rt controlplane.Runtime, root *os.Root) []string {
	var lines []string
	say := func(wish, value string, why error) {
		if value != "" && why != nil {
			lines = append(lines, fmt.Sprintf("%s %s is not enforced by the process launcher: %v", wish, value, why))
		}
	}
	never := errors.New("it has no such means")
	say("memory limit", rt.MemoryLimit, s.able.Memory)
	say("memory reservation", rt.MemoryReservation, never)
	say("CPU limit", rt.CPULimit, s.able.CPU)
	say("CPU reservation", rt.CPUReservation, never)
	say("size of volume", rt.VolumeSize, never)
	say("size of volume", rt.ResourceVolumeSize, never)
	if s.able.Users != nil {
		lines = append(lines, s.able.Users.Error())
	}
	if rt.EnableSHM && s.able.Mounts != nil {
		lines = append(lines, fmt.Sprintf("Runtime.EnableSHM is not granted by the process launcher; /dev/shm is the machine's: %v", s.able.Mounts))
	}
	if rt.GPUCount > 0 {
		lines = append(lines, fmt.Sprintf("%d GPUs are wanted; the process launcher gives what the machine has", rt.GPUCount))
	}
	if _, err := root.Stat("packages.txt"); err == nil {
		lines = append(lines, "packages.txt is not installed by the process launcher; install its packages on this machine")
	}
	return lines
}

// network makes a namespace for an app with a fixed port. Nil is none: the app
// is in the machine's network. Lines are for the app's log.
func (s *isolation) network(label string, port int) (n *netns.Namespace, lines []string) {
	if os.Geteuid() != 0 || s.networks == nil {
		return nil, nil
	}
	n, err := s.networks.Make(label, port)
	if err != nil {
		return nil, []string{fmt.Sprintf("Runtime.Port %d is the machine's, and no other instance can have it: %v", port, err)}
	}
	// Each time: another control plane of this folder, which has been held up,
	// could have taken the rules out since.
	if err := s.networks.Outbound(); err != nil {
		lines = append(lines, err.Error())
	}
	return n, lines
}

// settleRules leaves the rules that networks need if any instance has one, and
// takes out what an earlier life has left if none has.
func (s *isolation) settleRules(needed bool) error {
	switch {
	case os.Geteuid() != 0 || s.networks == nil:
		return nil
	case needed:
		return s.networks.Outbound()
	}
	return s.networks.Clear()
}

// cgroupPrefix begins the names of all control groups of this data folder.
func (s *isolation) cgroupPrefix() string { return "slipway-" + s.owner + "-" }

// cgroupName is that of a run, by its folder.
func (s *isolation) cgroupName(id, folder string) string {
	return s.cgroupPrefix() + id + "-" + folder
}

// confine makes what keeps the run apart, and gives it its files. It is the
// last of the preparations: what it does is not undone by them.
func (r *run) confine(c *command) *controlplane.Reason {
	s, rt := r.i.t.isolation, r.w.App.Manifest.Runtime
	spec := &confine.Spec{Dir: c.dir, Processes: s.most}
	c.confine = spec
	var err error
	if r.limits, err = s.limits(rt); err != nil {
		return reason(controlplane.BadBundle, "%v", err)
	}
	if s.able.Users == nil {
		user, err := s.users.Of(r.i.id)
		if err != nil {
			return broken(err)
		}
		spec.User = &user
	}
	if spec.Mounts, err = r.mounts(spec.User); err != nil {
		return broken(fmt.Errorf("prepare mounts: %w", err))
	}
	if len(spec.Mounts) > 0 {
		spec.Scratch = filepath.Join(r.dir(), "scratch")
		if err := os.Mkdir(spec.Scratch, 0o700); err != nil {
			return broken(fmt.Errorf("prepare mounts: %w", err))
		}
	}
	if spec.User == nil {
		return nil
	}
	err = os.Chmod(r.dir(), 0o700)
	if err == nil {
		err = machine.Give(r.dir(), *spec.User)
	}
	if err != nil {
		return broken(err)
	}
	return nil
}

// mounts are what the app finds where the machine has something else, or
// nothing: its volumes, which no start empties, and its files.
func (r *run) mounts(user *confine.User) ([]confine.Mount, error) {
	s, m := r.i.t.isolation, r.w.App.Manifest
	if s.able.Mounts != nil {
		return nil, nil
	}
	var mounts []confine.Mount
	volume := func(name, target string) error {
		source := filepath.Join(r.i.dir, "volumes", name)
		mounts = append(mounts, confine.Mount{Source: source, Target: target})
		return makeVolume(source, user)
	}
	if s.able.Users != nil {
		mounts = s.hide(r.dir())
		mounts = append(mounts, confine.Mount{Source: filepath.Join(s.dir, "envs"), Target: filepath.Join(s.dir, "envs"), ReadOnly: true})
	}
	var err error
	if m.Runtime.VolumeMount != "" {
		err = volume("data", m.Runtime.VolumeMount)
	}
	if m.Runtime.ResourceVolumeSize != "" {
		err = errors.Join(err, volume("resources", resources))
	}
	if m.Runtime.EnableSHM {
		mounts = append(mounts, confine.Mount{Target: "/dev/shm", Size: s.shm, Mode: 0o1777})
	}
	for n, f := range r.w.Files {
		if path.IsAbs(f.Path) {
			mounts = append(mounts, confine.Mount{Source: r.absoluteFile(n), Target: f.Path})
		}
	}
	return mounts, err
}

// absoluteFile is where the nth [[File]] is kept that has an absolute path.
func (r *run) absoluteFile(n int) string { return filepath.Join(r.dir(), "files", strconv.Itoa(n)) }

func (r *run) writeAbsolute(n int, f controlplane.File) error {
	name := r.absoluteFile(n)
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return err
	}
	return os.WriteFile(name, []byte(f.Value), 0o600)
}

// makeVolume makes a volume, or gives one that was another's to the user.
func makeVolume(folder string, user *confine.User) error {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return err
	}
	if user == nil {
		return nil
	}
	if err := os.Chmod(filepath.Dir(folder), 0o711); err != nil {
		return err
	}
	return machine.GiveOnce(folder, *user)
}
