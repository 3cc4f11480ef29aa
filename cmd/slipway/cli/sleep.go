package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
	"github.com/seed-dbc68772/slipway/routing"
)

func (p *program) instanceStatus() *cobra.Command {
	c := &cobra.Command{Use: "status ID", Short: "Show how far an instance is", Args: takes(1, 1, "the instance's ID")}
	return p.showing(c, func(ctx context.Context, api *client.Client, args []string) (view, error) {
		s, err := api.InstanceStatus(ctx, args[0])
		if err != nil {
			return view{}, err
		}
		return view{value: s, names: []string{"instance/" + s.ID}, text: func(w io.Writer, _ bool) error {
			fields := []field{{"ID", s.ID}, {"Status", s.Status}, {"Stage", text(s.Stage)}}
			if said := progressOf(s); said != "" {
				fields = append(fields, field{"Progress", said})
			}
			return block(w, 0, append(fields, field{"Reason", reason(s.Reason)}, field{"Retry At", stamp(s.RetryAt)}))
		}}, nil
	})
}

// progressOf is what a start says of itself, such as "45 %  installing numpy (3
// of 12)".
func progressOf(s *v1.InstanceStatus) string {
	percent := ""
	if s.Percent != nil {
		percent = fmt.Sprintf("%d %%", *s.Percent)
	}
	return strings.TrimSpace(percent + "  " + text(s.Text))
}

func (p *program) instanceWhy() *cobra.Command {
	c := &cobra.Command{
		Use:   "why ID",
		Short: "Tell why an instance is awake or asleep",
		Long: `Tell why an instance is awake or asleep: what woke it, what extended that last,
when it will sleep, and why it stopped. What it says of activity may be a minute
old.`,
		Args: takes(1, 1, "the instance's ID"),
	}
	return p.showing(c, func(ctx context.Context, api *client.Client, args []string) (view, error) {
		if p.output == "name" {
			in, err := api.Instance(ctx, args[0])
			if err != nil {
				return view{}, err
			}
			return p.instanceView(in), nil
		}
		why, err := api.Why(ctx, args[0])
		if err != nil {
			return view{}, err
		}
		return view{value: why, text: func(w io.Writer, _ bool) error { return block(w, 0, p.whyFields(why)) }}, nil
	})
}

func (p *program) whyFields(why *v1.Why) []field {
	fields := []field{{"Status", why.Status}, {"Because", controlplane.BecauseWords(why.Because)}, {"Since", stamp(&why.Since)}}
	add := func(name, value string) {
		if value != "" {
			fields = append(fields, field{name, value})
		}
	}
	if b := why.Begun; b != nil {
		add("Started By", beginning(b))
		add("Started At", stamp(&b.At))
		if b.ReadyAt != nil {
			add("Ready After", b.ReadyAt.Sub(b.At).Round(time.Millisecond).String())
		}
		for _, warning := range b.Warnings {
			add("Warning", warning)
		}
	}
	if why.ExtendedAt != nil {
		add("Last Used", strings.TrimSpace(stamp(why.ExtendedAt)+"  "+text(why.ExtendedBy)))
	}
	if why.Busy != nil {
		add("Busy Until", strings.TrimSpace(stamp(why.Busy.Until)+"  "+text(why.Busy.Reason)))
	}
	switch {
	case why.SleepsAt != nil:
		add("Sleeps At", stamp(why.SleepsAt))
	case why.Status == string(controlplane.Deployed):
		add("Sleeps At", "never by itself")
	}
	if s := why.Sleep; s != nil {
		slept := stamp(&s.At) + "  " + sleepCauses[s.Cause]
		if s.By != nil {
			slept += " by " + *s.By
		}
		add("Last Slept", slept)
	}
	add("Reason", reason(why.Reason))
	if why.RetryAt != nil {
		add("Retry At", stamp(why.RetryAt))
	}
	return fields
}

var sleepCauses = map[string]string{controlplane.SleepIdle: "nobody used it", controlplane.SleepAsked: "it was suspended"}

func beginning(b *v1.Beginning) string {
	what := controlplane.BegunWords(b.Cause)
	if b.Cause == controlplane.BegunVisit && b.Kind != nil {
		what += " (" + *b.Kind + ")"
	}
	if b.User != nil {
		what += " by " + *b.User
	}
	if b.Edge != nil {
		what += " at " + *b.Edge
	}
	return what
}

