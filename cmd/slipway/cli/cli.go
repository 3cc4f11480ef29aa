package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// IO is the world that a command sees.
type IO struct {
	In     io.Reader // nil is empty
	Out    io.Writer // data; nil is nowhere
	Err    io.Writer // all else; nil is nowhere
	OutTTY bool      // Out is a terminal
	ErrTTY bool      // Err is a terminal
	Env    func(string) string
	Dir    string // relative paths are below it; empty is the working directory
	// Environ is all of the environment, for programs that are run; nil is this
	// process's.
	Environ []string
	Program string // what it was started as; empty is "slipway"
}

// Run runs a command line, without the program's name, and returns the exit
// code. It prints the error itself. The commands in extra stand beside its
// own, and one of them called version replaces its own.
func Run(ctx context.Context, args []string, io IO, extra ...*cobra.Command) int {
	return newProgram(io).run(ctx, args, extra)
}

// program is one run of a command line.
type program struct {
	IO
	now        func() time.Time
	poll       time.Duration // between two looks at an instance that is waited for
	watch      time.Duration // between two looks of --watch
	width      int           // of the terminal, in columns
	configFile string        // --config
	output     string        // -o, whatever command has it
	used       located       // the context of the client that was made last
	host       string        // this machine's name
	compat     compatState   // see compat.go
	pause      func(context.Context, time.Duration) error
	browse     func(url string) error // opens a browser
	interrupts func() (signals <-chan os.Signal, stop func())
}

func newProgram(world IO) *program {
	if world.In == nil {
		world.In = bytes.NewReader(nil)
	}
	if world.Out == nil {
		world.Out = io.Discard
	}
	if world.Err == nil {
		world.Err = io.Discard
	}
	if world.Env == nil {
		world.Env = os.Getenv
	}
	if world.Environ == nil {
		world.Environ = os.Environ()
	}
	p := &program{IO: world, now: time.Now, poll: 250 * time.Millisecond, watch: time.Second, pause: sleep, browse: openBrowser, interrupts: ownInterrupts}
	p.host, _ = os.Hostname() // it may have none: then a token's name does not tell
	p.width = terminalWidth(world)
	return p
}

func (p *program) run(ctx context.Context, args []string, extra []*cobra.Command) int {
	root := p.root(extra)
	root.SetArgs(p.compatArgs(args))
	if args == nil {
		root.SetArgs([]string{}) // nil is os.Args to cobra
	}
	root.SetIn(p.In)
	root.SetOut(p.Out)
	root.SetErr(p.Err)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return ExitDone
	}
	code := exitCode(ctx, err)
	p.printError(err, code)
	return code
}

// Groups of commands in the help.
const (
	groupApps   = "apps"
	groupAccess = "access"
	groupAdmin  = "admin"
	groupEdge   = "edge"
)

func (p *program) root(extra []*cobra.Command) *cobra.Command {
	root := p.group(p.Name(), "Edge router and app platform")
	root.Long = `Slipway runs apps from bundles and routes visitors to them.

Exit codes: 0 done, 1 failed, 2 usage or validation, 3 not found, 4 sign in
first, 5 not allowed, 6 conflict, 7 wait timed out, 8 unavailable,
130 interrupted.`
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetFlagErrorFunc(flagError)
	p.configFlags(root.PersistentFlags())
	root.PersistentPreRun = takeKinds
	root.AddGroup(
		&cobra.Group{ID: groupApps, Title: "Apps and instances:"},
		&cobra.Group{ID: groupAccess, Title: "Sign-in and configuration:"},
		&cobra.Group{ID: groupAdmin, Title: "Administration:"},
	)
	if !p.compatible() { // which hides them
		root.AddGroup(&cobra.Group{ID: groupEdge, Title: "Server and edge:"})
	}
	add := func(id string, commands ...*cobra.Command) {
		for _, c := range commands {
			c.GroupID = id
			root.AddCommand(c)
		}
	}
	add(groupApps, p.bundleCommands(), p.appCommands(true), p.instanceCommands(false), p.aliasCommands("alias"), p.tagCommands(false), p.secretCommands(false), p.envCommands(), p.exec())
	add(groupAccess, p.login(), p.logout(), p.whoami(), p.tokenCommands(), p.configCommands())
	add(groupAdmin, p.adminCommands(), p.routeCommands())
	version := true
	for _, c := range extra {
		version = version && c.Name() != "version"
		typeUsageErrors(c)
		if c.GroupID == "" {
			c.GroupID = groupEdge
		}
		root.AddCommand(c)
	}
	if version {
		root.AddCommand(p.version())
	}
	p.adapt(root)
	return root
}

// adminCommands are the commands of users, and those that only admins may
// use. What a caller may see and do is the server's to say.
func (p *program) adminCommands() *cobra.Command {
	admin := p.group("admin", "Administer apps, instances, aliases, tags, secrets, users and edges")
	admin.AddCommand(p.appCommands(false), p.instanceCommands(true), p.aliasCommands("admin alias"), p.tagCommands(true), p.secretCommands(true),
		p.userCommands(), p.edgeCommands(), p.leaderCommands(), p.auditCommands())
	return admin
}

// kinds are what -o name prints before an ID, by the commands that take it.
var kinds = map[string][]string{
	"app": {"app/"}, "instance": {"instance/"}, "alias": {"alias/", "instance/"}, "tag": {"tag/", "app/"},
	"user": {"user/"}, "token": {"token/"}, "secret": {"secret/"},
}

// takeKinds lets what -o name prints, such as app/ID, stand for an ID.
func takeKinds(c *cobra.Command, args []string) {
	if !c.HasParent() {
		return
	}
	switch c.Name() {
	case "import", "inspect":
		return // a path
	case "create":
		if c.Parent().Name() == "token" {
			return // a name for people
		}
	case "download", "set-image", "set-default-profile":
		args = args[:min(1, len(args))] // then a path, or an image
	}
	if c.Parent().Name() == "secret" {
		args = args[:min(1, len(args))] // then values
	}
	for i, arg := range args {
		for _, kind := range kinds[c.Parent().Name()] {
			if id, found := strings.CutPrefix(arg, kind); found {
				args[i] = id
			}
		}
	}
}

// group is a command that only has commands.
func (p *program) group(use, short string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use:   use,
		Short: short,
		Args:  cobra.ArbitraryArgs, // RunE tells what is wrong with them
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownCommand(c, args[0])
		}
		return c.Help()
	}
	c.AddCommand(commands...)
	return c
}

// client makes the client of a command.
func (p *program) client() (*client.Client, error) {
	l, err := p.config()
	if err != nil {
		return nil, err
	}
	p.used = l
	return client.New(client.Config{Endpoint: l.Endpoint, Token: l.Token})
}

// path is where a path of an argument is.
func (p *program) path(name string) string {
	if filepath.IsAbs(name) || p.Dir == "" {
		return name
	}
	return filepath.Join(p.Dir, name)
}

// say writes a line for people.
func (p *program) say(format string, args ...any) {
	fmt.Fprintln(p.Err, clean(redact(p.called(fmt.Sprintf(format, args...)))))
}

func (p *program) warn(format string, args ...any) { p.say("warning: "+format, args...) }
