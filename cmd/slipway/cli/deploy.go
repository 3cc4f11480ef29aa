package cli

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

func (p *program) bundleDeploy() *cobra.Command {
	c := &cobra.Command{
		Use:   "deploy [DIR|FILE]",
		Short: "Import a folder as a new version and run it",
		Long: `Import a bundle or a folder, the current one by default, and run an instance of
it. The version gets the suffix -YYYYMMDDHHMMSS (UTC), so that this can be done
again and again. App and instances stay until they are taken away; where
something fails it says what is left, and the commands that take it away.`,
		Args: takes(0, 1),
	}
	p.outputFlag(c)
	v := visibilityFlag(c, "who may see the app and open the instance")
	generate := c.Flags().Bool("generate-version", true, "put the time behind the version")
	wait := p.waitFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := p.client()
		if err != nil {
			return err
		}
		d := deployment{p: p, api: api, visibility: v.String(), generate: *generate, path: p.path(".")}
		if len(args) > 0 {
			d.path = p.path(args[0])
		}
		if err = d.begin(c.Context()); err == nil {
			err = p.settle(c.Context(), api, settling{in: d.in, goal: running, wait: wait, view: d.view})
		}
		if err != nil {
			d.sayWhatIsLeft()
		}
		return err
	}
	return c
}

// deployment is an app that is imported and run in one go.
type deployment struct {
	p          *program
	api        *client.Client
	path       string // a folder or a file
	visibility string // of app and instance
	generate   bool   // the version's suffix
	quiet      bool   // stdout is for something else

	name, version string       // as sent; of a file without a suffix unknown
	app           *v1.App      // once imported
	in            *v1.Instance // once run
	unknown       bool         // the answer to the upload was lost: there may be an app
}

// attempts is how often a version is tried that somebody else took in the same
// second.
const attempts = 3

// begin imports the app and runs it, without waiting for its start.
func (d *deployment) begin(ctx context.Context) error {
	for try := 1; ; try++ {
		err := d.importApp(ctx)
		if err == nil {
			break
		}
		if !d.generate || client.CodeOf(err) != controlplane.CodeConflict || try == attempts {
			return err
		}
		if err := d.p.pause(ctx, time.Second); err != nil {
			return err
		}
	}
	if !d.quiet && (d.p.output == "" || d.p.output == "wide") {
		if err := d.p.print(d.p.appView(d.app)); err != nil {
			return err
		}
	}
	in, err := d.api.Run(ctx, v1.RunRequest{AppID: d.app.ID, Visibility: &d.visibility})
	d.in = in
	return err
}

func (d *deployment) importApp(ctx context.Context) error {
	suffix := ""
	if d.generate {
		suffix = d.p.now().UTC().Format("-20060102150405")
	}
	a, err := d.p.archive(ctx, d.path, suffix)
	if err != nil {
		return withSuffixHint(err, suffix)
	}
	defer a.discard()
	d.p.noteIcon(a)
	d.name, d.version = a.Manifest.Name, a.Manifest.Version
	d.app, d.unknown, err = d.p.upload(ctx, d.api, a, client.Import{Visibility: d.visibility})
	if d.app != nil {
		d.p.importWarnings(d.app)
	}
	return err
}

// view is app and instance together; as text, what app run prints.
func (d *deployment) view(in *v1.Instance) view {
	v := d.p.startedView(in)
	v.value = deployed{d.app, in}
	v.names = append([]string{"app/" + d.app.ID}, v.names...)
	return v
}

// deployed is what -o json prints.
type deployed struct {
	App      *v1.App      `json:"app"`
	Instance *v1.Instance `json:"instance"`
}

// sayWhatIsLeft names what a deployment that failed has made, and the commands
// that take it away.
func (d *deployment) sayWhatIsLeft() {
	if d.unknown {
		d.p.sayUnknown()
	}
	if d.app == nil {
		return
	}
	if d.in != nil {
		d.p.say("app %s and its instance stay; to take them away:", oneLine(d.app.Title+" "+d.app.Version))
		d.p.say("  slipway instance terminate %s --wait", oneLine(d.in.ID))
	} else {
		d.p.say("app %s stays; to take it away:", oneLine(d.app.Title+" "+d.app.Version))
	}
	d.p.say("  slipway app delete %s", oneLine(d.app.ID))
}

// withSuffixHint tells who is refused for too long a version that some of it
// is not theirs.
func withSuffixHint(err error, suffix string) error {
	e, ok := err.(*controlplane.Error) //nolint:errorlint // only as it comes from packing
	if !ok || suffix == "" || e.Hint != "" || controlplane.CodeOf(err) != controlplane.CodeInvalid {
		return err
	}
	with := *e
	return with.WithHint("the version has the suffix %s here; --generate-version=false leaves it as it is", suffix)
}
