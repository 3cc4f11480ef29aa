//go:build linux

package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine/machine"
)

// buildIsolation keeps the installation of an environment apart: packages bring
// code that runs then (spec apps.md §4).
type buildIsolation struct {
	s      *isolation
	name   string // of the user, while there is one
	folder string // of the environment
	app    string // the unpacked bundle
	spec   *confine.Spec
}

// buildPrefix begins the names of users that install; no instance is called so.
const buildPrefix = ".env-"

// isolateBuild prepares for an installation below the folder, from app. The
// user is the installation's own, so that none meets another.
func (s *isolation) isolateBuild(key, folder, app string) (buildIsolation, error) {
	b := buildIsolation{s: s, folder: folder, app: app, spec: &confine.Spec{}}
	if s.able.Users != nil {
		return b, nil
	}
	b.name = buildPrefix + key
	user, err := s.users.Of(b.name)
	if err != nil {
		return b, err
	}
	b.spec.User = &user
	// The bundle is nobody's secret, and found by nobody who does not know the
	// run folder's name.
	if err := errors.Join(os.Chmod(app, 0o755), os.Chmod(folder, 0o755), os.Chown(folder, user.UID, user.GID)); err != nil {
		return b, fmt.Errorf("prepare installation: %w", err)
	}
	return b, nil
}

// begin gives the installation its home.
func (b *buildIsolation) begin(home string) error {
	b.spec.Dir = b.app
	if b.spec.User != nil {
		if err := os.Chown(home, b.spec.User.UID, b.spec.User.GID); err != nil {
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
	b.spec.Mounts = b.s.hide(b.folder, home, b.app)
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
