package access

import (
	"fmt"
	"testing"
)

// Spec access.md §4: full users read ALL_USERS' names and write their own,
// ALL_USERS and APP are the admins'. own is a PRIVATE secret of who asks, theirs
// one of rita's, who has full access; made is by ann, the admin.
const secrets = `
§4                   | anonymous | visitor | tag visitor | full | admin
list                 | login     | 403     | 403         | ✓    | ✓
list PRIVATE         | login     | 403     | 403         | ✓    | ✓
list ALL_USERS       | login     | 403     | 403         | ✓    | ✓
list APP             | login     | 403     | 403         | 403  | ✓
create PRIVATE       | login     | 403     | 403         | ✓    | ✓
create ALL_USERS     | login     | 403     | 403         | 403  | ✓
create APP           | login     | 403     | 403         | 403  | ✓
see PRIVATE          | login     | 403     | 403         | ✓    | ✓
see theirs           | login     | 403     | 403         | 404  | 404
see ALL_USERS        | login     | 403     | 403         | ✓    | ✓
see APP              | login     | 403     | 403         | 403  | ✓
reveal PRIVATE       | login     | 403     | 403         | ✓    | ✓
reveal theirs        | login     | 403     | 403         | 404  | 404
reveal ALL_USERS     | login     | 403     | 403         | 403  | ✓
reveal APP           | login     | 403     | 403         | 403  | ✓
update PRIVATE       | login     | 403     | 403         | ✓    | ✓
update theirs        | login     | 403     | 403         | 404  | 404
update ALL_USERS     | login     | 403     | 403         | 403  | ✓
update APP           | login     | 403     | 403         | 403  | ✓
delete PRIVATE       | login     | 403     | 403         | ✓    | ✓
delete theirs        | login     | 403     | 403         | 404  | 404
delete ALL_USERS     | login     | 403     | 403         | 403  | ✓
delete APP           | login     | 403     | 403         | 403  | ✓
rotate               | login     | 403     | 403         | 403  | ✓
`

func (w *world) askSecrets(t *testing.T) { w.askTable(t, secrets, w.secretCell) }

// secretCell asks one cell with a secret of its own.
func (w *world) secretCell(t *testing.T, e *edge, p *person, row []string) string {
	t.Helper()
	const name = "asked"
	scope, fields, owner := "", "", w.people["ann"]
	if len(row) > 1 {
		switch row[1] {
		case "PRIVATE":
			scope, owner = "?visibility=PRIVATE", p
		case "theirs":
			owner = w.people["rita"]
		case "ALL_USERS":
			scope, fields = "?visibility=ALL_USERS", `,"visibility":"ALL_USERS"`
		case "APP":
			scope, fields = "?visibility=APP&parent=app:any", `,"visibility":"APP","parent":"app:any"`
		}
	}
	body := fmt.Sprintf(`{"name":%q%s,"values":{"key":"value"}}`, name, fields)
	switch row[0] {
	case "list":
		query := ""
		if len(row) > 1 {
			query = "?visibility=" + row[1]
		}
		return p.api(t, e, "GET /secrets"+query, "").verdict()
	case "rotate":
		return p.api(t, e, "POST /secrets/rotate", "").verdict()
	case "create":
		defer p.api(t, e, "DELETE /secrets/"+name+scope, "")
		return p.api(t, e, "POST /secrets", body).verdict()
	}
	if p.name != "" { // a visitor has none, and need not
		owner.api(t, e, "POST /secrets", body)
		defer owner.api(t, e, "DELETE /secrets/"+name+scope, "")
	}
	path := " /secrets/" + name + scope
	switch row[0] {
	case "see":
		return p.api(t, e, "GET"+path, "").verdict()
	case "reveal":
		mark := "?"
		if scope != "" {
			mark = "&"
		}
		return p.api(t, e, "GET"+path+mark+"reveal=true", "").verdict()
	case "update":
		return p.api(t, e, "PUT"+path, `{"values":{"key":"other"}}`).verdict()
	case "delete":
		return p.api(t, e, "DELETE"+path, "").verdict()
	}
	t.Fatalf("what is %q?", row)
	return ""
}
