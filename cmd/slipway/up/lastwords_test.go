package up

import (
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// What ends the process from within says so where people look, and how to mend
// it.
func TestWhatEndsTheProcessIsSaid(t *testing.T) {
	full := fmt.Errorf("save: %w", &fs.PathError{Op: "write", Path: "/data/etcd/wal", Err: syscall.ENOSPC})
	for name, c := range map[string]struct {
		end  func(*zap.Logger)
		want []string
	}{
		"a full disk": {
			func(l *zap.Logger) { l.Fatal("failed to save", zap.String("path", "wal"), zap.Error(full)) },
			[]string{"error: the store has ended", "failed to save: save: write /data/etcd/wal: no space left on device", "hint: free space on the disk of /data and start"},
		},
		"a full disk at the start": {
			func(l *zap.Logger) { l.Panic("failed to create", zap.Error(full)) },
			[]string{"failed to create: save: write /data/etcd/wal: no space left", "hint: free space"},
		},
		"anything else": {
			func(l *zap.Logger) { l.Named("etcd").Fatal("broken", zap.Error(errors.New("bad checksum"))) },
			[]string{"broken: bad checksum", "hint: look into /data/slipway.log"},
		},
		"without a cause": {
			func(l *zap.Logger) { l.Fatal("broken") },
			[]string{"instances go on: broken\n", "hint: look into"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			code := -1
			words := lastWords{&run{paths: paths{data: "/data"}}, &out, func(with int) { code = with; runtime.Goexit() }}
			log := zap.New(zapcore.NewNopCore(), words.options()...)
			ended := make(chan struct{})
			go func() { defer close(ended); c.end(log) }()
			<-ended
			for _, want := range c.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in %q", want, out.String())
				}
			}
			if code != 1 {
				t.Errorf("exit code %d", code)
			}
		})
	}
}
