package cli

import (
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

func (p *program) routeCommands() *cobra.Command {
	return p.group("route", "Ask where requests go", p.routeExplain())
}

func (p *program) routeExplain() *cobra.Command {
	c := &cobra.Command{
		Use:   "explain URL",
		Short: "Tell what an edge would answer to a request, and why",
		Long:  "Tell what an edge would answer to a request, and why. The request is not sent.",
		Example: `  slipway route explain http://sales.localhost:8080/
  slipway route explain http://sales.localhost:8080/ws --websocket
  slipway route explain http://sales.localhost:8080/form -X POST`,
		Args: takes(1, 1, "the URL"),
	}
	p.outputFlag(c, "json", "yaml")
	method := c.Flags().StringP("method", "X", "GET", "the request's `METHOD`")
	socket := c.Flags().Bool("websocket", false, "the request asks for a WebSocket")
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := p.client()
		if err != nil {
			return err
		}
		url := args[0]
		if !strings.Contains(url, "://") {
			scheme, _, _ := strings.Cut(api.Endpoint(), "://")
			url = scheme + "://" + url
		}
		e, err := api.Explain(c.Context(), client.Request{URL: url, Method: strings.ToUpper(*method), WebSocket: *socket})
		if err != nil {
			return err
		}
		return p.print(explanationView(e))
	}
	return c
}

// explanationView prints what there is: most answers have few of the fields.
func explanationView(e *v1.Explanation) view {
	return view{value: e, text: func(w io.Writer, _ bool) error {
		status := ""
		if e.Status != 0 {
			status = strconv.Itoa(e.Status)
		}
		var fields []field
		for _, f := range []field{
			{"URL", e.URL}, {"Method", e.Method}, {"Kind", e.Kind}, {"Status", status}, {"Location", e.Location},
			{"Rule", e.Rule}, {"Alias", text(e.Alias)}, {"Instance ID", text(e.Instance)},
			{"Instance Status", e.State}, {"Endpoint", e.Endpoint}, {"Revision", e.Revision},
		} {
			if f.value != "" {
				fields = append(fields, f)
			}
		}
		return block(w, 0, fields)
	}}
}
