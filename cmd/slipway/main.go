// Command slipway is an edge router with a control plane of its own: Caddy
// with Slipway's modules, the control plane, and the command line.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/seed-dbc68772/slipway/caddymodule"
	"github.com/seed-dbc68772/slipway/cmd/slipway/cli"
	"github.com/seed-dbc68772/slipway/cmd/slipway/probe"
	"github.com/seed-dbc68772/slipway/cmd/slipway/sampleapp"
	"github.com/seed-dbc68772/slipway/cmd/slipway/secretkeys"
	"github.com/seed-dbc68772/slipway/cmd/slipway/up"
)

// version is set at the release: -ldflags "-X main.version=v1.2.3".
var version = "dev"

func main() {
	caddymodule.Version = version
	ctx := context.Background()
	if len(os.Args) > 1 && os.Args[1] == "up" {
		// It handles signals by itself: the first stops it cleanly.
		os.Exit(run(ctx))
	}
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt)
	code := run(ctx)
	stop()
	os.Exit(code)
}

func run(ctx context.Context) int {
	world := cli.IO{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv, Program: filepath.Base(os.Args[0]),
		OutTTY: term.IsTerminal(int(os.Stdout.Fd())), ErrTTY: term.IsTerminal(int(os.Stderr.Fd())),
	}
	caddy.CustomBinaryName = world.Name()
	commands := []*cobra.Command{up.Command(os.Stdout), secretkeys.Command(os.Stdout), probe.Command(os.Stdout), sampleCommand(), versionCommand()}
	return cli.Run(ctx, os.Args[1:], world, append(commands, caddyCommands()...)...)
}

func sampleCommand() *cobra.Command {
	return &cobra.Command{
		Use: "sample-app", Short: "Run the sample app on $PORT", Args: cobra.NoArgs, Hidden: true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return sampleapp.Run(cmd.Context(), os.Getenv, os.Stdout)
		},
	}
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Print the version", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			caddyVersion, _ := caddy.Version()
			fmt.Printf("slipway %s (Caddy %s)\n", version, caddyVersion)
			return nil
		},
	}
}

// replacing are commands of Caddy that would replace this binary with one
// without Slipway.
var replacing = []string{"upgrade", "add-package", "remove-package"}

// caddyCommands are Caddy's own commands and those of its plugins.
func caddyCommands() []*cobra.Command {
	var commands []*cobra.Command
	for name, command := range caddycmd.Commands() {
		c := &cobra.Command{Use: name, Short: command.Short + " (Caddy)", DisableFlagParsing: true}
		switch {
		case name == "version" || name == "completion" || name == "help":
			continue // Slipway has its own
		case slices.Contains(replacing, name):
			c.Hidden = true
			c.RunE = func(*cobra.Command, []string) error { return &refused{name} }
		default:
			c.Run = func(*cobra.Command, []string) { caddycmd.Main() }
		}
		commands = append(commands, c)
	}
	return commands
}

// refused is the error of a command that this binary must not run.
type refused struct{ name string }

func (r *refused) Error() string {
	return fmt.Sprintf("%s would replace this binary with a Caddy without Slipway; install a newer slipway instead", r.name)
}

// ExitCode implements the command line's interface: wrong usage.
func (*refused) ExitCode() int { return 2 }
