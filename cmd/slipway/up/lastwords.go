package up

import (
	"errors"
	"fmt"
	"io"
	"syscall"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// lastWords says why the process ends. The embedded etcd ends it from within, on
// a full disk for one, once it has logged that; nobody reads the log of a process
// that they think runs. Instances go on, as after a kill.
type lastWords struct {
	*run
	out  io.Writer
	exit func(code int)
}

// options are of the logger that etcd has.
func (w lastWords) options() []zap.Option {
	return []zap.Option{zap.WithFatalHook(w), zap.WithPanicHook(w)}
}

// OnWrite implements zapcore.CheckWriteHook.
func (w lastWords) OnWrite(e *zapcore.CheckedEntry, fields []zapcore.Field) {
	var cause error
	for _, f := range fields {
		if err, ok := f.Interface.(error); ok && f.Type == zapcore.ErrorType {
			cause = err
		}
	}
	ended := fail(cause, "the store has ended, and with it slipway up; instances go on: %s", e.Message)
	fmt.Fprintf(w.out, "error: %v\nhint: %s\n", ended, w.mend(cause))
	w.exit(1)
}

// mend is what to do about an error of the data folder.
func (r *run) mend(err error) string {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Sprintf("free space on the disk of %s and start slipway up again: what it has confirmed is safe there", r.data)
	}
	return "look into " + r.logFile()
}
