package access

import (
	"fmt"
	"strings"
	"testing"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// Spec access.md §4. An alias is its instance's owner's to see, and the
// admins'; others do not know of it. create is of one that leads nowhere yet.
const aliasesOfUsers = `
§4                  | anonymous | visitor | full | instance owner | app owner | admin
create              | login     | 403     | 403  | 403            | 403       | ✓
create PRIVATE      | login     | 422     | 422  | ✓              | 403       | ✓
create ALL_USERS    | login     | 422     | 403  | ✓              | 403       | ✓
see PRIVATE         | login     | 404     | 404  | ✓              | 404       | ✓
see ALL_USERS       | login     | 404     | 404  | ✓              | 404       | ✓
assign PRIVATE      | login     | 404     | 404  | ✓              | 404       | ✓
assign ALL_USERS    | login     | 404     | 404  | ✓              | 404       | ✓
promote PRIVATE     | login     | 404     | 404  | ✓              | 404       | ✓
promote ALL_USERS   | login     | 404     | 404  | ✓              | 404       | ✓
delete PRIVATE      | login     | 404     | 404  | ✓              | 404       | ✓
delete ALL_USERS    | login     | 404     | 404  | ✓              | 404       | ✓
`

// Without user_aliases they are the admins' to change, and everybody knows.
const aliasesDefault = `
§4                  | anonymous | visitor | full | instance owner | app owner | admin
create              | login     | 403     | 403  | 403            | 403       | ✓
create PRIVATE      | login     | 403     | 403  | 403            | 403       | ✓
create ALL_USERS    | login     | 403     | 403  | 403            | 403       | ✓
see ALL_USERS       | login     | 404     | 404  | ✓              | 404       | ✓
assign ALL_USERS    | login     | 403     | 403  | 403            | 403       | ✓
promote ALL_USERS   | login     | 403     | 403  | 403            | 403       | ✓
delete ALL_USERS    | login     | 403     | 403  | 403            | 403       | ✓
`

func (w *world) askAliases(t *testing.T) { w.askTable(t, aliasesOfUsers, w.aliasCell) }

// aliasCell asks one cell with an alias of its own.
func (w *world) aliasCell(t *testing.T, e *edge, p *person, row []string) string {
	t.Helper()
	ann := w.people["ann"]
	var in *v1.Instance
	target := ""
	if len(row) > 1 {
		in = w.things.changed[row[1]]
		target = fmt.Sprintf(`"instance_id":%q`, in.ID)
	}
	const name = "asked"
	defer func() {
		if a := ann.api(t, e, "DELETE /aliases/"+name, ""); a.StatusCode/100 != 2 && a.StatusCode != 404 {
			t.Errorf("clean up: %s", a)
		}
	}()
	verdict := func(a *answer) string {
		if a.StatusCode == 422 {
			return "422"
		}
		return a.verdict()
	}
	if row[0] == "create" {
		return verdict(p.api(t, e, "POST /aliases", strings.Replace(`{"name":"asked",}`, ",}", strings.TrimSuffix(","+target, ",")+"}", 1)))
	}
	ann.must(t, "POST", "/aliases", `{"name":"asked",`+target+`}`, nil)
	switch row[0] {
	case "see":
		return verdict(p.api(t, e, "GET /aliases/"+name, ""))
	case "assign":
		return verdict(p.api(t, e, "PUT /aliases/"+name+"/assignment", `{`+target+`,"primary":true}`))
	case "promote":
		return verdict(p.api(t, e, "POST /aliases/"+name+"/promote", ""))
	case "delete":
		return verdict(p.api(t, e, "DELETE /aliases/"+name, ""))
	}
	t.Fatalf("what is %q?", row)
	return ""
}

// Tags: open has no admin roles, curated has one. own is to give it to an app of
// one's own; assign, to somebody else's.
const tags = `
§4              | anonymous | visitor | tag admin | full | full tag admin | admin
see             | login     | ✓       | ✓         | ✓    | ✓              | ✓
create          | login     | 403     | 403       | 403  | 403            | ✓
delete          | login     | 403     | 403       | 403  | 403            | ✓
update open     | login     | 403     | 403       | ✓    | ✓              | ✓
update curated  | login     | 403     | ✓         | 403  | ✓              | ✓
assign open     | login     | 403     | 403       | 403  | 403            | ✓
assign curated  | login     | 403     | ✓         | 403  | ✓              | ✓
remove curated  | login     | 403     | ✓         | 403  | ✓              | ✓
own open        |           |         |           | ✓    | ✓              | ✓
own curated     |           |         |           | 403  | ✓              | ✓
users           | login     | 403     | 403       | 403  | 403            | ✓
audit           | login     | 403     | 403       | 403  | 403            | ✓
explain         | login     | 403     | 403       | 403  | 403            | ✓
leader          | login     | 403     | 403       | 403  | 403            | ✓
edges           | login     | ✓       | ✓         | ✓    | ✓              | ✓
tokens          | login     | ✓       | ✓         | ✓    | ✓              | ✓
me              | login     | ✓       | ✓         | ✓    | ✓              | ✓
`

func (w *world) askTags(t *testing.T) { w.askTable(t, tags, w.tagCell) }

func (w *world) tagCell(t *testing.T, e *edge, p *person, row []string) string {
	t.Helper()
	ann := w.people["ann"]
	app := "/apps/" + w.things.apps["PUBLIC ON_DEMAND"].ID // everybody sees it, with public_mode
	switch row[0] {
	case "see":
		return p.api(t, e, "GET /tags/open", "").verdict()
	case "create":
		defer ann.api(t, e, "DELETE /tags/made", "")
		return p.api(t, e, "POST /tags", `{"name":"made"}`).verdict()
	case "delete":
		ann.must(t, "POST", "/tags", `{"name":"made"}`, nil)
		defer ann.api(t, e, "DELETE /tags/made", "")
		return p.api(t, e, "DELETE /tags/made", "").verdict()
	case "update":
		return p.api(t, e, "PATCH /tags/"+row[1], fmt.Sprintf(`{"title":"by %s at %s"}`, p.name, e.name)).verdict()
	case "assign", "remove":
		before, after := `{"tags":["shared"]}`, fmt.Sprintf(`{"tags":["shared",%q]}`, row[1])
		if row[0] == "remove" {
			before, after = after, before
		}
		ann.must(t, "PATCH", app, before, nil)
		defer ann.must(t, "PATCH", app, `{"tags":["shared"]}`, nil)
		return p.api(t, e, "PATCH "+app, after).verdict()
	case "own":
		app := p.importApp(t, small("own-"+p.name, "ON_DEMAND"), "PRIVATE")
		defer p.must(t, "DELETE", "/apps/"+app.ID, "", nil)
		return p.api(t, e, "PATCH /apps/"+app.ID, fmt.Sprintf(`{"tags":[%q]}`, row[1])).verdict()
	case "explain":
		return p.api(t, e, "POST /explain", fmt.Sprintf(`{"url":%q}`, w.base("/"))).verdict()
	case "users", "audit", "leader", "edges", "tokens", "me":
		return p.api(t, e, "GET /"+row[0], "").verdict()
	}
	t.Fatalf("what is %q?", row)
	return ""
}
