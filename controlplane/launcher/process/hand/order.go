//go:build linux

package hand

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine"
)

// The names of files in a folder.
const (
	LockFile  = "lock"
	EpochFile = "epoch"
	NameFile  = "folder-id"
)

// The descriptors that a hand has beyond 0, 1 and 2. It hands none of them on.
const (
	OrderFD  = 3 // to read an [Order] from
	AnswerFD = 4 // to write [Answer]s to, each a line of JSON
	MoreFD   = 5 // the first of what an order refers to
)

// Order is what a hand is to do in a folder: exactly one of the acts.
type Order struct {
	Leader  Leader   `json:"leader"` // who orders it
	Lead    bool     `json:"lead,omitempty"`
	Name    *Name    `json:"name,omitempty"`
	Execute *Execute `json:"execute,omitempty"`
	Signal  *Signal  `json:"signal,omitempty"`
	Discard *Discard `json:"discard,omitempty"`
}

// Name is the act that gives the folder a name, if it has none yet. It needs no
// leader. A copy of a folder, on another inode, gets a name of its own.
type Name struct {
	Wanted string `json:"wanted"`
}

// Execute is the act that becomes a program, in the present folder.
type Execute struct {
	Path string   `json:"path"`
	Args []string `json:"args"` // with the name
	Env  []string `json:"env"`

	// Confine is how it is kept apart, nil not at all.
	Confine *confine.Spec `json:"confine,omitempty"`
	// Own programs are opened with the hand's rights, and may lie where those
	// of the program do not reach.
	Own bool `json:"own,omitempty"`
}

// Signal is the act that signals processes. One that has ended, and one that
// only has the number of another, is passed over.
type Signal struct {
	Number    syscall.Signal `json:"number"`
	Processes []Process      `json:"processes"`
	// Seal are files that get a 0 before that, so that those who are to be
	// killed make no more processes (machine.Cgroup.Seals). One that is gone is
	// passed over.
	Seal []string `json:"seal,omitempty"`
}

// Process is a process of this machine.
type Process struct {
	PID   int    `json:"pid"`
	Start uint64 `json:"start"` // clock ticks since boot
}

// Discard is the act that moves files and folders into a new folder, where
// nobody looks for them. What is not there is passed over.
type Discard struct {
	Paths []string `json:"paths"`
	To    string   `json:"to"`
}

// Leader is who leads at a folder: the Epoch orders leaders, the Nonce tells
// two of the same epoch apart. The zero Leader is nobody.
type Leader struct {
	Epoch int64  `json:"epoch"`
	Nonce string `json:"nonce"`
}

// String is the content of EpochFile.
func (l Leader) String() string { return fmt.Sprintf("%d %s\n", l.Epoch, l.Nonce) }

// ParseLeader reads what String wrote.
func ParseLeader(text string) (Leader, error) {
	epoch, nonce, ok := strings.Cut(strings.TrimSpace(text), " ")
	n, err := strconv.ParseInt(epoch, 10, 64)
	if !ok || err != nil || n < 1 || nonce == "" {
		return Leader{}, fmt.Errorf("read who leads: %q is no epoch", text)
	}
	return Leader{Epoch: n, Nonce: nonce}, nil
}

// Answer is what a hand says. The last one counts.
type Answer struct {
	// Done is set when the act is done. For Execute it comes right before:
	// an answer after it is a Fault of the execution.
	Done   bool   `json:"done,omitempty"`
	Name   string `json:"name,omitempty"`  // of the folder
	Leader Leader `json:"leader,omitzero"` // who leads, where that forbids the act
	Fault  *Fault `json:"fault,omitempty"`
}

// The steps of a Fault.
const (
	StepOrder   = "read its order"
	StepLock    = "lock the data folder"
	StepLeader  = "find who leads the data folder"
	StepName    = "name the data folder"
	StepConfine = "keep the program apart"
	StepExecute = "execute the program"
	StepSignal  = "signal a process"
	StepDiscard = "clear the data folder"
)

// Fault is why an act could not be done.
type Fault struct {
	Step  string        `json:"step"`
	Errno syscall.Errno `json:"errno,omitempty"`
	Text  string        `json:"text"`

	Confine confine.Step `json:"confine,omitempty"` // of StepConfine
}

func fault(step string, err error) *Fault {
	f := &Fault{Step: step, Text: err.Error()}
	errors.As(err, &f.Errno)
	if c, ok := errors.AsType[*confine.Error](err); ok {
		f.Confine = c.Step
	}
	return f
}

func (f *Fault) Error() string { return f.Step + ": " + f.Text }

// Unwrap is the Errno, if there is one.
func (f *Fault) Unwrap() error {
	if f.Errno == 0 {
		return nil
	}
	return f.Errno
}
