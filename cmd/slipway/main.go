// Command slipway is an edge router with a control plane of its own: Caddy
// with Slipway's modules, the control plane, and the command line.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	"github.com/caddyserver/caddy/v2"
	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/seed-dbc68772/slipway/cmd/slipway/cli"
	"github.com/seed-dbc68772/slipway/cmd/slipway/sampleapp"
	"github.com/seed-dbc68772/slipway/cmd/slipway/up"
)

// version is set at the release: -ldflags "-X main.version=v1.2.3".
var version = "dev"

func main() {
	caddy.CustomBinaryName = "slipway"
	caddy.CustomVersion = version
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
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Env: os.Getenv,
		OutTTY: term.IsTerminal(int(os.Stdout.Fd())), ErrTTY: term.IsTerminal(int(os.Stderr.Fd())),
	}
	commands := []*cobra.Command{up.Command(os.Stdout), sampleCommand(), versionCommand()}
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
			_, caddyVersion := caddy.Version()
			fmt.Printf("slipway %s (Caddy %s)\n", version, caddyVersion)
			return nil
		},
	}
}

// caddys are Caddy's own commands.
var caddys = map[string]string{
	"run": "Run a Caddyfile in the foreground", "start": "Run a Caddyfile in the background",
	"stop": "Stop what start started", "reload": "Load a changed Caddyfile",
	"validate": "Check a Caddyfile", "adapt": "Print a Caddyfile as JSON", "fmt": "Format a Caddyfile",
	"list-modules": "List the modules of Caddy and Slipway", "environ": "Print the environment",
	"build-info": "Print how the binary was built", "hash-password": "Hash a password",
	"storage": "Export and import Caddy's storage", "trust": "Trust Caddy's local authority",
	"untrust": "Take that trust back", "file-server": "Serve a folder", "respond": "Serve one answer",
	"reverse-proxy": "Proxy to one address", "manpage": "Write manual pages",
}

// replacing are commands of Caddy that would replace this binary with one
// without Slipway.
var replacing = []string{"upgrade", "add-package", "remove-package"}

func caddyCommands() []*cobra.Command {
	var commands []*cobra.Command
	for name, short := range caddys {
		commands = append(commands, &cobra.Command{
			Use: name, Short: short + " (Caddy)", DisableFlagParsing: true,
			Run: func(*cobra.Command, []string) { caddycmd.Main() },
		})
	}
	for _, name := range replacing {
		commands = append(commands, &cobra.Command{
			Use: name, Hidden: true, DisableFlagParsing: true,
			RunE: func(*cobra.Command, []string) error {
				return &refused{name}
			},
		})
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
