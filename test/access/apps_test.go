package access

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

func decode(t *testing.T, a *answer, out any) {
	t.Helper()
	if err := json.Unmarshal(a.body, out); err != nil {
		t.Fatalf("%v in %s", err, a)
	}
}

// Spec access.md §2, with public_mode. A dash there is what somebody gets who
// may not even know of it (404), or only see it (403), or is nobody (login).
const appsPublicMode = `
§2                     | anonymous | tag visitor | visitor | full | owner | admin
see PRIVATE            | login     | 404         | 404     | 404  | ✓     | ✓
see ALL_USERS          | login     | ✓           | 404     | ✓    | ✓     | ✓
see PUBLIC             | ✓         | ✓           | ✓       | ✓    | ✓     | ✓
list PRIVATE           | –         | –           | –       | –    | ✓     | ✓
list ALL_USERS         | –         | ✓           | –       | ✓    | ✓     | ✓
list PUBLIC            | ✓         | ✓           | ✓       | ✓    | ✓     | ✓
run PRIVATE            | login     | 404         | 404     | 404  | ✓     | ✓
run ALL_USERS          | login     | ✓           | 404     | ✓    | ✓     | ✓
run PUBLIC             | login     | ✓           | 403     | ✓    | ✓     | ✓
run PRIVATE MANAGED    | login     | 404         | 404     | 404  | ✓     | ✓
run ALL_USERS MANAGED  | login     | 403         | 404     | 403  | ✓     | ✓
run PUBLIC MANAGED     | login     | 403         | 403     | 403  | ✓     | ✓
update PRIVATE         | login     | 404         | 404     | 404  | ✓     | ✓
update ALL_USERS       | login     | 403         | 404     | 403  | ✓     | ✓
update PUBLIC          | login     | 403         | 403     | 403  | ✓     | ✓
delete PRIVATE         | login     | 404         | 404     | 404  | ✓     | ✓
delete ALL_USERS       | login     | 403         | 404     | 403  | ✓     | ✓
delete PUBLIC          | login     | 403         | 403     | 403  | ✓     | ✓
download PRIVATE       | login     | 404         | 404     | 404  | ✓     | ✓
download ALL_USERS     | login     | 403         | 404     | 403  | ✓     | ✓
download PUBLIC        | login     | 403         | 403     | 403  | ✓     | ✓
meta PRIVATE           | login     | 404         | 404     | 404  | ✓     | ✓
meta ALL_USERS         | login     | 403         | 404     | 403  | ✓     | ✓
meta PUBLIC            | login     | 403         | 403     | 403  | ✓     | ✓
visit PRIVATE          | login     | 404         | 404     | 404  | ✓     | ✓
visit ALL_USERS        | login     | ✓           | 404     | ✓    | ✓     | ✓
visit PUBLIC           | ✓         | ✓           | ✓       | ✓    | ✓     | ✓
check PRIVATE          | login     | 404         | 404     | 404  | ✓     | ✓
check ALL_USERS        | login     | 403         | 404     | 403  | ✓     | ✓
check PUBLIC           | login     | 403         | 403     | 403  | ✓     | ✓
check all              | login     | 403         | 403     | 403  | 403   | ✓
offers                 | login     | ✓           | ✓       | ✓    | ✓     | ✓
import                 | login     | 403         | 403     | ✓    |       | ✓
container              | login     | 403         | 403     | 403  | 403   | ✓
image PRIVATE          | login     | 404         | 404     | 404  | 403   | ✓
image ALL_USERS        | login     | 403         | 404     | 403  | 403   | ✓
image PUBLIC           | login     | 403         | 403     | 403  | 403   | ✓
`

