package access

import (
	"fmt"
	"strings"
	"testing"

	cp "github.com/seed-dbc68772/slipway/controlplane"
)

// The actors of the tables' columns. Owners are visitors, so that they have
// nothing but what they own.
var actors = map[string]*cp.Actor{
	"anonymous":      {},
	"tag visitor":    {User: "vera", Roles: []string{"other", "team"}},
	"visitor":        {User: "victor", Roles: []string{"other"}},
	"full":           {User: "ada", Full: true, Roles: []string{"other"}},
	"owner":          {User: "olga"},
	"app owner":      {User: "otto"},
	"admin":          {User: "root", Admin: true, Full: true},
	"workload":       {Instance: "0b5ab1de-3a5e-4f0c-9d0f-5a0c0f6c1a01"},
	"tag admin":      {User: "tara", Roles: []string{"curators"}},
	"full tag admin": {User: "tom", Full: true, Roles: []string{"curators"}},
	"full owner":     {User: "olga", Full: true},
	"admin owner":    {User: "olga", Admin: true, Full: true},
}

// In the tables: ✓ allowed, 404 hidden, 403 forbidden, login sign in. A row is
// an action and what its resource and the settings are besides the default.
const tables = `
§2 Apps                               | anonymous | tag visitor | visitor | full | owner | admin | workload
see app PRIVATE                       | login     | 404         | 404     | 404  | ✓     | ✓     | 404
see app ALL_USERS                     | login     | ✓           | 404     | ✓    | ✓     | ✓     | 404
see app PUBLIC                        | login     | ✓           | 404     | ✓    | ✓     | ✓     | 404
see app PUBLIC public_mode            | ✓         | ✓           | ✓       | ✓    | ✓     | ✓     | 404
run app PRIVATE                       | login     | 404         | 404     | 404  | ✓     | ✓     | 404
run app ALL_USERS                     | login     | ✓           | 404     | ✓    | ✓     | ✓     | 404
run app PUBLIC                        | login     | ✓           | 404     | ✓    | ✓     | ✓     | 404
run app PUBLIC public_mode            | login     | ✓           | 403     | ✓    | ✓     | ✓     | 404
run app PRIVATE MANAGED               | login     | 404         | 404     | 404  | ✓     | ✓     | 404
run app ALL_USERS MANAGED             | login     | 403         | 404     | 403  | ✓     | ✓     | 404
run app PUBLIC MANAGED                | login     | 403         | 404     | 403  | ✓     | ✓     | 404
run app PUBLIC MANAGED public_mode    | login     | 403         | 403     | 403  | ✓     | ✓     | 404
update app PRIVATE                    | login     | 404         | 404     | 404  | ✓     | ✓     | 404
update app ALL_USERS                  | login     | 403         | 404     | 403  | ✓     | ✓     | 404
update app PUBLIC public_mode         | login     | 403         | 403     | 403  | ✓     | ✓     | 404
delete app PRIVATE                    | login     | 404         | 404     | 404  | ✓     | ✓     | 404
delete app ALL_USERS                  | login     | 403         | 404     | 403  | ✓     | ✓     | 404
delete app PUBLIC public_mode         | login     | 403         | 403     | 403  | ✓     | ✓     | 404
download app PRIVATE                  | login     | 404         | 404     | 404  | ✓     | ✓     | 404
download app ALL_USERS                | login     | 403         | 404     | 403  | ✓     | ✓     | 404
download app PUBLIC public_mode       | login     | 403         | 403     | 403  | ✓     | ✓     | 404
import app                            | login     | 403         | 403     | ✓    | 403   | ✓     | 403
import container                      | login     | 403         | 403     | 403  | 403   | ✓     | 403
set image PRIVATE                     | login     | 404         | 404     | 404  | 403   | ✓     | 404
set image ALL_USERS                   | login     | 403         | 404     | 403  | 403   | ✓     | 404

§3 Instances                               | anonymous | tag visitor | visitor | full | owner | app owner | admin | workload
open PRIVATE                               | login     | 404         | 404     | 404  | ✓     | 403       | 403   | 404
open ALL_USERS                             | login     | 404         | 404     | ✓    | ✓     | ✓         | ✓     | 404
open ALL_USERS MANAGED                     | login     | ✓           | 404     | ✓    | ✓     | ✓         | ✓     | 404
open ALL_USERS MANAGED app:PRIVATE         | login     | 404         | 404     | ✓    | ✓     | ✓         | ✓     | 404
open ALL_USERS MANAGED app:PUBLIC          | login     | ✓           | 404     | ✓    | ✓     | ✓         | ✓     | 404
open ALL_USERS MANAGED app:PUBLIC public_mode | login  | ✓           | ✓       | ✓    | ✓     | ✓         | ✓     | 404
open PRIVATE MANAGED                       | login     | 404         | 404     | 404  | ✓     | 403       | 403   | 404
open PUBLIC                                | ✓         | ✓           | ✓       | ✓    | ✓     | ✓         | ✓     | 404
open PUBLIC app:PRIVATE                    | ✓         | ✓           | ✓       | ✓    | ✓     | ✓         | ✓     | 404
open PRIVATE BASE_URL                      | login     | 404         | 404     | 404  | ✓     | 403       | 403   | 404
open ALL_USERS BASE_URL                    | login     | 404         | 404     | 403  | ✓     | 403       | 403   | 404
open ALL_USERS BASE_URL MANAGED            | login     | 404         | 404     | 403  | ✓     | 403       | 403   | 404
open PUBLIC BASE_URL                       | login     | 404         | 404     | 403  | ✓     | 403       | 403   | 404
open PRIVATE BASE_URL base_url_sharing     | login     | 404         | 404     | 404  | ✓     | 403       | 403   | 404
open ALL_USERS BASE_URL base_url_sharing   | login     | 404         | 404     | ✓    | ✓     | ✓         | ✓     | 404
open PUBLIC BASE_URL base_url_sharing      | ✓         | ✓           | ✓       | ✓    | ✓     | ✓         | ✓     | 404
metadata PRIVATE                           | login     | 404         | 404     | 404  | ✓     | ✓         | ✓     | 404
metadata ALL_USERS                         | login     | 404         | 404     | ✓    | ✓     | ✓         | ✓     | 404
metadata ALL_USERS MANAGED                 | login     | 404         | 404     | ✓    | ✓     | ✓         | ✓     | 404
metadata PUBLIC                            | login     | 404         | 404     | ✓    | ✓     | ✓         | ✓     | 404
logs PRIVATE                               | login     | 404         | 404     | 404  | ✓     | ✓         | ✓     | 404
logs ALL_USERS                             | login     | 404         | 404     | 403  | ✓     | ✓         | ✓     | 404
logs PUBLIC                                | login     | 404         | 404     | 403  | ✓     | ✓         | ✓     | 404
change PRIVATE                             | login     | 404         | 404     | 404  | ✓     | 403       | ✓     | 404
change ALL_USERS                           | login     | 404         | 404     | 403  | ✓     | 403       | ✓     | 404
change PUBLIC                              | login     | 404         | 404     | 403  | ✓     | 403       | ✓     | 404
see alias PRIVATE                          | login     | 404         | 404     | 404  | ✓     | 404       | ✓     | 404
see alias PUBLIC                           | login     | 404         | 404     | 404  | ✓     | 404       | ✓     | 404
change alias PRIVATE                       | login     | 404         | 404     | 404  | 403   | 403       | ✓     | 404
change alias PUBLIC                        | login     | 404         | 404     | 403  | 403   | 403       | ✓     | 404
change alias PRIVATE user_aliases          | login     | 404         | 404     | 404  | ✓     | 403       | ✓     | 404
change alias ALL_USERS user_aliases        | login     | 404         | 404     | 403  | ✓     | 403       | ✓     | 404

§4 Others             | anonymous | visitor | tag admin | full | full tag admin | admin | workload
manage aliases        | login     | 403     | 403       | 403  | 403            | ✓     | 403
see tags              | login     | ✓       | ✓         | ✓    | ✓              | ✓     | 403
manage tags           | login     | 403     | 403       | 403  | 403            | ✓     | 403
manage tags curated   | login     | 403     | 403       | 403  | 403            | ✓     | 403
assign tag            | login     | 403     | 403       | ✓    | ✓              | ✓     | 403
assign tag curated    | login     | 403     | ✓         | 403  | ✓              | ✓     | 403
see secret names      | login     | 403     | 403       | ✓    | ✓              | ✓     | 403
write own secret      | login     | 403     | 403       | ✓    | ✓              | ✓     | 403
write shared secret   | login     | 403     | 403       | 403  | 403            | ✓     | 403
see offers            | login     | ✓       | ✓         | ✓    | ✓              | ✓     | 403
refresh all           | login     | 403     | 403       | 403  | 403            | ✓     | 403
see edges             | login     | ✓       | ✓         | ✓    | ✓              | ✓     | 403
see leader            | login     | 403     | 403       | 403  | 403            | ✓     | 403
see audit             | login     | 403     | 403       | 403  | 403            | ✓     | 403
explain               | login     | 403     | 403       | 403  | 403            | ✓     | 403
manage users          | login     | 403     | 403       | 403  | 403            | ✓     | 403
have tokens           | login     | ✓       | ✓         | ✓    | ✓              | ✓     | 403

§4 Secrets' values      | anonymous | visitor | owner | full | full owner | admin | admin owner | workload
reveal secret PRIVATE   | login     | 403     | 403   | 403  | ✓          | 403   | ✓           | 403
reveal secret ALL_USERS | login     | 403     | 403   | 403  | 403        | 403   | ✓           | 403
reveal secret APP       | login     | 403     | 403   | 403  | 403        | 403   | ✓           | 403
`