func (p *program) instanceEvents() *cobra.Command {
	c := &cobra.Command{
		Use:   "events ID",
		Short: "List what happened to an instance",
		Long: `List what happened to an instance, the newest last; the last 64 events are kept.

With --follow it goes on with what comes, until Ctrl-C or the instance's end;
"-o json" then is one event on each line.`,
		Args: takes(1, 1, "the instance's ID"),
	}
	p.outputFlag(c, "json", "yaml")
	following := c.Flags().BoolP("follow", "f", false, "go on with what comes, until Ctrl-C")
	c.RunE = func(c *cobra.Command, args []string) error {
		if *following && p.output == "yaml" {
			return usageError(c, "--follow prints lines, and -o yaml has none: take -o json")
		}
		api, err := p.client()
		if err != nil {
			return err
		}
		if !*following {
			list, err := api.Events(c.Context(), args[0])
			if err != nil {
				return err
			}
			return p.print(p.eventTable(list))
		}
		seen := false
		for e, err := range api.FollowEvents(c.Context(), args[0]) {
			if seen && client.CodeOf(err) == controlplane.CodeNotFound {
				p.say("instance %s is terminated", args[0])
				return nil
			}
			if err == nil {
				seen, err = true, p.eventLine(&e)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	return c
}

func eventCells(e *v1.Event) []string {
	detail := e.Text
	if e.Reason != nil && !strings.HasPrefix(detail, *e.Reason) {
		detail = *e.Reason + ": " + detail
	}
	return []string{e.Time.UTC().Format(time.RFC3339), e.Type, text(e.Stage), detail}
}

func (p *program) eventTable(list []v1.Event) view {
	return view{value: items[v1.Event]{list}, text: func(w io.Writer, _ bool) error {
		var rows [][]cell
		for _, e := range list {
			rows = append(rows, cells(eventCells(&e)...))
		}
		return p.table(w, []string{"TIME", "TYPE", "STAGE", "TEXT"}, rows)
	}}
}

func (p *program) eventLine(e *v1.Event) error {
	if p.output == "json" {
		return p.writeLine(e)
	}
	row := eventCells(e)
	for i := range row {
		row[i] = oneLine(row[i])
	}
	if !p.OutTTY {
		return p.write([]byte(strings.Join(row, "\t") + "\n"))
	}
	return p.write([]byte(fmt.Sprintf("%s  %-9s  %-12s  %s\n", row[0], row[1], row[2], row[3])))
}

// conditions are what `instance wait` waits for, by their names.
var conditions = map[string]goal{
	"deployed": running, "suspended": asleep, "terminated": gone,
	"failed": {"failed", controlplane.Failed, []controlplane.Status{controlplane.Terminating}},
}

func (p *program) instanceWait() *cobra.Command {
	names := []string{"deployed", "suspended", "failed", "terminated"}
	c := &cobra.Command{
		Use:   "wait ID",
		Short: "Wait until an instance runs, sleeps, has failed or is gone",
		Long: `Wait until an instance is as --for says, and change nothing. What cannot come
about any more ends the wait with code 1, and --timeout with code 7.

What is gone already is terminated, too: give its whole ID then, for a part of
one may be mistyped, and ends the wait with code 3.`,
		Example: `  slipway instance wait 2efe9e --for=deployed --timeout 2m`,
		Args:    takes(1, 1, "the instance's ID"),
	}
	p.outputFlag(c)
	want := c.Flags().String("for", "deployed", strings.Join(names[:3], ", ")+" or "+names[3]+"; status=DEPLOYED and the like are the same")
	timeout := new(defaultTimeout)
	waitLimitFlag(c, timeout, "timeout", "how long to wait")
	c.RunE = func(c *cobra.Command, args []string) error {
		name, _ := strings.CutPrefix(strings.ToLower(*want), "status=")
		g, ok := conditions[name]
		if !ok {
			return usageError(c, "there is no condition %q: --for takes %s", *want, strings.Join(names, ", "))
		}
		// Who waits has changed nothing: what ends the wait of a change, since
		// somebody else did something, is only where the instance stands now.
		g.ended = slices.DeleteFunc(slices.Clone(g.ended), func(s controlplane.Status) bool { return s != controlplane.Terminating })
		api, err := p.client()
		if err != nil {
			return err
		}
		in, err := api.Instance(c.Context(), args[0])
		if name == "terminated" && client.CodeOf(err) == controlplane.CodeNotFound {
			return p.goneAlready(args[0], err)
		}
		if err != nil {
			return err
		}
		last, err := p.await(c.Context(), api, settling{in: in, goal: g, wait: &waitFlags{timeout: *timeout}})
		if err != nil {
			return err
		}
		return p.print(p.instanceView(last))
	}
	return c
}

// goneAlready is what a wait for the end of an instance comes to that is not
// there. By its whole ID it has ended; what else was given may be mistyped.
func (p *program) goneAlready(id string, absent error) error {
	if _, whole := routing.ParseID(id); whole {
		p.say("instance %s is gone", id)
		return nil
	}
	return controlplane.Errorf(controlplane.CodeNotFound, "%v", absent).
		WithHint("if it is gone already, only its whole ID tells; slipway instance list shows those that are there")
}

// disableAutosuspend is the command of that name of admins, as the App Store
// has it.
func (p *program) disableAutosuspend() *cobra.Command {
	c := &cobra.Command{
		Use:   "disable-autosuspend ID",
		Short: "Keep an instance from going to sleep by itself",
		Long: `Keep an instance from going to sleep by itself. It can be suspended by hand
still. --enable takes it back.`,
		Args: takes(1, 1, "the instance's ID"),
	}
	enable := c.Flags().Bool("enable", false, "let it sleep again")
	return changes(p, c, p.instanceView, func(ctx context.Context, api *client.Client, args []string) (*v1.Instance, error) {
		return api.UpdateInstance(ctx, args[0], v1.InstancePatch{Autosuspend: enable})
	})
}
