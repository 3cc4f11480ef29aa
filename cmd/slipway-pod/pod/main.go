//go:build linux

package pod

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/inpod"
)

const usage = `slipway-pod is called by Slipway's launcher for Kubernetes:
  slipway-pod [-message FILE] bundle FILE
  slipway-pod [-message FILE] dependencies APP ENV SCRATCH
  slipway-pod [-message FILE] run FILE
`

// step is one call of the program.
type step struct {
	args []string
	out  io.Writer // for people, and for the launcher
}

// Main runs a step and returns the exit code. A reason that it cannot go on for
// is written to the file of -message.
func Main(args []string) int {
	flags := flag.NewFlagSet("slipway-pod", flag.ContinueOnError)
	flags.Usage = func() { fmt.Fprint(os.Stderr, usage) }
	message := flags.String("message", inpod.TerminationLog, "`file` that a reason is written to")
	if flags.Parse(args) != nil {
		return 2
	}
	var do func(*step) (int, error)
	switch name, given := flags.Arg(0), flags.NArg()-1; {
	case name == inpod.StepBundle && given == 1:
		do = (*step).bundle
	case name == inpod.StepDependencies && given == 3:
		do = (*step).dependencies
	case name == inpod.StepRun && given == 1:
		do = (*step).run
	default:
		flags.Usage()
		return 2
	}
	code, err := do(&step{args: flags.Args()[1:], out: os.Stdout})
	if err == nil {
		return code
	}
	why := reasonOf(err)
	fmt.Fprintln(os.Stderr, "slipway:", why)
	if err := os.WriteFile(*message, inpod.Message(why), 0o600); err != nil {
		fmt.Fprintln(os.Stderr, "slipway: write termination message:", err)
	}
	return inpod.Failed
}

// failure is an error with its reason.
type failure struct{ controlplane.Reason }

func (f failure) Error() string { return f.String() }

func fail(code controlplane.ReasonCode, format string, args ...any) error {
	return failure{controlplane.Reason{Code: code, Text: fmt.Sprintf(format, args...)}}
}

// reasonOf is the reason of an error; what nobody foresaw is the launcher's.
func reasonOf(err error) controlplane.Reason {
	if f, ok := errors.AsType[failure](err); ok {
		return f.Reason
	}
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return controlplane.Reason{Code: controlplane.NoCapacity, Text: "the disk of the pod is full: " + err.Error()}
	}
	return controlplane.Reason{Code: controlplane.LauncherDown, Text: err.Error()}
}

// given reads what a step is given.
func given(name string, v any) error {
	text, err := os.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		return fmt.Errorf("read what the launcher gives: %w", err)
	}
	return nil
}

// asked is a context that ends when somebody asks the program to.
func asked() (context.Context, context.CancelFunc) {
	return signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
}

// progress says how far a step is.
func (s *step) progress(percent int, text string) {
	fmt.Fprintln(s.out, inpod.Progress(percent, text))
}

// say is a line for people.
func (s *step) say(format string, args ...any) {
	fmt.Fprintf(s.out, "slipway: "+format+"\n", args...)
}
