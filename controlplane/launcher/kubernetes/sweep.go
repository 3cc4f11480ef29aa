package kubernetes

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// Whoever leads keeps logs in its DataDir, and removes those of an instance with
// it. Where each control plane has a DataDir of its own, a former leader's has logs
// of instances that others have removed since. They go once it leads again.

// keptFolders are the folders of instances in DataDir. Asked for before the
// namespace is listed, none is of an instance that comes to be later.
func (l *Launcher) keptFolders() ([]string, error) {
	entries, err := os.ReadDir(l.cfg.DataDir)
	if err != nil {
		return nil, fmt.Errorf("look for kept logs: %w", err)
	}
	var folders []string
	for _, e := range entries {
		if e.IsDir() && strings.HasPrefix(e.Name(), objects.Name("")) {
			folders = append(folders, e.Name())
		}
	}
	return folders, nil
}

// sweep removes those of them whose instance is no more, and what was left half
// written in the others.
func (t *term) sweep(folders []string) {
	for _, name := range folders {
		if t.Context().Err() != nil {
			return
		}
		folder := filepath.Join(t.cfg.DataDir, name)
		var err error
		if t.knows(strings.TrimPrefix(name, objects.Name(""))) {
			err = dropParts(folder)
		} else {
			err = os.RemoveAll(folder)
		}
		if err != nil {
			t.cfg.Log.Error("old logs could not be removed", zap.Error(err))
		}
	}
}

// knows reports whether there is an instance of that ID, or one begins to be.
func (t *term) knows(id string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.instances[id] != nil || t.view.owner(id) != nil
}

func dropParts(folder string) error {
	parts, err := filepath.Glob(filepath.Join(folder, "*"+part))
	if err != nil {
		return fmt.Errorf("look for what was left of logs: %w", err)
	}
	for _, path := range parts {
		if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
			return fmt.Errorf("remove what was left of a log: %w", err)
		}
	}
	return nil
}
