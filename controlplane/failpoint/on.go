//go:build failpoints

package failpoint

import (
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

var folder = os.Getenv("SLIPWAY_FAILPOINTS")

// Here is a place of this name: letters, digits and hyphens.
func Here(name string) {
	if folder == "" {
		return
	}
	armed := filepath.Join(folder, name)
	what, err := os.ReadFile(armed)
	if err != nil {
		return
	}
	pid := os.Getpid()
	// Of several that come here, one can rename it.
	if err := os.Rename(armed, armed+".taken-"+strconv.Itoa(pid)); err != nil {
		return
	}
	if err := os.WriteFile(armed+".hit", []byte(strconv.Itoa(pid)), 0o600); err != nil {
		panic(err) // a test that waits for it would wait for ever
	}
	signal := syscall.SIGKILL
	if string(what) == "stop" {
		signal = syscall.SIGSTOP
	}
	if err := syscall.Kill(pid, signal); err != nil {
		panic(err)
	}
}
