//go:build failpoints

package failpoint

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

var folder = os.Getenv("SLIPWAY_FAILPOINTS")

// Here is a place of this name: letters, digits and hyphens.
func Here(name string) {
	if folder == "" {
		return
	}
	armed := filepath.Join(folder, name)
	until, err := os.ReadFile(armed)
	if err != nil {
		return
	}
	pid := strconv.Itoa(os.Getpid())
	taken := armed + ".taken-" + pid
	// Of several that come here, one can rename it.
	if err := os.Rename(armed, taken); err != nil {
		return
	}
	err = os.WriteFile(taken, []byte(pid), 0o600)
	if err := errors.Join(err, os.Rename(taken, armed+".hit")); err != nil {
		panic(err) // a test that waits for it would wait for ever
	}
	for held := filepath.Join(folder, string(until)); ; time.Sleep(time.Millisecond) {
		if _, err := os.Stat(held); err != nil {
			return
		}
	}
}
