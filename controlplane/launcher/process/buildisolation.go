//go:build linux

package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine/machine"
)

// buildIsolation keeps the installation of an environment apart: packages bring
// code that runs then (spec apps.md §4).
type buildIsolation struct {
	s      *isolation
	name   string // of the user, while there is one
	folder string // of the environment
	spec   *confine.Spec
}

// buildPrefix begins the names of users that install; no instance is called so.
const buildPrefix = ".env-"

// exposes says why nothing may be installed here: it would run as a user that
// can read secrets and the store (spec apps.md §4). Nil where it would not.
func (s *isolation) exposes() *controlplane.Reason {
	if s.able.Users == nil || s.able.Mounts == nil {
		return nil
	}
	return reason(controlplane.Dependencies, "packages are not installed, since their code could read Slipway's secrets and store here: "+
		"no user of its own can do it (%v), and the data folder cannot be hidden from it (%v); run Slipway as root, or allow user namespaces "+
		"(sysctl user.max_user_namespaces above 0, kernel.apparmor_restrict_unprivileged_userns=0, kernel.unprivileged_userns_clone=1, as far as the machine has them) and start it again",
		s.able.Users, s.able.Mounts)
}

// isolateBuild prepares for an installation below the folder. The user is the
// installation's own, so that none meets another.
func (s *isolation) isolateBuild(key, folder string) (buildIsolation, error) {
	b := buildIsolation{s: s, folder: folder, spec: &confine.Spec{}}
	if s.able.Users != nil {
		return b, nil
	}
	b.name = buildPrefix + key
	user, err := s.users.Of(b.name)
	if err != nil {
		return b, err
	}
	b.spec.User = &user
	if err := errors.Join(os.Chmod(folder, 0o755), os.Chown(folder, user.UID, user.GID)); err != nil {
		return b, fmt.Errorf("prepare installation: %w", err)
	}
	return b, nil
}

// begin gives the installation its home, and has it work in a folder there.
func (b *buildIsolation) begin(home, dir string) error {
	b.spec.Dir = dir
	if b.spec.User != nil {
		if err := machine.Give(home, *b.spec.User); err != nil {
			return fmt.Errorf("prepare installation: %w", err)
		}
		return nil
	}
	if b.s.able.Mounts != nil {
		return nil
	}
	b.spec.Scratch = filepath.Join(home, "scratch")
	if err := os.Mkdir(b.spec.Scratch, 0o700); err != nil {
		return fmt.Errorf("prepare installation: %w", err)
	}
	b.spec.Mounts = b.s.hide(b.folder, home)
	return nil
}

// end makes what was installed nobody's to change. Nothing of it runs any more.
func (b *buildIsolation) end() error {
	if b.name == "" {
		return nil
	}
	err := machine.Give(b.folder, confine.User{})
	if err == nil {
		err = clearMarks(b.folder)
	}
	if err == nil {
		err = b.s.users.Release(b.name)
	}
	if err != nil {
		return fmt.Errorf("end installation: %w", err)
	}
	return nil
}

// clearMarks takes away what an installation could have left where the mark of
// a whole environment comes: it says nothing of itself.
func clearMarks(folder string) error {
	marks, err := fs.Glob(os.DirFS(folder), "*/.complete*")
	for _, mark := range marks {
		err = errors.Join(err, os.RemoveAll(filepath.Join(folder, mark)))
	}
	return err
}
