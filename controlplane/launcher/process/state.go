//go:build linux

package process

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
)

// state is what state.json keeps of an instance.
type state struct {
	Generation int64     `json:"generation"` // the newest seen; older ones are fenced
	Run        *runState `json:"run,omitempty"`
}

// runState is one run: an intent while it has no PID, ended when Ended is set.
type runState struct {
	Generation    int64           `json:"generation"`
	Nonce         string          `json:"nonce"`
	Process       procgroup.Ident `json:"process"`
	Port          int             `json:"port"`
	HealthPath    string          `json:"health_path,omitempty"`
	HealthTimeout time.Duration   `json:"health_timeout"`
	StopGrace     time.Duration   `json:"stop_grace"`
	StartedAt     time.Time       `json:"started_at"`
	Ready         bool            `json:"ready,omitempty"`
	Endpoint      string          `json:"endpoint,omitempty"`
	Sockets       []uint64        `json:"sockets,omitempty"` // inodes of those that listened when it became ready

	Ended   bool                 `json:"ended,omitempty"`
	EndedAt time.Time            `json:"ended_at,omitzero"`
	Reason  *controlplane.Reason `json:"reason,omitempty"`
}

// readState reads an instance's state; none is the zero state.
func readState(dir string) (state, error) {
	b, err := os.ReadFile(filepath.Join(dir, "state.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return state{}, nil
	}
	var s state
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		return state{}, fmt.Errorf("read instance state: %w", err)
	}
	return s, nil
}

func writeState(dir string, s state) error {
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("write instance state: %w", err)
	}
	if err := writeDurably(filepath.Join(dir, "state.json"), append(b, '\n')); err != nil {
		return fmt.Errorf("write instance state: %w", err)
	}
	return nil
}

// writeDurably replaces a file so that at any moment, power cuts included, the
// old or the new content is there whole.
func writeDurably(path string, content []byte) error {
	f, err := os.OpenFile(path+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// marker is the value of procgroup.MarkerName: folder/instance/generation/nonce.
func marker(folder, instance string, generation int64, nonce string) string {
	return fmt.Sprintf("%s/%s/%d/%s", folder, instance, generation, nonce)
}

// folderID names a data folder in markers. A copy of the folder gets a name of
// its own, since two folders' launchers must not kill each other's processes.
func folderID(dir string) (string, error) {
	var stat unix.Stat_t
	if err := unix.Stat(dir, &stat); err != nil {
		return "", fmt.Errorf("name data folder: %w", err)
	}
	inode := fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
	path := filepath.Join(dir, "folder-id")
	b, err := os.ReadFile(path)
	if err == nil {
		if id, at, ok := strings.Cut(strings.TrimSpace(string(b)), " "); ok && at == inode && id != "" {
			return id, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("name data folder: %w", err)
	}
	id := rand.Text()
	if err := writeDurably(path, []byte(id+" "+inode+"\n")); err != nil {
		return "", fmt.Errorf("name data folder: %w", err)
	}
	return id, nil
}

// lockFolder makes the caller the only launcher of dir, or says that there is
// another. A forked child holds the lock too, until it executes its program.
func lockFolder(dir string, patience time.Duration) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock data folder: %w", err)
	}
	for until := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return f, nil
		case errors.Is(err, unix.EINTR):
		case !errors.Is(err, unix.EWOULDBLOCK):
			f.Close()
			return nil, fmt.Errorf("lock data folder: %w", err)
		case time.Now().After(until):
			f.Close()
			return nil, fmt.Errorf("lock data folder: another control plane uses %s", dir)
		}
	}
}
