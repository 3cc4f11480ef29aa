package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

func (p *program) routeCommands() *cobra.Command {
	return p.group("route", "Ask where requests go", p.routeExplain())
}

func (p *program) routeExplain() *cobra.Command {
	c := &cobra.Command{
		Use:   "explain URL",
		Short: "Tell what an edge would answer to a request, and why",
		Long: `Tell what an edge would answer to a request, and why: each step of the decision,
in the order in which the edge takes it. The request is not sent.

Headers count where the edge looks at them: Host, Upgrade, Authorization and
Accept for its answer, and all of them for what the app gets ("-o json" has the
whole of it).`,
		Example: `  slipway route explain http://sales.localhost:8080/
  slipway route explain http://sales.localhost:8080/ws --websocket
  slipway route explain http://sales.localhost:8080/form -X POST -H 'Accept: text/html'
  slipway route explain http://10.0.0.7/ -H 'Host: sales.localhost'`,
		Args: takes(1, 1, "the URL"),
	}
	p.outputFlag(c, "json", "yaml")
	var r v1.ExplainRequest
	c.Flags().StringVarP(&r.Method, "method", "X", "GET", "the request's `METHOD`")
	c.Flags().StringArrayVarP(&r.Headers, "header", "H", nil, "a header of the request, as '`Name: value`'; may be repeated")
	c.Flags().BoolVar(&r.WebSocket, "websocket", false, "the request asks for a WebSocket")
	c.Flags().StringVar(&r.From, "from", "", "the client's IP `ADDRESS`, as a trusted proxy's (default a stranger's)")
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := p.client()
		if err != nil {
			return err
		}
		r.URL, r.Method = args[0], strings.ToUpper(r.Method)
		if !strings.Contains(r.URL, "://") {
			scheme, _, _ := strings.Cut(api.Endpoint(), "://")
			r.URL = scheme + "://" + r.URL
		}
		e, err := api.Explain(c.Context(), r)
		if err != nil {
			return err
		}
		return p.print(p.explanationView(e))
	}
	return c
}

// explanationView prints what there is: most answers have few of the fields.
func (p *program) explanationView(e *v1.Explanation) view {
	return view{value: e, text: func(w io.Writer, _ bool) error {
		var fields []field
		for _, f := range []field{
			{"URL", e.URL}, {"Method", e.Method}, {"Kind", e.Kind}, {"Status", statusText(e.Status)}, {"Location", e.Location},
			{"Code", e.Code}, {"Content Type", e.Type},
			{"Rule", e.Rule}, {"Alias", text(e.Alias)}, {"Instance ID", text(e.Instance)},
			{"Instance Status", e.State}, {"Endpoint", e.Endpoint}, {"Dropped", strings.Join(e.Dropped, ", ")}, {"Revision", e.Revision},
		} {
			if f.value != "" {
				fields = append(fields, f)
			}
		}
		if err := block(w, 0, fields); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(w); err != nil {
			return err
		}
		var rows [][]cell
		for _, s := range e.Steps {
			rows = append(rows, cells(s.Step, statusText(s.Status), s.Found, s.Rule))
		}
		return p.table(w, []string{"STEP", "STATUS", "FOUND", "RULE"}, rows)
	}}
}

// statusText is the status of an answer, or "" where there is none.
func statusText(status int) string {
	if status == 0 {
		return ""
	}
	return strconv.Itoa(status)
}
