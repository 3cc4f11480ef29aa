package cli

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-dbc68772/slipway/cmd/slipway/cli/local"
	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/bundle"
)

// The ports of exec: that of the App Store's command line, and that of Q8s.
const (
	execPort    = 10101
	execPortQ8s = 55555
)

func (p *program) exec() *cobra.Command {
	c := &cobra.Command{
		Use:   "exec [DIR|FILE] [-- ARG...]",
		Short: "Run a bundle here as the platform would, without a server",
		Long: `Run a bundle or a folder, the current one by default, on this machine: packed and
unpacked as an import would do it, with the environment that an instance finds.
Its Python packages are installed once into a virtual environment that is kept
below the user's cache folder. Ctrl-C ends all of its processes. Apps of mode
wave get a Wave server: that of their h2o-wave package, or $H2O_WAVE_SERVER.

Not there are a token for the API, volumes, files at absolute paths and limits;
a variable that is a secret comes from --env or from here.`,
		Example: `  slipway exec
  slipway exec hello --port 8000 --env GREETING=hi -- --verbose`,
		Args: func(c *cobra.Command, args []string) error {
			if dash := c.ArgsLenAtDash(); dash >= 0 {
				args = args[:dash]
			}
			return takes(0, 1)(c, args)
		},
	}
	standard := execPort
	if p.dialect() == q8sDialect {
		standard = execPortQ8s
	}
	port := c.Flags().Int("port", standard, "the `PORT` that the app is reached at")
	env := c.Flags().StringArray("env", nil, "set a variable, `NAME=VALUE`; may be repeated")
	c.RunE = func(c *cobra.Command, args []string) error {
		run := local.Config{Port: *port, Env: *env, Say: p.say, Warn: p.warn, Out: p.Out, Err: p.Err, Hurry: p.interrupts, Environ: p.Environ}
		if dash := c.ArgsLenAtDash(); dash >= 0 {
			args, run.Args = args[:dash], args[dash:]
		}
		if run.Port < 1 || run.Port > 65535 {
			return usageError(c, "--port %d is no port: it lies between 1 and 65535", run.Port)
		}
		for _, entry := range run.Env {
			if name, _, ok := strings.Cut(entry, "="); !ok || name == "" || strings.ContainsRune(entry, 0) {
				return usageError(c, "--env %q is not NAME=VALUE", name)
			}
		}
		path := p.path(".")
		if len(args) > 0 {
			path = p.path(args[0])
		}
		return killable(c.Context(), func(ctx context.Context) error {
			return p.execute(ctx, path, run, c.Flags().Changed("port"))
		})
	}
	return c
}

func (p *program) execute(ctx context.Context, path string, run local.Config, portGiven bool) error {
	a, err := p.archive(ctx, path, "")
	if err != nil {
		return err
	}
	defer a.discard()
	if run.Bundle, err = bundle.Open(a.file, a.size, bundle.Options{AnyServer: true}); err != nil {
		return err
	}
	p.faultWarnings(run.Bundle.Warnings)
	switch fixed := run.Bundle.Manifest.Runtime.Port; {
	case fixed == 0 || fixed == run.Port:
	case portGiven:
		return controlplane.Errorf(controlplane.CodeInvalid, "app.toml says that the app listens on port %d", fixed).
			WithHint("leave --port out, or Runtime.Port: the app then gets PORT")
	default:
		run.Port = fixed
	}
	cache, err := os.UserCacheDir()
	if home := p.Env("XDG_CACHE_HOME"); home != "" {
		cache, err = home, nil
	}
	if err != nil {
		return fmt.Errorf("find the folder of caches: %w", err)
	}
	run.Cache = filepath.Join(cache, "slipway", "envs")
	p.compatExec(&run, a, path)
	return local.Run(ctx, run)
}
