//go:build linux

package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/launchertest"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/hand"
)

// Of all that runs leave, the last one's log stays, and nothing else.
func TestWhatRunsLeaveIsCleared(t *testing.T) {
	l := opened(t, tempDir(t))
	for g := range int64(4) {
		start(t, l, workload("one", g+1, []launchertest.Behaviour{launchertest.Serves, launchertest.Crashes}[g%2])).Await("ready or ended",
			func(f launcher.Fact) bool {
				return f.Generation == g+1 && (f.State == launcher.Ready || f.State == launcher.Ended)
			})
	}
	broken := workload("one", 5, launchertest.Serves)
	broken.OpenBundle = brokenBundle
	start(t, l, broken).Ended("one", 5)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		runs, _ := filepath.Glob(l.instanceDir("one") + "/run/*")
		logs, _ := filepath.Glob(l.instanceDir("one") + "/logs/*")
		trash, _ := filepath.Glob(filepath.Dir(l.instanceDir("one")) + "/" + trashPrefix + "*")
		if len(runs) == 0 && len(logs) == 2 && len(trash) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("left are %q, %q and %q", runs, logs, trash)
		}
	}
}

// Two leaders with the same epoch are told apart: the later one holds.
func TestAnEqualEpochTakesOver(t *testing.T) {
	dir := tempDir(t)
	first, second := unled(t, dir), unled(t, dir)
	for _, l := range []*Launcher{first, second} {
		defer l.Close(context.Background(), true, 0)
		if err := l.Lead(t.Context(), 7); err != nil {
			t.Fatal(err)
		}
	}
	if err := first.Start(t.Context(), workload("one", 1, launchertest.Serves)); !errors.Is(err, launcher.ErrFenced) {
		t.Errorf("start by the first: %v", err)
	}
	start(t, second, workload("one", 1, launchertest.Serves)).Ready("one", 1)
	if err := second.Lead(t.Context(), 8); err == nil || errors.Is(err, launcher.ErrFenced) {
		t.Errorf("leading twice: %v", err)
	}
}

// A hand that does not come to its end, since it is frozen with its control
// plane, does not keep the next one from leading.
func TestAHandThatHoldsTheLockForTooLongIsKilled(t *testing.T) {
	dir := tempDir(t)
	first := opened(t, dir)
	epoch := filepath.Join(first.cfg.DataDir, hand.EpochFile)
	if err := os.Rename(epoch, epoch+".kept"); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(epoch, 0o600); err != nil { // to be read for ever
		t.Fatal(err)
	}
	order := hand.Order{Leader: termOf(t, first).leader, Signal: &hand.Signal{}}
	acted := make(chan error, 1)
	go func() {
		_, err := first.order(order)
		acted <- err
	}()
	for deadline := time.Now().Add(time.Minute); len(first.lockHolders()) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the hand does not take the lock")
		}
	}
	stuck := first.lockHolders()[0]
	if err := unix.Kill(stuck, unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(epoch+".kept", epoch); err != nil {
		t.Fatal(err)
	}
	second := opened(t, dir)
	if err := <-acted; !errors.Is(err, errSilent) {
		t.Errorf("the hand that was killed: %v", err)
	}
	start(t, second, workload("one", 1, launchertest.Serves)).Ready("one", 1)
}

// Who holds the lock and is no hand is left alone, and named: an earlier version
// held it for as long as it ran.
func TestAFolderThatIsLockedOtherwiseIsNotUsed(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: it takes ten seconds to give up")
	}
	dir := t.TempDir()
	lock, err := os.Create(filepath.Join(dir, hand.LockFile))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	_, err = New(config(t, dir))
	if want := fmt.Sprintf("process %d keeps the data folder", os.Getpid()); err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v", err)
	}
}

// A hand begins before the packages that a large program has.
func TestAHandIsServedBeforeTheProgramIsInitialised(t *testing.T) {
	cmd := exec.Command(os.Args[0], hand.Arg, t.TempDir())
	cmd.Env = []string{"GODEBUG=inittrace=1"}
	text, err := cmd.CombinedOutput()
	if err == nil {
		t.Error("a hand without an order ends well")
	}
	if !strings.Contains(string(text), "init os @") {
		t.Fatalf("no trace: %s", text)
	}
	for _, late := range []string{"net/http", "net", "golang.org/x/sys/unix", "path/filepath", "go.uber.org/zap"} {
		if strings.Contains(string(text), "init "+late+" @") {
			t.Errorf("%s is initialised before it", late)
		}
	}
}

// A folder of a launcher that knew no epochs is taken over with what runs.
func TestAFolderOfAnEarlierLayoutIsTakenOver(t *testing.T) {
	dir := tempDir(t)
	l := openLauncher(t, dir)
	ready := start(t, l, workload("one", 1, launchertest.Serves)).Ready("one", 1)
	if err := l.Close(t.Context(), false, 0); err != nil {
		t.Fatal(err)
	}
	in := l.instanceDir("one")
	s, err := readState(in)
	if err != nil {
		t.Fatal(err)
	}
	logs, run := filepath.Join(in, "logs"), filepath.Join(in, "run", s.Run.Folder)
	moves := [][2]string{
		{filepath.Join(logs, s.Log), filepath.Join(logs, "current.log")},
		{filepath.Join(run, "app"), filepath.Join(in, "run", "1")},
		{filepath.Join(run, "home"), filepath.Join(in, "home")},
		{filepath.Join(run, "tmp"), filepath.Join(in, "tmp")},
		{filepath.Join(run, "token"), filepath.Join(in, "token")},
	}
	for _, m := range moves {
		if err := os.Rename(m[0], m[1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(logs, "previous.log"), []byte("of old\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Log, s.PreviousLog, s.Run.Folder = "", "", ""
	old, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	files, err := stateFiles(in)
	if err != nil || len(files) != 1 {
		t.Fatalf("states %v, %v", files, err)
	}
	if err := errors.Join(os.WriteFile(filepath.Join(in, oldState), old, 0o600), os.Remove(filepath.Join(in, files[0].name)),
		os.Remove(filepath.Join(dir, hand.EpochFile)), os.Remove(keptName(dir, readKept(dir))), os.RemoveAll(run)); err != nil {
		t.Fatal(err)
	}

	l = opened(t, dir)
	if now := launchertest.Observe(t, l).Initial()["one"]; now.State != launcher.Ready || now.Identity != ready.Identity {
		t.Fatalf("adopted as %+v, was %+v", now, ready)
	}
	if log := currentLog(t, l, "one"); !strings.Contains(log, "it serves") {
		t.Errorf("log %q", log)
	}
	start(t, l, workload("one", 2, launchertest.Serves)).Ready("one", 2)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
		found, err := names(in)
		if err == nil && fmt.Sprint(found) == fmt.Sprintf("[logs run state.%d.json]", epochs.Load()) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("left are %q, %v", found, err)
		}
	}
	previous, err := l.Logs(t.Context(), "one", launcher.LogOptions{Previous: true})
	if err != nil {
		t.Fatal(err)
	}
	defer previous.Close()
	if first := firstLine(previous); first != "serves has started" {
		t.Errorf("the previous log begins with %q", first)
	}
}

func names(dir string) (found []string, err error) {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		found = append(found, e.Name())
	}
	return found, err
}