var actions = map[string]cp.Action{
	"see app": cp.SeeApp, "run app": cp.RunApp, "update app": cp.UpdateApp, "delete app": cp.DeleteApp, "download app": cp.DownloadApp,
	"import app": cp.ImportApp, "import container": cp.ImportContainer, "set image": cp.SetImage,
	"open": cp.OpenInstance, "metadata": cp.SeeInstance, "logs": cp.ReadLogs, "change": cp.ChangeInstance,
	"see alias": cp.SeeAlias, "change alias": cp.ChangeAlias, "manage aliases": cp.ManageAliases,
	"see tags": cp.SeeTags, "manage tags": cp.ManageTags, "assign tag": cp.AssignTag,
	"see secret names": cp.SeeSecretNames, "write own secret": cp.WriteOwnSecret, "write shared secret": cp.WriteSharedSecret, "reveal secret": cp.RevealSecret,
	"see offers": cp.SeeOffers, "refresh all": cp.RefreshAll,
	"see edges": cp.SeeEdges, "see leader": cp.SeeLeader, "see audit": cp.SeeAudit, "explain": cp.Explain, "manage users": cp.ManageUsers, "have tokens": cp.HaveTokens,
}

// cell is one question and its answer.
type cell struct {
	name  string
	actor *cp.Actor
	do    cp.Action
	of    *cp.Resource
	rules Rules
	want  string
}

