// Package console serves the console's host: for now a read-only list of what
// runs, with links.
package console

import (
	"bytes"
	"html/template"
	"net/http"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/lifecycle"
	"github.com/seed-dbc68772/slipway/routing"
)

// row is one instance of the list.
type row struct {
	URL, Title, Status, ID, Mode, Owner, Reason string
}

// shown is how many instances and apps the list holds.
const shown = 1000

// New makes the handler of the console's host.
func New(service *controlplane.Service, site *routing.Site) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Cache-Control", "no-store")
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		switch {
		case r.URL.Path != "/":
			http.Error(w, "There is no such page.", http.StatusNotFound)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			header.Set("Allow", "GET, HEAD")
			http.Error(w, "The console is read-only.", http.StatusMethodNotAllowed)
		default:
			body, err := render(r, service, site)
			if err != nil {
				http.Error(w, "The store does not answer; try again.", http.StatusServiceUnavailable)
				return
			}
			header.Set("Content-Type", "text/html; charset=utf-8")
			_, _ = w.Write(body) // a visitor who left needs no answer
		}
	})
}

func render(r *http.Request, service *controlplane.Service, site *routing.Site) ([]byte, error) {
	ctx, page := r.Context(), controlplane.Page{Limit: shown}
	// Nobody is signed in: what only they see who are is not there.
	instances, err := service.Instances(ctx, controlplane.Actor{}, page)
	if err != nil && controlplane.CodeOf(err) != controlplane.CodeUnauthorized {
		return nil, err
	}
	apps, err := service.Apps(ctx, controlplane.Actor{}, page)
	if err != nil && controlplane.CodeOf(err) != controlplane.CodeUnauthorized {
		return nil, err
	}
	rows := make([]row, len(instances.Items))
	for i, in := range instances.Items {
		rows[i] = row{
			URL: lifecycle.CanonicalURL(site, in), Title: in.AppName + " " + in.AppVersion,
			Status: string(in.Status), ID: in.ID, Mode: string(in.RoutingMode), Owner: in.Owner,
		}
		if in.Reason != nil {
			rows[i].Reason = in.Reason.String()
		}
	}
	var out bytes.Buffer
	err = list.Execute(&out, map[string]any{
		"Instances": rows, "Apps": apps.Items, "More": instances.NextAfter != "" || apps.NextAfter != "",
	})
	return out.Bytes(), err
}

var list = template.Must(template.New("list").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Slipway</title>
<style>
body{font:1rem/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;width:100%;margin-bottom:2rem}
th,td{text-align:left;padding:.35rem .75rem .35rem 0;border-bottom:1px solid color-mix(in srgb,currentColor 20%,transparent);vertical-align:top}
code{font-size:.85em}
</style>
<h1>Slipway</h1>
<h2>Instances</h2>
{{if .Instances}}<table>
<tr><th scope="col">App<th scope="col">Status<th scope="col">Open<th scope="col">Owner
{{range .Instances}}<tr><td>{{.Title}}<br><code>{{.ID}}</code><td>{{.Status}}{{with .Reason}}<br>{{.}}{{end}}<td><a href="{{.URL}}" rel="noopener noreferrer">{{.URL}}</a><br>{{.Mode}}<td>{{.Owner}}
{{end}}</table>{{else}}<p>None yet. Start one with <code>slipway app run ID</code>.{{end}}
<h2>Apps</h2>
{{if .Apps}}<table>
<tr><th scope="col">App<th scope="col">Description<th scope="col">Owner
{{range .Apps}}<tr><td>{{.Title}} {{.Version}}<br><code>{{.ID}}</code><td>{{.Description}}<td>{{.Owner}}
{{end}}</table>{{else}}<p>None yet. Import one with <code>slipway bundle import</code>.{{end}}
{{if .More}}<p>There are more; <code>slipway instance list</code> and <code>slipway app list</code> show all.{{end}}
</html>
`))