// Without it PUBLIC apps count as ALL_USERS.
const appsDefault = `
§2                     | anonymous | tag visitor | visitor | full | owner | admin
see PRIVATE            | login     | 404         | 404     | 404  | ✓     | ✓
see ALL_USERS          | login     | ✓           | 404     | ✓    | ✓     | ✓
see PUBLIC             | login     | ✓           | 404     | ✓    | ✓     | ✓
list PUBLIC            | login     | ✓           | –       | ✓    | ✓     | ✓
run PUBLIC             | login     | ✓           | 404     | ✓    | ✓     | ✓
run PUBLIC MANAGED     | login     | 403         | 404     | 403  | ✓     | ✓
update PUBLIC          | login     | 403         | 404     | 403  | ✓     | ✓
visit PUBLIC           | login     | ✓           | 404     | ✓    | ✓     | ✓
download PUBLIC        | login     | 403         | 404     | 403  | ✓     | ✓
image PUBLIC           | login     | 403         | 404     | 403  | 403   | ✓
`

func (w *world) askApps(t *testing.T) { w.askTable(t, appsPublicMode, w.appCell) }

// appCell asks one cell of §2. What it makes it removes.
func (w *world) appCell(t *testing.T, e *edge, p *person, row []string) string {
	t.Helper()
	visibility, lifecycle := "", "ON_DEMAND"
	if len(row) > 1 {
		visibility = row[1]
	}
	if len(row) > 2 {
		lifecycle = row[2]
	}
	app := w.things.apps[visibility+" "+lifecycle]
	remove := func(a *answer, path string) string {
		if a.StatusCode/100 == 2 {
			var made struct{ ID string }
			decode(t, a, &made)
			w.people["ann"].must(t, "DELETE", path+made.ID, "", nil)
		}
		return a.verdict()
	}
	switch row[0] {
	case "see":
		return p.api(t, e, "GET /apps/"+app.ID, "").verdict()
	case "list":
		a := p.api(t, e, "GET /apps?limit=1000", "")
		if a.StatusCode/100 == 2 && !strings.Contains(string(a.body), app.ID) {
			return "–"
		}
		return a.verdict()
	case "run":
		return remove(p.api(t, e, "POST /instances", fmt.Sprintf(`{"app_id":%q}`, app.ID)), "/instances/")
	case "update":
		return p.api(t, e, "PATCH /apps/"+app.ID, fmt.Sprintf(`{"visibility":%q}`, visibility)).verdict()
	case "download":
		a := p.api(t, e, "GET /apps/"+app.ID+"/bundle", "")
		if a.StatusCode == 200 && !strings.HasPrefix(string(a.body), "PK") {
			return "no archive"
		}
		return a.verdict()
	case "meta":
		return p.api(t, e, "GET /apps/"+app.ID+"/meta", "").verdict()
	case "visit":
		a := p.api(t, e, "GET /apps/"+w.things.links[visibility].ID+"/visit", "")
		if a.StatusCode == http.StatusFound && a.Header.Get("Location") == "https://elsewhere.example/" {
			return "✓"
		}
		return a.verdict()
	case "check":
		if visibility == "all" {
			return p.api(t, e, "POST /preconditions", "").verdict()
		}
		return p.api(t, e, "POST /apps/"+app.ID+"/preconditions", "").verdict()
	case "offers":
		return p.api(t, e, "GET /runtime-versions", "").verdict()
	case "delete":
		return p.api(t, e, "DELETE /apps/"+w.spare(p, e, visibility).ID, "").verdict()
	case "import":
		return remove(p.api(t, e, "POST /bundles", string(small("imported", "ON_DEMAND").Bundle(t)), "Content-Type: application/zip"), "/apps/")
	case "container":
		return remove(p.api(t, e, "POST /bundles", string(container("imported").Bundle(t)), "Content-Type: application/zip"), "/apps/")
	case "image":
		return p.api(t, e, "PATCH /apps/"+w.things.images[visibility].ID, `{"image":"registry.example.com/app:2"}`).verdict()
	}
	t.Fatalf("what is %q?", row)
	return ""
}

// spare is an app that is there for the cell: who may delete it has one of
// their own.
func (w *world) spare(p *person, e *edge, visibility string) *v1.App {
	switch p.name {
	case "otto":
		return w.things.spares[visibility+" owner "+e.name]
	case "ann":
		return w.things.spares[visibility+" admin "+e.name]
	}
	return w.things.apps[visibility+" ON_DEMAND"]
}
