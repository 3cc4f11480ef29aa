//go:build linux

package process

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/hand"
)

const trashPrefix = ".removed-"

// discard deletes what is at the paths, if there is any of it.
func (t *term) discard(paths []string) error {
	trash, err := t.moveAway(paths)
	if err != nil || trash == "" {
		return err
	}
	t.at("discard: moved")
	return removeTree(trash)
}

// moveAway has a hand move what is at the paths into a new folder of trash:
// what is there is nobody's any more.
func (t *term) moveAway(paths []string) (trash string, err error) {
	paths = present(paths)
	if len(paths) == 0 {
		return "", nil
	}
	trash = filepath.Join(t.cfg.DataDir, "instances", trashPrefix+rand.Text())
	t.at("discard: chosen")
	_, err = t.act(hand.Order{Discard: &hand.Discard{Paths: paths, To: trash}})
	return trash, err
}

func present(paths []string) []string {
	var found []string
	for _, path := range paths {
		if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
			found = append(found, path)
		}
	}
	return found
}

// clear deletes what earlier runs have left.
func (i *instance) clear() {
	if err := i.t.discard(i.leftovers()); err != nil && i.t.Over() == nil {
		i.t.cfg.Log.Warn("clear an instance's folder", zap.String("instance", i.id), zap.Error(err))
	}
}

// leftovers are the files and folders of runs, but for those of the newest one
// and the log of the one before.
func (i *instance) leftovers() []string {
	i.mu.Lock()
	keep := map[string]bool{"logs/" + i.state.Log: true, "logs/" + i.state.PreviousLog: true}
	r := i.state.Run
	if r != nil && r.Process.PID != 0 {
		keep["run/"+r.Folder] = true
	}
	i.mu.Unlock()
	var paths []string
	if r == nil || !r.old() {
		for _, name := range []string{"home", "tmp", "token"} {
			paths = append(paths, filepath.Join(i.dir, name))
		}
	}
	for _, folder := range []string{"run", "logs"} {
		entries, err := os.ReadDir(filepath.Join(i.dir, folder))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			i.t.cfg.Log.Warn("clear an instance's folder", zap.String("instance", i.id), zap.Error(err))
		}
		for _, e := range entries {
			if !keep[folder+"/"+e.Name()] {
				paths = append(paths, filepath.Join(i.dir, folder, e.Name()))
			}
		}
	}
	return paths
}

// emptyTrash deletes what discards that were cut off have left.
func (t *term) emptyTrash() {
	entries, err := os.ReadDir(filepath.Join(t.cfg.DataDir, "instances"))
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), trashPrefix) {
			err = errors.Join(err, removeTree(filepath.Join(t.cfg.DataDir, "instances", e.Name())))
		}
	}
	if err != nil {
		t.cfg.Log.Warn("empty the trash", zap.Error(err))
	}
}
