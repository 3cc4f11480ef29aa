//go:build linux

package process

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/hand"
)

// A hand works for milliseconds. One that has worked for handPatience waits for
// a lock that another hand does not give back, and that one is killed; after
// handLimit the hand is killed itself. A lock is one that is not given back when
// the same hand has it still after holdsOn.
const (
	handPatience = 2 * time.Second
	handLimit    = 10 * time.Second
	holdsOn      = 200 * time.Millisecond
)

var errSilent = errors.New("the process that acts on the data folder was killed")

// hired is a hand at work.
type hired struct {
	b       *base
	process *os.Process
	fd      int // a pidfd, -1 where the kernel has none; whoever hires owns it
	answers *os.File
}

// hire starts a hand with an order. attr says where it works; its descriptors
// beyond 2 are the hand's; more are for what its order says.
func (b *base) hire(o hand.Order, attr os.ProcAttr, more ...*os.File) (*hired, error) {
	order, err := orderFile(o)
	if err != nil {
		return nil, fmt.Errorf("write order: %w", err)
	}
	defer order.Close()
	answers, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("open pipe: %w", err)
	}
	defer w.Close()
	h := &hired{b: b, fd: -1, answers: answers}
	attr.Files = slices.Concat(attr.Files, []*os.File{order, w}, more)
	attr.Sys = &syscall.SysProcAttr{Setsid: true, PidFD: &h.fd}
	if o.Execute != nil && o.Execute.Confine != nil {
		o.Execute.Confine.Attr(attr.Sys)
	}
	h.process, err = os.StartProcess(b.cfg.Self, []string{b.cfg.Self, hand.Arg, b.cfg.DataDir}, &attr)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start process: %w", err), answers.Close())
	}
	return h, nil
}

// orderFile holds the order in memory, so that it is there whole before there
// is a process to read it, and no list of processes shows it.
func orderFile(o hand.Order) (*os.File, error) {
	b, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	fd, err := unix.MemfdCreate("order", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "order")
	if _, err := f.WriteAt(b, 0); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// outcome waits until the hand has ended or become its program, and returns its
// last answer, or why its act was not done: launcher.ErrFenced, or a *hand.Fault.
func (h *hired) outcome() (hand.Answer, error) {
	defer h.answers.Close()
	var text []byte
	silent := errSilent
	for _, limit := range []time.Duration{handPatience, handLimit - handPatience, handLimit} {
		if err := h.answers.SetReadDeadline(time.Now().Add(limit)); err != nil {
			return hand.Answer{}, fmt.Errorf("hear process %d: %w", h.process.Pid, err)
		}
		more, err := io.ReadAll(h.answers)
		text = append(text, more...)
		switch {
		case err == nil:
			a, err := verdictOf(text)
			if errors.Is(err, errSilent) {
				err = silent
			}
			return a, err
		case !errors.Is(err, os.ErrDeadlineExceeded):
			return hand.Answer{}, fmt.Errorf("hear process %d: %w", h.process.Pid, err)
		case limit == handPatience:
			h.b.freeLock()
		default:
			if holders := h.b.lockHolders(); len(holders) > 0 {
				silent = fmt.Errorf("process %d keeps the data folder %s locked", holders[0], h.b.cfg.DataDir)
			}
			_ = h.process.Kill() // it may have ended just now
		}
	}
	return hand.Answer{}, fmt.Errorf("hear process %d: %w", h.process.Pid, silent)
}

func verdictOf(answers []byte) (hand.Answer, error) {
	var last hand.Answer
	for line := range bytes.Lines(answers) {
		last = hand.Answer{}
		if err := json.Unmarshal(line, &last); err != nil {
			return last, errSilent // cut off
		}
	}
	switch {
	case last.Fault != nil:
		return last, last.Fault
	case last.Leader != (hand.Leader{}):
		return last, fmt.Errorf("another control plane has led since, with epoch %d: %w", last.Leader.Epoch, launcher.ErrFenced)
	case !last.Done:
		return last, errSilent
	}
	return last, nil
}

// order has a hand do one act, and waits for it.
func (b *base) order(o hand.Order) (hand.Answer, error) {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return hand.Answer{}, fmt.Errorf("open %s: %w", os.DevNull, err)
	}
	defer null.Close()
	h, err := b.hire(o, os.ProcAttr{Env: []string{}, Files: []*os.File{null, null, null}})
	if err != nil {
		return hand.Answer{}, err
	}
	a, err := h.outcome()
	return a, errors.Join(err, h.bury())
}

// bury awaits the end of a hand that has not become a program.
func (h *hired) bury() error {
	_, err := h.process.Wait()
	if h.fd >= 0 {
		err = errors.Join(err, unix.Close(h.fd))
	}
	if err != nil {
		return fmt.Errorf("await process %d: %w", h.process.Pid, err)
	}
	return nil
}

// freeLock kills the hands that hold the folder's lock: one that was stopped,
// or frozen with its control plane, must not keep others from working. What it
// was to do is not done, or done whole.
func (b *base) freeLock() {
	before := b.lockHolders()
	// Another control plane may have freed it just now: who has it since then
	// needs milliseconds.
	time.Sleep(holdsOn)
	for _, pid := range b.lockHolders() {
		if !slices.Contains(before, pid) || !b.isHand(pid) {
			continue
		}
		b.cfg.Log.Warn("killing a process that keeps the data folder locked", zap.Int("pid", pid))
		if err := unix.Kill(pid, unix.SIGKILL); err != nil && !errors.Is(err, unix.ESRCH) {
			b.cfg.Log.Error("kill a process that keeps the data folder locked", zap.Int("pid", pid), zap.Error(err))
		}
	}
}

// lockHolders reads proc_locks(5) for who has the folder's lock. Those who
// wait for it have an arrow in their line.
func (b *base) lockHolders() []int {
	info, err := os.Stat(filepath.Join(b.cfg.DataDir, hand.LockFile))
	if err != nil {
		return nil
	}
	text, err := os.ReadFile("/proc/locks")
	if err != nil {
		return nil
	}
	inode := strconv.FormatUint(info.Sys().(*syscall.Stat_t).Ino, 10)
	var found []int
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) < 6 || f[1] != "FLOCK" || f[5][strings.LastIndexByte(f[5], ':')+1:] != inode {
			continue
		}
		if pid, err := strconv.Atoi(f[4]); err == nil && pid > 1 {
			found = append(found, pid)
		}
	}
	return found
}

// isHand reports whether the process is a hand on this folder, and not yet the
// program that it may become, by its own word: whoever says so is spared nothing.
func (b *base) isHand(pid int) bool {
	cmdline, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
	args := strings.Split(string(cmdline), "\x00")
	return err == nil && len(args) > 2 && args[1] == hand.Arg && args[2] == b.cfg.DataDir
}
