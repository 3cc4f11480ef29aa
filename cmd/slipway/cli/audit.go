package cli

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// auditCommands are the commands below admin audit.
func (p *program) auditCommands() *cobra.Command {
	return p.group("audit", "See who changed what", p.auditList())
}

func (p *program) auditList() *cobra.Command {
	c := &cobra.Command{
		Use:   "list",
		Short: "List what was changed, by whom and from where",
		Long: `List what was changed, by whom and from where, in the order of time. Nothing
removes a record.

With --follow it goes on with what comes, until Ctrl-C, and is not thrown out
by a restart of the server; "-o json" then is one record on each line.`,
		Example: `  slipway admin audit list --object alias/sales
  slipway admin audit list --actor dana -n 20 --follow`,
		Args: takes(0, 0),
	}
	p.outputFlag(c, "json", "yaml", "wide")
	var filter client.AuditFilter
	c.Flags().StringVar(&filter.Actor, "actor", "", "changes by a `USER`, by instance/ID or by system")
	c.Flags().StringVar(&filter.Object, "object", "", "changes of an `OBJECT` such as alias/sales or app/ID")
	last := c.Flags().IntP("last", "n", 0, "only the last `N` records (default all)")
	follow := c.Flags().BoolP("follow", "f", false, "go on with what comes, until Ctrl-C")
	c.RunE = func(c *cobra.Command, _ []string) error {
		switch {
		case *last < 0:
			return usageError(c, "-n is no number of records: %d", *last)
		case *follow && p.output == "yaml":
			return usageError(c, "--follow prints lines, and -o yaml has none: take -o json")
		}
		api, err := p.client()
		if err != nil {
			return err
		}
		records, revision, err := api.AllAudit(c.Context(), filter)
		if err != nil {
			return err
		}
		if *last > 0 && len(records) > *last {
			records = records[len(records)-*last:]
		}
		if !*follow {
			return p.print(p.auditTable(records))
		}
		lines := &auditLines{p: p, widths: auditWidths(records)}
		if err := lines.header(); err != nil {
			return err
		}
		for i := range records {
			if err := lines.print(&records[i]); err != nil {
				return err
			}
		}
		for r, err := range api.FollowAudit(c.Context(), filter, revision) {
			if err == nil {
				err = lines.print(&r)
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	return c
}

var auditHeader = []string{"TIME", "ACTOR", "ACTION", "OBJECT", "ADDRESS", "DETAIL", "REVISION", "ID"}

// auditCells are a record's, of which all but the last two are always shown.
func auditCells(r *v1.AuditRecord, wide bool) []string {
	out := []string{r.Time.UTC().Format(time.RFC3339), r.Actor, r.Action, r.Object, r.Address, r.Detail, r.Revision, r.ID}
	if !wide {
		out = out[:6]
	}
	return out
}

func (p *program) auditTable(list []v1.AuditRecord) view {
	return view{value: items[v1.AuditRecord]{list}, text: func(w io.Writer, wide bool) error {
		var rows [][]cell
		for _, r := range list {
			rows = append(rows, cells(auditCells(&r, wide)...))
		}
		header := auditHeader
		if !wide {
			header = header[:6]
		}
		return p.table(w, header, rows)
	}}
}

// auditLines prints records one by one, where a table would have to know them
// all.
type auditLines struct {
	p      *program
	widths []int // of the columns on a terminal
}

func auditWidths(records []v1.AuditRecord) []int {
	widths := []int{20, 12, 16, 24, 15, 0, 8, 0} // in characters, where nothing is known yet
	for i := range records {
		for j, s := range auditCells(&records[i], true) {
			const most = 48
			if widths[j] > 0 {
				widths[j] = max(widths[j], min(most, len(oneLine(s))))
			}
		}
	}
	return widths
}

func (l *auditLines) header() error {
	if l.p.output == "json" {
		return nil
	}
	n := len(auditHeader)
	if l.p.output != "wide" {
		n = 6
	}
	return l.line(auditHeader[:n])
}

func (l *auditLines) print(r *v1.AuditRecord) error {
	if l.p.output != "json" {
		return l.line(auditCells(r, l.p.output == "wide"))
	}
	return l.p.writeLine(r)
}

func (l *auditLines) line(cells []string) error {
	var out strings.Builder
	for i, s := range cells {
		switch s = oneLine(s); {
		case l.p.OutTTY && i < len(cells)-1:
			fmt.Fprintf(&out, "%-*s  ", l.widths[i], s)
		case i < len(cells)-1:
			out.WriteString(s + "\t")
		default:
			out.WriteString(s)
		}
	}
	return l.p.write([]byte(strings.TrimRight(out.String(), " ") + "\n"))
}