func (c cell) got() string {
	return map[cp.Verdict]string{cp.Hidden: "404", cp.Forbidden: "403", cp.SignIn: "login", cp.Allowed: "✓"}[c.rules.Decide(c.actor, c.do, c.of)]
}

func cells(t *testing.T) (list []cell) {
	t.Helper()
	var columns []string
	for line := range strings.Lines(tables) {
		fields := strings.Split(line, "|")
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		switch {
		case len(fields) == 1:
			continue
		case strings.HasPrefix(fields[0], "§"):
			columns = fields[1:]
			continue
		case len(fields) != len(columns)+1:
			t.Fatalf("row %q has %d cells", fields[0], len(fields)-1)
		}
		c := question(t, fields[0], columns)
		for i, column := range columns {
			actor := actors[column]
			if actor == nil {
				t.Fatalf("there is no actor %q", column)
			}
			c.name, c.actor, c.want = fields[0]+": "+column, actor, fields[i+1]
			list = append(list, c)
		}
	}
	return list
}

func question(t *testing.T, row string, columns []string) (c cell) {
	t.Helper()
	words := strings.Fields(row)
	n := len(words)
	for n > 0 {
		if _, ok := actions[strings.Join(words[:n], " ")]; ok {
			break
		}
		n--
	}
	if n == 0 {
		t.Fatalf("row %q names no action", row)
	}
	c.do = actions[strings.Join(words[:n], " ")]
	c.of = &cp.Resource{Owner: "olga", AppVisibility: cp.AllUsers, Lifecycle: cp.OnDemand, RoutingMode: cp.Domain, VisitorRoles: []string{"team", "x"}}
	if strings.Contains(strings.Join(columns, "|"), "app owner") {
		c.of.AppOwner = "otto"
	} else {
		c.of.AppOwner = "olga"
	}
	for _, word := range words[n:] {
		app, isApp := strings.CutPrefix(word, "app:")
		switch {
		case isApp:
			c.of.AppVisibility = cp.Visibility(app)
		case cp.Visibility(word).Valid(), word == string(cp.AppWide):
			c.of.Visibility = cp.Visibility(word)
		case word == "MANAGED":
			c.of.Lifecycle = cp.Managed
		case word == "BASE_URL":
			c.of.RoutingMode = cp.BaseURL
		case word == "curated":
			c.of.AdminRoles = []string{"curators"}
		case word == "public_mode":
			c.rules.PublicMode = true
		case word == "base_url_sharing":
			c.rules.BaseURLSharing = true
		case word == "user_aliases":
			c.rules.UserAliases = true
		default:
			t.Fatalf("row %q: what is %q?", row, word)
		}
	}
	return c
}

