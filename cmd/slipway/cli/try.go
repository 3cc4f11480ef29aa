package cli

import (
	"context"
	"errors"
	"io"
	"regexp"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

func (p *program) bundleTest() *cobra.Command {
	c := &cobra.Command{
		Use:   "test [DIR|FILE]",
		Short: "Run a folder until Ctrl-C, and take it away again",
		Long: `Import a bundle or a folder, the current one by default, as deploy does, run it
and print what it writes. Ctrl-C, or the end of the connection, terminates the
instance and deletes the app; what cannot be taken away is named with the
commands that do it. A second Ctrl-C changes nothing of that, a third gives up.`,
		Args: takes(0, 1),
	}
	v := visibilityFlag(c, "who may see the app and open the instance")
	timeout := new(defaultTimeout)
	waitLimitFlag(c, timeout, "timeout", "how long the start may take")
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := p.client()
		if err != nil {
			return err
		}
		d := deployment{p: p, api: api, visibility: v.String(), generate: true, path: p.path("."), quiet: true}
		if len(args) > 0 {
			d.path = p.path(args[0])
		}
		return killable(c.Context(), func(ctx context.Context) error {
			err := d.begin(ctx)
			if err == nil {
				err = d.try(ctx, *timeout)
			}
			d.clean(context.WithoutCancel(ctx))
			return err
		})
	}
	return c
}

// lastLines is where launchers say that the last lines of an app are. That log
// goes away with the instance.
var lastLines = regexp.MustCompile("its last lines are in (`[^`]*`|its log)")

// errLogsEnded is a log that ended while it was followed: the server went away,
// or somebody took the instance away.
var errLogsEnded = errors.New("the connection broke off")

// try prints what the instance writes until ctx ends, or the start fails, or
// the connection breaks.
func (d *deployment) try(ctx context.Context, timeout time.Duration) error {
	p := d.p
	waiting := "Waiting for instance to start..."
	if !p.compatible() { // the App Store's line ends there
		waiting += " (Ctrl-C ends it and takes it away)"
	}
	p.say("%s", waiting)
	ctx, cancel := context.WithCancel(ctx)
	logs, start := make(chan error, 1), make(chan error, 1)
	var both sync.WaitGroup
	defer both.Wait()
	defer cancel()
	both.Go(func() { logs <- d.follow(ctx) })
	both.Go(func() {
		_, err := p.await(ctx, d.api, settling{in: d.in, goal: running, wait: &waitFlags{timeout: timeout}})
		start <- err
	})
	for {
		select {
		case err := <-logs:
			return err
		case err := <-start:
			if err != nil {
				_ = sleep(ctx, 4*p.poll) // its last lines are on their way
				if e, ok := errors.AsType[*controlplane.Error](err); ok {
					e.Hint = "" // soon there is no instance to look at
					e.What = lastLines.ReplaceAllString(e.What, "its last lines are printed already")
				}
				return err
			}
			p.say("ID   %s\nURL  %s", oneLine(d.in.ID), oneLine(d.in.URL))
		}
	}
}

// follow prints the log. It returns an error, whatever ended it.
func (d *deployment) follow(ctx context.Context) error {
	logs, err := d.api.InstanceLogs(ctx, d.in.ID, client.Logs{Follow: true})
	if err != nil {
		return err
	}
	defer logs.Close()
	if err := d.p.copyLogs(logs); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if _, err := d.api.Instance(ctx, d.in.ID); err != nil && client.CodeOf(err) == controlplane.CodeNotFound {
		return err
	}
	return &controlplane.Error{Code: controlplane.CodeUnavailable, What: "follow the log of instance " + d.in.ID, Cause: errLogsEnded}
}

// copyLogs prints a log: on a terminal without what would drive it.
func (p *program) copyLogs(logs io.Reader) error {
	if !p.OutTTY {
		_, err := io.Copy(p.Out, logs)
		return err
	}
	out := &logWriter{w: p.Out, color: p.color()}
	_, err := io.Copy(out, logs)
	if end := out.Close(); err == nil {
		err = end
	}
	return err
}
