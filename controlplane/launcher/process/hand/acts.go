//go:build linux

package hand

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine"
)

// lead makes a leader the folder's, unless one with a larger epoch was.
func (h *hand) lead(next, present Leader) error {
	if present.Epoch > next.Epoch {
		return &Answer{Leader: present}
	}
	if err := WriteDurably(h.folder+"/"+EpochFile, []byte(next.String())); err != nil {
		return fault(StepLeader, err)
	}
	return nil
}

// name finds the folder's name, or gives it the wanted one. The name is kept
// with the inode that it belongs to.
func (h *hand) name(wanted string) (Answer, error) {
	var stat syscall.Stat_t
	if err := syscall.Stat(h.folder, &stat); err != nil {
		return Answer{}, fault(StepName, err)
	}
	inode := fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
	path := h.folder + "/" + NameFile
	b, err := os.ReadFile(path)
	if err == nil {
		if name, at, ok := strings.Cut(strings.TrimSpace(string(b)), " "); ok && at == inode && name != "" {
			return Answer{Name: name}, nil
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return Answer{}, fault(StepName, err)
	}
	if err := WriteDurably(path, []byte(wanted+" "+inode+"\n")); err != nil {
		return Answer{}, fault(StepName, err)
	}
	return Answer{Name: wanted}, nil
}

// execute becomes the program. What confines it comes after the lock and the
// look at the leader's file, which would be out of its reach.
func (h *hand) execute(e *Execute) error {
	program := -1
	if e.Own {
		var err error
		if program, err = confine.Open(e.Path); err != nil {
			return fault(StepExecute, err)
		}
	}
	if e.Confine != nil {
		runtime.LockOSThread()
		if err := confine.Apply(*e.Confine); err != nil {
			return fault(StepConfine, err)
		}
	}
	h.answer(Answer{Done: true})
	if e.Own {
		return fault(StepExecute, confine.Exec(program, e.Args, e.Env))
	}
	return fault(StepExecute, syscall.Exec(e.Path, e.Args, e.Env))
}

func send(s *Signal) error {
	for _, file := range s.Seal {
		if err := seal(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fault(StepSignal, fmt.Errorf("seal control group: %w", err))
		}
	}
	for _, p := range s.Processes {
		if err := sendTo(p, s.Number); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fault(StepSignal, fmt.Errorf("send signal %q to process %d: %w", s.Number, p.PID, err))
		}
	}
	return nil
}

// seal does not make the file.
func seal(file string) error {
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteString("0")
	return errors.Join(err, f.Close())
}

// sendTo signals that very process, never another that got its number: once
// the descriptor is open, the number cannot change its owner unseen.
func sendTo(p Process, sig syscall.Signal) error {
	fd, err := pidfdOpen(p.PID)
	if errors.Is(err, syscall.ESRCH) {
		return err
	}
	start, statErr := startOf(p.PID)
	if statErr != nil || start != p.Start {
		return syscall.ESRCH
	}
	if err != nil { // no pidfd here: the look at its start is all there is
		return syscall.Kill(p.PID, sig)
	}
	return pidfdSendSignal(fd, sig)
}

// startOf reads one field of proc_pid_stat(5). Package procgroup reads them
// all, and would be initialised late.
func startOf(pid int) (uint64, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:])
	if len(fields) < 20 {
		return 0, fmt.Errorf("%d fields", len(fields))
	}
	return strconv.ParseUint(string(fields[19]), 10, 64)
}

func discard(d *Discard) error {
	if err := os.Mkdir(d.To, 0o700); err != nil {
		return fault(StepDiscard, err)
	}
	for n, path := range d.Paths {
		err := os.Rename(path, d.To+"/"+strconv.Itoa(n))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fault(StepDiscard, err)
		}
	}
	return nil
}

// WriteDurably replaces a file, named by its absolute path, so that at any moment, power cuts included, the
// old or the new content is there whole.
func WriteDurably(path string, content []byte) error {
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
	dir, err := os.Open(path[:strings.LastIndexByte(path, '/')])
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
