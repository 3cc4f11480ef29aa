package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// yesFlag adds -y to a command that asks before it destroys something.
func yesFlag(c *cobra.Command) *bool {
	return c.Flags().BoolP("yes", "y", false, "do not ask")
}

// asks reports whether somebody is there to be asked.
func (p *program) asks(yes bool) bool {
	if f, ok := p.In.(*os.File); ok && !term.IsTerminal(int(f.Fd())) {
		return false
	}
	return !yes && p.OutTTY && p.ErrTTY
}

// confirm asks, on a terminal only, whether to do what.
func (p *program) confirm(ctx context.Context, yes bool, what string) error {
	if !p.asks(yes) {
		return nil
	}
	fmt.Fprintf(p.Err, "%s? [y/N] ", oneLine(what))
	answer := make(chan string, 1)
	go func() {
		// A read from a terminal cannot be interrupted: after Ctrl-C this
		// goroutine ends with the program.
		line, _ := bufio.NewReader(p.In).ReadString('\n')
		answer <- strings.ToLower(strings.TrimSpace(line))
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(p.Err)
		return ctx.Err()
	case a := <-answer:
		if a == "y" || a == "yes" {
			return nil
		}
		return errors.New("nothing was done: the answer was not yes")
	}
}
