package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// edgeCommands are the commands below admin edge.
func (p *program) edgeCommands() *cobra.Command {
	return p.group("edge", "See the live edges", p.edgeList())
}

func (p *program) edgeList() *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List the live edges", Args: takes(0, 0)}
	return p.showing(c, func(ctx context.Context, api *client.Client, _ []string) (view, error) {
		list, err := api.Edges(ctx)
		if err != nil {
			return view{}, err
		}
		return p.edgeTable(list.Items), nil
	})
}

func (p *program) edgeTable(list []v1.Edge) view {
	v := view{value: items[v1.Edge]{list}}
	for _, e := range list {
		v.names = append(v.names, "edge/"+e.Name)
	}
	v.text = func(w io.Writer, _ bool) error {
		var rows [][]cell
		for _, e := range list {
			lag := time.Duration(e.LagMS) * time.Millisecond
			rows = append(rows, cells(e.Name, e.Revision, lag.String(), e.Version, strconv.FormatInt(e.Connections, 10), p.age(e.Since)))
		}
		return p.table(w, []string{"NAME", "REVISION", "LAG", "VERSION", "CONNECTIONS", "SINCE"}, rows)
	}
	return v
}

// edgeWait are --wait, --no-wait and --wait-timeout of a command that changes
// something.
type edgeWait struct {
	wait, not bool
	timeout   time.Duration
}

const defaultEdgeTimeout = 30 * time.Second

// onEdges is what --wait waits for where the change itself is done at once.
const onEdges = "until the change is on every live edge"

// edgeWaitFlags adds the flags; wait is what --wait waits for.
func (p *program) edgeWaitFlags(c *cobra.Command, wait string) *edgeWait {
	w := &edgeWait{timeout: defaultEdgeTimeout}
	c.Flags().BoolVar(&w.wait, "wait", p.OutTTY, "wait "+wait+" (the default on a terminal)")
	c.Flags().BoolVar(&w.not, "no-wait", false, "do not wait; goes before --wait")
	waitLimitFlag(c, &w.timeout, "wait-timeout", "how long to wait for the edges")
	return w
}

func (w *edgeWait) waits() bool { return w.wait && !w.not }

// onEveryEdge waits until what the client has changed, or seen changed, is on
// every live edge, and says since when that was under way.
func (p *program) onEveryEdge(ctx context.Context, api *client.Client, w *edgeWait, begin time.Time) error {
	revision := api.Revision()
	if !w.waits() || revision == 0 {
		return nil
	}
	limited, cancel := context.WithTimeoutCause(ctx, w.timeout, errWaited)
	defer cancel()
	deadline := time.Now().Add(w.timeout)
	var last *v1.EdgeList
	for {
		// The server answers in time by itself, with who lags.
		list, err := api.AwaitEdges(ctx, revision, min(time.Until(deadline), client.MaxEdgeWait))
		switch {
		case err == nil && (list.All == nil || *list.All):
			p.say("on %s after %s", edgeCount(len(list.Items)), p.now().Sub(begin).Round(time.Millisecond))
			return nil
		case err == nil:
			last = list
		case ctx.Err() != nil:
			return ctx.Err()
		case client.CodeOf(err) != controlplane.CodeUnavailable:
			return fmt.Errorf("the change is made; wait for the edges: %w", err)
		}
		if err != nil || limited.Err() != nil {
			if sleep(limited, p.poll) != nil {
				return edgesLag(limited, w, last, err)
			}
		}
	}
}

// changing is a change that was made: what to print, and how to wait for the
// edges.
type changing struct {
	view  view
	wait  *edgeWait
	begin time.Time
}

// changed prints what a change led to, and waits until every edge has it.
func (p *program) changed(ctx context.Context, api *client.Client, c changing) error {
	if err := p.print(c.view); err != nil {
		return err
	}
	return p.onEveryEdge(ctx, api, c.wait, c.begin)
}

func edgeCount(n int) string {
	switch n {
	case 0:
		return "no edge, for none is live,"
	case 1:
		return "the one live edge"
	}
	return fmt.Sprintf("all %d live edges", n)
}

// edgesLag is why a wait ended before every edge had the change.
func edgesLag(ctx context.Context, w *edgeWait, last *v1.EdgeList, err error) error {
	if !errors.Is(context.Cause(ctx), errWaited) {
		return ctx.Err()
	}
	if last == nil {
		return fmt.Errorf("the change is made; wait for the edges: %w", err)
	}
	var lag []string
	for _, e := range last.Items {
		if e.Applied != nil && !*e.Applied {
			lag = append(lag, e.Name)
		}
	}
	return controlplane.Errorf(controlplane.CodeTimeout, "wait for the edges: after %s not yet on %s", w.timeout, strings.Join(lag, ", ")).
		WithHint("the change is made, and each edge that can follows; slipway admin edge list --watch shows them")
}