func TestEveryCellOfTheTables(t *testing.T) {
	named := map[cp.Action]bool{}
	for _, c := range cells(t) {
		named[c.do] = true
		t.Run(c.name, func(t *testing.T) {
			if got := c.got(); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
		})
	}
	for do := range cp.Actions {
		if !named[do] {
			t.Errorf("no row names action %d", do)
		}
	}
}

// Whatever bit of the program's tables changes, some cell tells.
func TestEveryBitOfTheTablesMatters(t *testing.T) {
	all := cells(t)
	wrong := func() bool {
		for _, c := range all {
			if c.got() != c.want {
				return true
			}
		}
		return false
	}
	type entry struct {
		name    string
		entry   *class
		classes []class // that can be told apart there
	}
	app := []class{anonymous, tagVisitor, visitor, full, owner, admin, ownWorkload}
	instance := append([]class{appOwner}, app...)
	other := []class{anonymous, visitor, full, admin, ownWorkload}
	entries := []entry{{"run ON_DEMAND", &runOnDemand, []class{tagVisitor, visitor, full, owner}}, {"run MANAGED", &runManaged, app}}
	for i := range 3 {
		entries = append(entries, entry{fmt.Sprint("seeApp ", i), &seeApp[i], app}, entry{fmt.Sprint("openInstance ", i), &openInstance[i], instance},
			entry{fmt.Sprint("seeInstance ", i), &seeInstance[i], instance})
	}
	for name, do := range actions {
		e := entry{name, &others[do], other}
		switch do {
		case cp.SeeApp, cp.RunApp, cp.OpenInstance, cp.SeeInstance, cp.ChangeAlias, cp.AssignTag, cp.RevealSecret:
			continue // not of this table
		case cp.UpdateApp, cp.DeleteApp, cp.DownloadApp, cp.SetImage:
			e.classes = app
		case cp.ReadLogs, cp.ChangeInstance, cp.SeeAlias:
			e.classes = instance
		}
		entries = append(entries, e)
	}
	if wrong() {
		t.Fatal("the tables are wrong as they are")
	}
	for _, e := range entries {
		for _, bit := range e.classes {
			if bit == admin && *e.entry&full != 0 || bit&(owner|appOwner) != 0 && *e.entry&visitor != 0 {
				continue // admins have full access anyhow, and owners are visitors at least
			}
			before := *e.entry
			*e.entry ^= bit
			if !wrong() {
				t.Errorf("%s: no cell misses class %b", e.name, bit)
			}
			*e.entry = before
		}
	}
}

func TestDecidingAllocatesNothing(t *testing.T) {
	all := cells(t)
	if n := testing.AllocsPerRun(10, func() {
		for _, c := range all {
			c.rules.Decide(c.actor, c.do, c.of)
		}
	}); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestWhoHasNoNameOwnsNothing(t *testing.T) {
	for do := range cp.Actions {
		if v := (Rules{}).Decide(&cp.Actor{}, do, &cp.Resource{Visibility: cp.Private}); v != cp.SignIn {
			t.Errorf("action %d: %s", do, v)
		}
		if v := (Rules{}).Decide(&cp.Actor{Instance: "x"}, do, &cp.Resource{Visibility: cp.Private}); v == cp.Allowed || v == cp.SignIn {
			t.Errorf("action %d of a workload: %s", do, v)
		}
	}
}
