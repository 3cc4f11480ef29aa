package cli

import (
	"context"
	"errors"
	"os"
	"strings"

	"github.com/spf13/cobra"
)

// yesFlag adds -y to a command that asks before it destroys something.
func yesFlag(c *cobra.Command) *bool {
	return c.Flags().BoolP("yes", "y", false, "do not ask; nothing is asked either where stdin, stdout or stderr is no terminal, as in scripts")
}

// asks reports whether somebody is there to be asked: scripts have said what they
// want.
func (p *program) asks(yes bool) bool {
	if _, file := p.In.(*os.File); file {
		if _, terminal := p.terminal(); !terminal {
			return false
		}
	}
	return !yes && p.OutTTY && p.ErrTTY
}

// confirm asks, on a terminal only, whether to do what.
func (p *program) confirm(ctx context.Context, yes bool, what string) error {
	if !p.asks(yes) {
		return nil
	}
	answer, err := p.ask(ctx, what+"? [y/N]")
	if err != nil {
		return err
	}
	if a := strings.ToLower(answer); a == "y" || a == "yes" {
		return nil
	}
	return errors.New("nothing was done: the answer was not yes")
}
