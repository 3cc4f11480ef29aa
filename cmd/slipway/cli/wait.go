package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

const defaultTimeout = 5 * time.Minute

// patience is how many looks in a row may find the control plane away, which
// may be a restart of it.
const patience = 20

// waitFlags are --timeout and those of the edges, which come to know it last.
type waitFlags struct {
	*edgeWait
	timeout time.Duration
}

func (p *program) waitFlags(c *cobra.Command) *waitFlags {
	w := &waitFlags{edgeWait: p.edgeWaitFlags(c, "until it is done, and on every live edge")}
	w.timeout = defaultTimeout
	waitLimitFlag(c, &w.timeout, "timeout", "how long to wait until it is done")
	return w
}

// goal is what a change of an instance leads to.
type goal struct {
	done   string // what to say of it
	status controlplane.Status
	// ended are the statuses from which the goal is not reached any more:
	// somebody else did something.
	ended []controlplane.Status
}

var (
	running = goal{"deployed", controlplane.Deployed, []controlplane.Status{controlplane.Failed, controlplane.Suspending, controlplane.Suspended, controlplane.Terminating}}
	asleep  = goal{"suspended", controlplane.Suspended, []controlplane.Status{controlplane.Failed, controlplane.Resuming, controlplane.Deployed, controlplane.Terminating}}
	gone    = goal{done: "terminated"}
)

// settling is a change under way.
type settling struct {
	in    *v1.Instance // as the change was answered
	goal  goal
	wait  *waitFlags
	view  func(*v1.Instance) view
	after bool // print what the wait ended with, not what the change was answered with
}

// settle prints an instance after a change, and waits for the change's end
// where that is asked for.
func (p *program) settle(ctx context.Context, api *client.Client, s settling) error {
	// JSON and YAML show the end of the wait: one document, and the status
	// in it is worth having.
	after := s.after || p.output == "json" || p.output == "yaml"
	if !s.wait.waits() {
		return p.print(s.view(s.in))
	}
	if !after {
		if err := p.print(s.view(s.in)); err != nil {
			return err
		}
	}
	begin := p.now()
	last, err := p.await(ctx, api, s)
	if err == nil {
		err = p.onEveryEdge(ctx, api, s.wait.edgeWait, begin)
	}
	if after {
		if printed := p.print(s.view(last)); err == nil {
			err = printed
		}
	}
	return err
}

// await polls until the goal is reached, and returns the instance as it was
// last seen, in every case.
func (p *program) await(ctx context.Context, api *client.Client, s settling) (*v1.Instance, error) {
	begin := p.now()
	ctx, cancel := context.WithTimeoutCause(ctx, s.wait.timeout, errWaited)
	defer cancel()
	in, away, stage := s.in, 0, ""
	for {
		switch status := controlplane.Status(in.Status); {
		case s.goal.status != "" && status == s.goal.status:
			p.say("%s in %s", s.goal.done, p.now().Sub(begin).Round(100*time.Millisecond))
			return in, nil
		case status == controlplane.Failed && s.goal.status == controlplane.Deployed:
			return in, failed(in)
		case slices.Contains(s.goal.ended, status):
			return in, controlplane.Errorf(controlplane.CodeInternal, "wait for instance %s: it is %s meanwhile", in.ID, in.Status).
				WithHint("slipway instance get %s shows it", in.ID)
		}
		if now := progress(in); now != stage {
			p.say("%s", now)
			stage = now
		}
		if err := sleep(ctx, p.poll); err != nil {
			return in, waitEnded(ctx, s, in)
		}
		next, err := api.Instance(ctx, in.ID)
		switch {
		case err == nil:
			in, away = next, 0
		case ctx.Err() != nil:
			return in, waitEnded(ctx, s, in)
		case s.goal.status == "" && client.CodeOf(err) == controlplane.CodeNotFound:
			p.say("%s in %s", s.goal.done, p.now().Sub(begin).Round(100*time.Millisecond))
			return in, nil
		case exitCode(ctx, err) == ExitUnavailable && away < patience:
			away++
		default:
			return in, err
		}
	}
}

var errWaited = errors.New("wait timed out")

// waitEnded is why a wait ended before its goal. What is under way goes on.
func waitEnded(ctx context.Context, s settling, in *v1.Instance) error {
	if !errors.Is(context.Cause(ctx), errWaited) {
		return ctx.Err()
	}
	return controlplane.Errorf(controlplane.CodeTimeout, "wait for instance %s: still %s after %s", in.ID, progress(in), s.wait.timeout).
		WithHint("it goes on; slipway instance get %s --watch shows how far it is", in.ID)
}

func failed(in *v1.Instance) error {
	what := fmt.Sprintf("instance %s failed", in.ID)
	if in.Reason != nil {
		what += ": " + reason(in.Reason)
	}
	return controlplane.Errorf(controlplane.CodeInternal, "%s", what).
		WithHint("slipway instance logs %s shows what it wrote", in.ID)
}

// progress is how far a change is, in a few words: "PENDING (dependencies)".
func progress(in *v1.Instance) string {
	if stage := text(in.Stage); stage != "" {
		return oneLine(in.Status + " (" + stage + ")")
	}
	return oneLine(in.Status)
}
