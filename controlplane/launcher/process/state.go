//go:build linux

package process

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/hand"
	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
)

// state is what is kept of an instance, in the file state.<epoch>.json. The
// largest epoch's holds: who led before may write to its own file still.
type state struct {
	Generation int64 `json:"generation"` // the newest seen; older ones are fenced
	// Place is the name of the data folder that the run is of. In a copy of that
	// folder the run is another's. Empty, of earlier versions, is this one.
	Place string    `json:"place,omitempty"`
	Run   *runState `json:"run,omitempty"`
	// Log and PreviousLog are files in the folder logs: what the newest run
	// writes, and the one before.
	Log         string `json:"log,omitempty"`
	PreviousLog string `json:"previous_log,omitempty"`
}

// runState is one run: an intent while it has no PID, ended when Ended is set.
type runState struct {
	Generation    int64           `json:"generation"`
	Folder        string          `json:"folder,omitempty"` // in the folder run
	Nonce         string          `json:"nonce"`
	Process       procgroup.Ident `json:"process"`
	Port          int             `json:"port"`
	AppPort       int             `json:"app_port,omitempty"` // of the app behind a Wave server, which has Port; 0: no pair
	Address       string          `json:"address,omitempty"`  // in a network of its own; empty is the loopback
	Cgroup        string          `json:"cgroup,omitempty"`
	MemoryLimit   string          `json:"memory_limit,omitempty"` // that the control group enforces
	OOMKills      int64           `json:"oom_kills,omitempty"`    // that it has survived, see oomWatch
	HealthPath    string          `json:"health_path,omitempty"`
	HealthTimeout time.Duration   `json:"health_timeout"`
	StopGrace     time.Duration   `json:"stop_grace"`
	StartedAt     time.Time       `json:"started_at"`
	Warnings      []string        `json:"warnings,omitempty"` // see launcher.Fact
	Ready         bool            `json:"ready,omitempty"`
	Endpoint      string          `json:"endpoint,omitempty"`
	Sockets       []uint64        `json:"sockets,omitempty"` // inodes of those that listened when it became ready

	Ended   bool                 `json:"ended,omitempty"`
	EndedAt time.Time            `json:"ended_at,omitzero"`
	Reason  *controlplane.Reason `json:"reason,omitempty"`
}

// readState reads an instance's state; none is the zero state.
func readState(dir string) (state, error) {
	for {
		files, err := stateFiles(dir)
		if errors.Is(err, fs.ErrNotExist) || err == nil && len(files) == 0 {
			return state{}, nil
		}
		var s state
		if err == nil {
			err = s.read(dir, files[len(files)-1])
		}
		switch {
		case errors.Is(err, fs.ErrNotExist): // there is a larger one now
		case err != nil:
			return state{}, fmt.Errorf("read instance state: %w", err)
		default:
			return s, nil
		}
	}
}

func (s *state) read(dir string, f stateFile) error {
	b, err := os.ReadFile(filepath.Join(dir, f.name))
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, s); err != nil {
		return err
	}
	if f.epoch == 0 {
		s.adjust()
	}
	return nil
}

// oldState is the file of a launcher that knew no epochs.
const oldState = "state.json"

// adjust takes over what a launcher left that knew no epochs: its files had
// fixed names.
func (s *state) adjust() {
	s.Log, s.PreviousLog = "current.log", "previous.log"
	if s.Run != nil {
		s.Run.Folder = strconv.FormatInt(s.Run.Generation, 10)
	}
}

// old reports whether a launcher started the run that knew no epochs: its home
// and token are the instance's.
func (s *runState) old() bool { return s.Folder == strconv.FormatInt(s.Generation, 10) }

type stateFile struct {
	name  string
	epoch int64
}

func stateName(epoch int64) string { return fmt.Sprintf("state.%d.json", epoch) }

// stateFiles lists the files of states, that which holds last.
func stateFiles(dir string) ([]stateFile, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var found []stateFile
	for _, e := range entries {
		var epoch int64
		if text, ok := strings.CutPrefix(strings.TrimSuffix(e.Name(), ".json"), "state."); ok {
			epoch, _ = strconv.ParseInt(text, 10, 64)
		}
		if e.Name() == oldState || epoch > 0 && e.Name() == stateName(epoch) {
			found = append(found, stateFile{e.Name(), epoch})
		}
	}
	slices.SortFunc(found, func(a, b stateFile) int { return cmp.Compare(a.epoch, b.epoch) })
	return found, nil
}

// writeState writes the state of an epoch.
func writeState(dir string, epoch int64, s state) error {
	b, err := s.encode()
	if err == nil {
		err = hand.WriteDurably(filepath.Join(dir, stateName(epoch)), b)
	}
	if err != nil {
		return fmt.Errorf("write instance state: %w", err)
	}
	return nil
}

func (s state) encode() ([]byte, error) {
	b, err := json.MarshalIndent(s, "", "  ")
	return append(b, '\n'), err
}

// keep writes the state of the term's epoch. Whoever calls sees to it that it
// comes to the disk. The files of earlier epochs go with the next write.
func (i *instance) keep() error {
	b, err := i.state.encode()
	if err != nil {
		return err
	}
	path := filepath.Join(i.dir, stateName(i.t.leader.Epoch))
	if err := os.WriteFile(path+".new", b, 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// removeStates removes the files of epochs before this one.
func removeStates(dir string, epoch int64) error {
	files, err := stateFiles(dir)
	for _, f := range files {
		if f.epoch >= epoch {
			break
		}
		if removeErr := os.Remove(filepath.Join(dir, f.name)); !errors.Is(removeErr, fs.ErrNotExist) {
			err = errors.Join(err, removeErr)
		}
	}
	if err != nil {
		return fmt.Errorf("remove old instance state: %w", err)
	}
	return nil
}

// marker is the value of procgroup.MarkerName: folder/instance/generation/nonce.
func marker(folder, instance string, generation int64, nonce string) string {
	return fmt.Sprintf("%s/%s/%d/%s", folder, instance, generation, nonce)
}
