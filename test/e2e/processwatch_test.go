package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"time"
)

// processWatch looks again and again for the value in the command lines of all
// processes, and in the environment of all but the instances' own.
type processWatch struct {
	s     *slipway
	end   chan struct{}
	over  chan struct{}
	looks int
	found []string
}

func watchProcesses(s *slipway) *processWatch {
	w := &processWatch{s: s, end: make(chan struct{}), over: make(chan struct{})}
	go func() { // stop awaits it
		defer close(w.over)
		for {
			w.look()
			select {
			case <-w.end:
				return
			case <-time.After(5 * time.Millisecond):
			}
		}
	}()
	return w
}

func (w *processWatch) look() {
	w.looks++
	folders, _ := filepath.Glob("/proc/[0-9]*")
	for _, folder := range folders {
		if data, err := os.ReadFile(folder + "/cmdline"); err == nil && holds(data) {
			w.found = append(w.found, folder+"/cmdline")
		}
		data, err := os.ReadFile(folder + "/environ")
		if err == nil && holds(data) && !bytes.Contains(data, []byte("H2O_CLOUD_INSTANCE_ID=")) {
			w.found = append(w.found, folder+"/environ")
		}
	}
}

func (w *processWatch) stop() {
	select {
	case <-w.over:
	default:
		close(w.end)
		<-w.over
	}
}
