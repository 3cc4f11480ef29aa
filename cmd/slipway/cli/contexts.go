package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strconv"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/spf13/cobra"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// configCommands are the commands below config.
func (p *program) configCommands() *cobra.Command {
	return p.group("config", "Set up the command line, and choose between servers",
		p.configSetup(), p.configUpdateToken(), p.configContexts(), p.configUse(), p.configView())
}

func (p *program) configSetup() *cobra.Command {
	c := &cobra.Command{
		Use:   "setup [URL]",
		Short: "Set up this command line: ask where Slipway is, and sign in",
		Long: `Set up this command line: ask where Slipway is, and sign in there, as
"slipway login URL" does without a question.`,
		Args: takes(0, 1),
	}
	f := p.loginFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) == 0 {
			if !p.asks(false) {
				return usageError(c, "the URL is missing, and nobody is there to be asked for it")
			}
			target, err := p.ask(c.Context(), "URL of the console, such as https://console.example.com:")
			if err != nil {
				return err
			}
			if target == "" {
				return usageError(c, "the URL is missing")
			}
			args = []string{target}
		}
		return p.signIn(c, args, f)
	}
	return c
}

func (p *program) configUpdateToken() *cobra.Command {
	c := &cobra.Command{
		Use:   "update-token",
		Short: "Replace the token of the current context by one from standard input",
		Long: `Replace the token of the current context by one that is read from standard
input, on a terminal without echo. It is tried first: one that the server does
not take replaces nothing.`,
		Example: `  slipway config update-token < token.txt`,
		Args:    takes(0, 0),
	}
	c.RunE = func(c *cobra.Command, _ []string) error {
		if p.compatible() {
			return p.compatUpdateToken(c.Context())
		}
		file, f, err := p.contexts()
		if err != nil {
			return err
		}
		name, current, err := f.current(file)
		if err != nil {
			return err
		}
		token, err := p.pastedToken(c.Context())
		if err != nil {
			return err
		}
		return p.saveToken(c.Context(), saving{file: file, context: name, endpoint: current.Endpoint, token: token})
	}
	return c
}

// contexts reads the configuration file.
func (p *program) contexts() (file string, f contextFile, err error) {
	file, asked := p.configPath()
	if file != "" {
		f, err = p.readContexts(file)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && asked:
		return file, f, p.noFile(file)
	case file == "", errors.Is(err, fs.ErrNotExist):
		return file, f, controlplane.Errorf(controlplane.CodeNotFound, "there is no configuration file").WithHint("slipway login URL makes one")
	}
	return file, f, err
}

// shownContext is a context as it is shown: never with the whole token.
type shownContext struct {
	Name     string `json:"name"`
	Endpoint string `json:"endpoint"`
	Token    string `json:"token,omitempty"`
	Current  bool   `json:"current"`
}

func (f *contextFile) shown(path string) []shownContext {
	current, _, _ := f.current(path) // a file without one has contexts, too
	list := []shownContext{}
	for _, name := range f.names() {
		c := f.Contexts[name]
		list = append(list, shownContext{name, c.Endpoint, mask(c.Token), name == current})
	}
	return list
}

// mask leaves of a token what tells it from others.
func mask(token string) string {
	const shown, enough = 8, 32
	switch {
	case token == "":
		return ""
	case strings.HasPrefix(token, "slw_") && len(token) >= enough:
		return token[:shown] + "…"
	}
	return "…"
}

func (p *program) configContexts() *cobra.Command {
	c := &cobra.Command{Use: "get-contexts", Short: "List the contexts of the configuration file", Args: takes(0, 0)}
	p.outputFlag(c, "json", "yaml", "name")
	c.RunE = func(*cobra.Command, []string) error {
		file, f, err := p.contexts()
		if err != nil {
			return err
		}
		list := f.shown(file)
		return p.print(view{value: items[shownContext]{list}, names: f.names(), text: func(w io.Writer, _ bool) error {
			var rows [][]cell
			for _, c := range list {
				rows = append(rows, cells(c.Name, strconv.FormatBool(c.Current), c.Endpoint, strconv.FormatBool(c.Token != "")))
			}
			return p.table(w, []string{"NAME", "CURRENT", "ENDPOINT", "TOKEN"}, rows)
		}})
	}
	return c
}

func (p *program) configUse() *cobra.Command {
	c := &cobra.Command{Use: "use-context NAME", Short: "Make a context the current one", Args: takes(1, 1, "the context's name")}
	c.RunE = func(_ *cobra.Command, args []string) error {
		file, f, err := p.contexts()
		if err != nil {
			return err
		}
		if _, ok := f.Contexts[args[0]]; !ok {
			return noContext(file, args[0], f.names())
		}
		err = editContexts(file, func(f *contextFile) error {
			f.Current = args[0]
			return nil
		})
		if err != nil {
			return err
		}
		p.say("the current context is %s, of %s", oneLine(args[0]), oneLine(f.Contexts[args[0]].Endpoint))
		p.warnOfEnvironment(f.Contexts[args[0]].Endpoint)
		return nil
	}
	return c
}

func (p *program) configView() *cobra.Command {
	c := &cobra.Command{
		Use:   "view",
		Short: "Show the configuration file, without the tokens",
		Args:  takes(0, 0),
	}
	p.outputFlag(c, "json", "yaml")
	c.RunE = func(*cobra.Command, []string) error {
		if p.compatible() {
			return p.compatConfigView()
		}
		file, f, err := p.contexts()
		if err != nil {
			return err
		}
		value := struct {
			File     string         `json:"file"`
			Contexts []shownContext `json:"contexts"`
		}{file, f.shown(file)}
		return p.print(view{value: value, text: func(w io.Writer, _ bool) error {
			for name, c := range f.Contexts {
				c.Token = mask(c.Token)
				f.Contexts[name] = c
			}
			var data bytes.Buffer
			if err := toml.NewEncoder(&data).Encode(f); err != nil {
				return fmt.Errorf("encode configuration: %w", err)
			}
			_, err := fmt.Fprintf(w, "# %s\n%s", oneLine(file), clean(data.String()))
			return err
		}})
	}
	return c
}
