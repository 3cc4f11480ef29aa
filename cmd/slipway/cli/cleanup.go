package cli

import (
	"context"
	"slices"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// cleanTimeout bounds the taking away: an instance has 30 s by default to end
// by itself, and a control plane may be starting again meanwhile.
const cleanTimeout = 2 * time.Minute

// clean terminates the instances of the app and deletes it, and says what it
// could not do. Of further signals the second ends it.
func (d *deployment) clean(ctx context.Context) {
	if d.app == nil && !d.unknown {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, cleanTimeout)
	defer cancel()
	signals, stop := d.p.interrupts()
	defer stop()
	go func() { // ends with the cleaning
		for told := false; ; told = true {
			select {
			case <-ctx.Done():
				return
			case <-signals:
				if told {
					cancel()
					return
				}
				d.p.say("still taking it away; Ctrl-C once more gives that up")
			}
		}
	}()
	var left []v1.Instance
	var why error
	for {
		there, err := d.remove(ctx)
		if err == nil {
			return
		}
		if why == nil || ctx.Err() == nil { // else giving up is all that it says
			left, why = there, err
		}
		if !mayPass(err) || sleep(ctx, d.p.poll) != nil {
			d.sayWhatStays(why, left)
			return
		}
	}
}

// mayPass reports an error that the same call may not meet again: the end of
// instances takes a while, and a server may come back, or an edge find another.
func mayPass(err error) bool {
	code := exitCode(context.Background(), err)
	return code == ExitConflict || code == ExitUnavailable
}

// remove is one attempt. What it does not know of is not there: it returns the
// instances that are.
func (d *deployment) remove(ctx context.Context) (left []v1.Instance, err error) {
	if d.app == nil {
		// The answer to the upload was lost: there may be an app.
		if d.app, err = d.find(ctx); err != nil || d.app == nil {
			return nil, err
		}
	}
	if left, err = collect(d.api.FindInstances(ctx, client.Filter{"app": d.app.ID})); err != nil {
		return left, err
	}
	for _, in := range left {
		if in.Status == string(controlplane.Terminating) {
			continue
		}
		if _, err := d.api.Terminate(ctx, in.ID); err != nil && client.CodeOf(err) != controlplane.CodeNotFound {
			return left, err
		}
	}
	err = d.api.DeleteApp(ctx, d.app.ID, false)
	if err != nil && client.CodeOf(err) != controlplane.CodeNotFound {
		return left, err
	}
	d.p.say("took app %s away again", oneLine(d.app.Title+" "+d.app.Version))
	return nil, nil
}

// find is the app by the name and the version that were sent.
func (d *deployment) find(ctx context.Context) (*v1.App, error) {
	for app, err := range d.api.FindApps(ctx, client.Filter{"name": d.name}) {
		if err != nil {
			return nil, err
		}
		if app.Version == d.version {
			return &app, nil
		}
	}
	return nil, nil
}

// sayWhatStays names what could not be taken away, and the commands that do it.
func (d *deployment) sayWhatStays(err error, left []v1.Instance) {
	if d.app == nil {
		d.p.warn("whether app %s %s was imported is not known: %v", oneLine(d.name), d.version, err)
		d.p.say("  slipway app list")
		return
	}
	d.p.warn("app %s stays: %v; to take it away:", oneLine(d.app.Title+" "+d.app.Version), err)
	if d.in != nil && !slices.ContainsFunc(left, func(in v1.Instance) bool { return in.ID == d.in.ID }) {
		left = append(left, *d.in)
	}
	for _, in := range left {
		d.p.say("  slipway instance terminate %s --wait", oneLine(in.ID))
	}
	d.p.say("  slipway app delete %s", oneLine(d.app.ID))
}
