package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// terminal is stdin, if it is a terminal.
func (p *program) terminal() (fd int, ok bool) {
	f, ok := p.In.(*os.File)
	if !ok {
		return 0, false
	}
	fd = int(f.Fd())
	return fd, term.IsTerminal(fd)
}

// typed waits for what read returns, or for the end of ctx. A read from a
// terminal or a pipe cannot be interrupted: after Ctrl-C it ends with the
// program.
func typed(ctx context.Context, read func() (string, error)) (string, error) {
	type answer struct {
		text string
		err  error
	}
	got := make(chan answer, 1)
	go func() {
		text, err := read()
		got <- answer{text, err}
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case a := <-got:
		return strings.TrimSpace(a.text), a.err
	}
}

// ask asks for a line.
func (p *program) ask(ctx context.Context, question string) (string, error) {
	fmt.Fprintf(p.Err, "%s ", oneLine(question))
	line, err := typed(ctx, func() (string, error) { return bufio.NewReader(p.In).ReadString('\n') })
	if ctx.Err() != nil {
		fmt.Fprintln(p.Err)
	}
	if errors.Is(err, io.EOF) {
		err = nil // what was typed before it counts
	}
	return line, err
}

const maxSecret = 4096

// secret reads a secret: from a terminal without echo, and elsewhere all of
// stdin.
func (p *program) secret(ctx context.Context, what string) (string, error) {
	fd, terminal := p.terminal()
	if !terminal {
		return typed(ctx, func() (string, error) {
			data, err := io.ReadAll(io.LimitReader(p.In, maxSecret+1))
			switch {
			case err != nil:
				return "", fmt.Errorf("read %s: %w", what, err)
			case len(data) > maxSecret:
				return "", controlplane.Errorf(controlplane.CodeInvalid, "read %s: it has more than %d bytes", what, maxSecret)
			}
			return string(data), nil
		})
	}
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", what, err)
	}
	fmt.Fprintf(p.Err, "%s (it is not shown): ", what)
	text, err := typed(ctx, func() (string, error) {
		data, err := term.ReadPassword(fd)
		return string(data), err
	})
	fmt.Fprintln(p.Err)
	if ctx.Err() != nil {
		return "", errors.Join(ctx.Err(), term.Restore(fd, before))
	}
	if err != nil {
		return "", fmt.Errorf("read %s: %w", what, err)
	}
	return text, nil
}
