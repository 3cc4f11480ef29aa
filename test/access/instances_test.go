package access

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// Spec access.md §3. Each open is asked by a browser, through the sign-in's
// redirects, and by a program with a ticket.
const instancesSharing = `
§3                         | anonymous | visitor | tag visitor | full | instance owner | app owner | admin
open PRIVATE DOMAIN        | login     | 404     | 404         | 404  | ✓              | 403       | 403
open ALL_USERS DOMAIN      | login     | 404     | 404         | ✓    | ✓              | ✓         | ✓
open PUBLIC DOMAIN         | ✓         | ✓       | ✓           | ✓    | ✓              | ✓         | ✓
open PRIVATE DOMAIN MANAGED     | login | 404    | 404         | 404  | ✓              | 403       | 403
open ALL_USERS DOMAIN MANAGED   | login | 404    | ✓           | ✓    | ✓              | ✓         | ✓
open PUBLIC DOMAIN MANAGED      | ✓     | ✓      | ✓           | ✓    | ✓              | ✓         | ✓
open PRIVATE BASE_URL      | login     | 404     | 404         | 404  | ✓              | 403       | 403
open ALL_USERS BASE_URL    | login     | 404     | 404         | ✓    | ✓              | ✓         | ✓
open PUBLIC BASE_URL       | ✓         | ✓       | ✓           | ✓    | ✓              | ✓         | ✓
open PRIVATE BASE_URL MANAGED   | login | 404    | 404         | 404  | ✓              | 403       | 403
open ALL_USERS BASE_URL MANAGED | login | 404    | ✓           | ✓    | ✓              | ✓         | ✓
open PUBLIC BASE_URL MANAGED    | ✓     | ✓      | ✓           | ✓    | ✓              | ✓         | ✓
metadata PRIVATE           | login     | 404     | 404         | 404  | ✓              | ✓         | ✓
metadata ALL_USERS         | login     | 404     | 404         | ✓    | ✓              | ✓         | ✓
metadata PUBLIC            | login     | 404     | 404         | ✓    | ✓              | ✓         | ✓
list PRIVATE               | login     | –       | –           | –    | ✓              | ✓         | ✓
list ALL_USERS             | login     | –       | –           | ✓    | ✓              | ✓         | ✓
list PUBLIC                | login     | –       | –           | ✓    | ✓              | ✓         | ✓
logs PRIVATE               | login     | 404     | 404         | 404  | ✓              | ✓         | ✓
logs ALL_USERS             | login     | 404     | 404         | 403  | ✓              | ✓         | ✓
logs PUBLIC                | login     | 404     | 404         | 403  | ✓              | ✓         | ✓
update PRIVATE             | login     | 404     | 404         | 404  | ✓              | 403       | ✓
update ALL_USERS           | login     | 404     | 404         | 403  | ✓              | 403       | ✓
update PUBLIC              | login     | 404     | 404         | 403  | ✓              | 403       | ✓
suspend PRIVATE            | login     | 404     | 404         | 404  | ✓              | 403       | ✓
suspend ALL_USERS          | login     | 404     | 404         | 403  | ✓              | 403       | ✓
suspend PUBLIC             | login     | 404     | 404         | 403  | ✓              | 403       | ✓
resume PRIVATE             | login     | 404     | 404         | 404  | ✓              | 403       | ✓
resume ALL_USERS           | login     | 404     | 404         | 403  | ✓              | 403       | ✓
resume PUBLIC              | login     | 404     | 404         | 403  | ✓              | 403       | ✓
redeploy PRIVATE           | login     | 404     | 404         | 404  | 403            | 403       | ✓
redeploy ALL_USERS         | login     | 404     | 404         | 403  | 403            | 403       | ✓
redeploy PUBLIC            | login     | 404     | 404         | 403  | 403            | 403       | ✓
terminate PRIVATE          | login     | 404     | 404         | 404  | ✓              | 403       | ✓
terminate ALL_USERS        | login     | 404     | 404         | 403  | ✓              | 403       | ✓
terminate PUBLIC           | login     | 404     | 404         | 403  | ✓              | 403       | ✓
`

// Without base_url_sharing only its owner opens a BASE_URL instance; others
// get 403 where they may know of it. PUBLIC ones are of the time before.
const instancesDefault = `
§3                         | anonymous | visitor | tag visitor | full | instance owner | app owner | admin
open PRIVATE BASE_URL      | login     | 404     | 404         | 404  | ✓              | 403       | 403
open ALL_USERS BASE_URL    | login     | 404     | 404         | 403  | ✓              | 403       | 403
open PUBLIC BASE_URL       | login     | 404     | 404         | 403  | ✓              | 403       | 403
open ALL_USERS BASE_URL MANAGED | login | 404    | 404         | 403  | ✓              | 403       | 403
open PUBLIC BASE_URL MANAGED    | login | 404    | 404         | 403  | ✓              | 403       | 403
open PRIVATE DOMAIN        | login     | 404     | 404         | 404  | ✓              | 403       | 403
open ALL_USERS DOMAIN      | login     | 404     | 404         | ✓    | ✓              | ✓         | ✓
open PUBLIC DOMAIN         | ✓         | ✓       | ✓           | ✓    | ✓              | ✓         | ✓
`

func (w *world) askInstances(t *testing.T) { w.askTable(t, instancesSharing, w.instanceCell) }

// instanceCell asks one cell of §3.
func (w *world) instanceCell(t *testing.T, e *edge, p *person, row []string) string {
	t.Helper()
	visibility := row[1]
	in := w.things.changed[visibility]
	path := "/instances/" + in.ID
	switch row[0] {
	case "open":
		lifecycle := "ON_DEMAND"
		if len(row) > 3 {
			lifecycle = row[3]
		}
		in := w.things.instances[visibility+" "+row[2]+" "+lifecycle]
		browser, program := p.browser(t, e).visit(t, in), p.call(t, e, in)
		if browser != program {
			return "by a browser " + browser + ", by a program " + program
		}
		return browser
	case "metadata":
		return p.api(t, e, "GET "+path, "").verdict()
	case "list":
		a := p.api(t, e, "GET /instances?limit=1000", "")
		if a.StatusCode/100 == 2 && !strings.Contains(string(a.body), in.ID) {
			return "–"
		}
		return a.verdict()
	case "logs":
		return p.api(t, e, "GET "+path+"/logs", "").verdict()
	case "update":
		return p.api(t, e, "PATCH "+path, fmt.Sprintf(`{"visibility":%q}`, visibility)).verdict()
	case "suspend", "resume", "redeploy":
		a := p.api(t, e, "POST "+path+"/"+row[0], "")
		if a.StatusCode == http.StatusOK {
			w.await(t, in, map[string]string{"suspend": "SUSPENDED", "resume": "DEPLOYED", "redeploy": "DEPLOYED"}[row[0]])
		}
		return a.verdict()
	case "terminate":
		if doomed := w.things.doomed[visibility+" "+p.name+" "+e.name]; doomed != nil {
			in = doomed
		}
		return p.api(t, e, "DELETE /instances/"+in.ID, "").verdict()
	}
	t.Fatalf("what is %q?", row)
	return ""
}

// await waits until an instance has a status.
func (w *world) await(t *testing.T, in *v1.Instance, status string) {
	t.Helper()
	slipwaytest.Eventually(t, in.ID+" is "+status, func() bool {
		var now v1.Instance
		w.people["ann"].must(t, "GET", "/instances/"+in.ID, "", &now)
		return now.Status == status
	})
}
