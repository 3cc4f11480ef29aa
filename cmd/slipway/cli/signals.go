package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"
)

// interrupted is the end by a signal.
type interrupted struct{}

func (interrupted) Error() string { return "interrupted" }

// ExitCode is the one of a program that Ctrl-C ended.
func (interrupted) ExitCode() int { return ExitInterrupted }

// killable is for a command that has something to take away at its end: a plain
// kill and the end of the terminal end do's context too, as Ctrl-C ends ctx.
func killable(ctx context.Context, do func(context.Context) error) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	err := do(ctx)
	if err != nil && ctx.Err() != nil {
		return interrupted{}
	}
	return err
}

// ownInterrupts are the signals that come from now on, until stop.
func ownInterrupts() (signals <-chan os.Signal, stop func()) {
	c := make(chan os.Signal, 1)
	signal.Notify(c, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	return c, func() { signal.Stop(c) }
}
