package cli

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// This file and its neighbours compat_*.go are what differs where the program
// is started as h2o or q8s-cli: the App Store's configuration file, its blocks
// and tables, and what its scripts gave that Slipway's own command line does
// not take.

// compatState is what a run has beside.
type compatState struct {
	commands      map[string]bool // of the root, by name; see program.called
	icon          string          // the file's name, of the bundle that was read last; see noteIcon
	preconditions bool            // --precondition
}

// compatLong is the help of the root.
const compatLong = `This is slipway, which speaks as the App Store's command line when it is called
so: with that one's configuration file, and its output. "slipway" by its own
name has everything, the commands of a server too.

Exit codes: 0 done, 1 failed, 2 usage or validation, 3 not found, 4 sign in
first, 5 not allowed, 6 conflict, 7 wait timed out, 8 unavailable,
130 interrupted.`

// configFlags adds --config, as h2o under its name there too.
func (p *program) configFlags(flags *pflag.FlagSet) {
	if !p.compatible() {
		flags.StringVar(&p.configFile, "config", "", "configuration `FILE` (default $SLIPWAY_CONFIG, ./.slipway/cli.toml, ~/.slipway/config.toml)")
		return
	}
	flags.StringVar(&p.configFile, "conf", "", "configuration `FILE` (default $H2OCONFIG, ~/.h2oai/h2o-cli-config.toml)")
	flags.StringVar(&p.configFile, "config", "", "as --conf")
	flags.Lookup("config").Hidden = true
}

// compatArgs are arguments as this program takes them: h2o instance list has
// -wide, which would be four flags of one letter.
func (p *program) compatArgs(args []string) []string {
	if !p.compatible() {
		return args
	}
	out := make([]string, len(args))
	for i, arg := range args {
		if out[i] = arg; arg == "--" {
			copy(out[i:], args[i:])
			break
		}
		if arg == "-wide" {
			out[i] = "--wide"
		}
	}
	return out
}

// adapt makes the tree one of the App Store's command line, and gives the
// texts of the tree the program's name.
func (p *program) adapt(root *cobra.Command) {
	p.compat.commands = map[string]bool{}
	for _, c := range root.Commands() {
		// Those of a server are slipway's, under that name.
		p.compat.commands[c.Name()] = !p.compatible() || c.GroupID != groupEdge
	}
	if p.compatible() {
		p.adaptCommands(root)
	}
	if p.Name() != ownName {
		p.rename(root)
	}
}

func (p *program) adaptCommands(root *cobra.Command) {
	root.Short, root.Long = "The App Store's command line, for Slipway", compatLong
	for _, c := range root.Commands() {
		if c.GroupID == groupEdge {
			c.Hidden, c.GroupID = true, "" // they work, and are slipway's
		}
	}
	at := func(path string) *cobra.Command {
		c := root
		for name := range strings.FieldsSeq(path) {
			for _, sub := range c.Commands() {
				if sub.Name() == name {
					c = sub
					break
				}
			}
		}
		return c
	}
	for _, path := range []string{"config get-contexts", "config use-context"} {
		c := at(path)
		c.Parent().RemoveCommand(c) // the file has no contexts
	}
	at("config").Short = "Set up the command line"
	noPlatform := refusal{"Slipway has no platform tokens: one token is for everything", "slipway config update-token replaces it"}
	at("config").AddCommand(refusing("update-platform-token", noPlatform))
	root.AddCommand(p.hidden(p.group("platform", "Tokens of the platform", refusing("token-info", noPlatform),
		refusing("refresh-token", noPlatform), refusing("access-token", noPlatform))))
	noPolicies := refusal{"Slipway has no policies to write: roles, visibilities and tags say who may do what", "docs/access.md tells who may do what"}
	iam := p.hidden(p.group("iam", "Policies"))
	for _, name := range []string{"delete", "export", "get", "import", "list"} {
		iam.AddCommand(refusing(name, noPolicies))
	}
	at("admin").AddCommand(iam)
	for _, path := range []string{"bundle", "app bundle"} {
		refuseFlags(at(path), refusal{"Slipway writes neither a Dockerfile nor Helm charts", "leave the flag out: slipway bundle packs the folder"},
			"generate-dockerfile", "generate-helm-charts")
	}
	for _, path := range []string{"app list", "admin app list", "instance list", "admin instance list"} {
		p.wideFlag(at(path))
	}
	for _, path := range []string{"app list", "admin app list"} {
		at(path).Flags().BoolVar(&p.compat.preconditions, "precondition", false, "show what the apps wait for that cannot be run")
	}
}

func (p *program) hidden(c *cobra.Command) *cobra.Command {
	c.Hidden = true
	return c
}

// wideFlag adds --wide, which is -o wide.
func (p *program) wideFlag(c *cobra.Command) {
	wide := c.Flags().VarPF(&wideValue{p}, "wide", "", "as -o wide")
	wide.NoOptDefVal, wide.Hidden = "true", true
}

type wideValue struct{ p *program }

func (w *wideValue) String() string { return "" }
func (w *wideValue) Type() string   { return "bool" }

func (w *wideValue) Set(string) error {
	if w.p.output == "" {
		w.p.output = "wide"
	}
	return nil
}

// refusal says why something of the App Store's is not there.
type refusal struct{ what, hint string }

func (r refusal) err() error {
	return controlplane.Errorf(controlplane.CodeInvalid, "%s", r.what).WithHint("%s", r.hint)
}

// refusing is a command that the App Store's command line has, and this one
// refuses whatever its arguments are.
func refusing(name string, why refusal) *cobra.Command {
	return &cobra.Command{
		Use: name, Short: "Not in Slipway", Hidden: true, DisableFlagParsing: true,
		RunE: func(*cobra.Command, []string) error { return why.err() },
	}
}

// refuseFlags adds flags that would change what a command does, and are
// refused.
func refuseFlags(c *cobra.Command, why refusal, names ...string) {
	for _, name := range names {
		c.Flags().Bool(name, false, "not in Slipway")
		c.Flags().Lookup(name).Hidden = true
	}
	run := c.RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		for _, name := range names {
			if c.Flags().Changed(name) {
				return why.err()
			}
		}
		return run(c, args)
	}
}

// rename gives the commands in the texts of a tree the program's name.
func (p *program) rename(c *cobra.Command) {
	c.Short, c.Long, c.Example = p.called(c.Short), p.called(c.Long), p.called(c.Example)
	c.Flags().VisitAll(func(f *pflag.Flag) { f.Usage = p.called(f.Usage) })
	for _, sub := range c.Commands() {
		p.rename(sub)
	}
}
