package access

import (
	"fmt"
	"net/http"
	"testing"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// askAudit: every change leaves one record, with who did it from where. What
// changes nothing leaves none, and no call removes one.
func (w *world) askAudit(t *testing.T) {
	ann, fiona := w.people["ann"], w.people["fiona"]
	records := func(t *testing.T) []v1.AuditRecord {
		t.Helper()
		var all []v1.AuditRecord
		for cursor := ""; ; {
			var list v1.List[v1.AuditRecord]
			ann.must(t, "GET", "/audit?limit=1000&cursor="+cursor, "", &list)
			if all = append(all, list.Items...); list.NextCursor == nil {
				return all
			}
			cursor = *list.NextCursor
		}
	}
	w.person("guest-audited", "full").takeToken(t) // who is disabled loses it
	liar := []string{"X-Forwarded-For: 203.0.113.9", "X-Real-IP: 203.0.113.9", "Forwarded: for=203.0.113.9"}
	for _, e := range w.edges {
		var app v1.App
		var in v1.Instance
		signedIn := e.newBrowser("fiona")
		change := func(p *person, method, path, body string, out any) func(t *testing.T) {
			return func(t *testing.T) {
				a := p.api(t, e, method+" "+path, body, liar...)
				if a.StatusCode/100 != 2 {
					t.Fatalf("%s", a)
				}
				if out != nil {
					decode(t, a, out)
				}
			}
		}
		bundle := string(small("audited-"+e.name, "ON_DEMAND").Bundle(t))
		for _, c := range []struct {
			actor, action, object string // "" is nothing
			do                    func(t *testing.T)
		}{
			{"fiona", "user.sign_in", "user/fiona", signedIn.signIn},
			{"fiona", "app.import", "app/", func(t *testing.T) {
				decode(t, fiona.api(t, e, "POST /bundles", bundle, append(liar, "Content-Type: application/zip")...), &app)
			}},
			{"fiona", "app.update", "app/", func(t *testing.T) { change(fiona, "PATCH", "/apps/"+app.ID, `{"visibility":"ALL_USERS"}`, nil)(t) }},
			{"", "", "", func(t *testing.T) { change(fiona, "PATCH", "/apps/"+app.ID, `{"visibility":"ALL_USERS"}`, nil)(t) }},
			{"ann", "app.update", "app/", func(t *testing.T) { change(ann, "PATCH", "/apps/"+app.ID, `{"tags":["open"]}`, nil)(t) }},
			{"fiona", "instance.run", "instance/", func(t *testing.T) {
				change(fiona, "POST", "/instances", fmt.Sprintf(`{"app_id":%q}`, app.ID), &in)(t)
			}},
			{"fiona", "instance.update", "instance/", func(t *testing.T) {
				change(fiona, "PATCH", "/instances/"+in.ID, `{"visibility":"PUBLIC"}`, nil)(t)
			}},
			{"ann", "alias.create", "alias/audited", func(t *testing.T) {
				change(ann, "POST", "/aliases", fmt.Sprintf(`{"name":"audited","instance_id":%q}`, in.ID), nil)(t)
			}},
			{"fiona", "alias.promote", "alias/audited", change(fiona, "POST", "/aliases/audited/promote", "", nil)},
			{"ann", "alias.assign", "alias/audited", func(t *testing.T) {
				change(ann, "PUT", "/aliases/audited/assignment", fmt.Sprintf(`{"instance_id":%q}`, w.things.changed["PUBLIC"].ID), nil)(t)
			}},
			{"ann", "alias.unassign", "alias/audited", change(ann, "PUT", "/aliases/audited/assignment", `{}`, nil)},
			{"ann", "alias.delete", "alias/audited", change(ann, "DELETE", "/aliases/audited", "", nil)},
			{"ann", "tag.create", "tag/audited", change(ann, "POST", "/tags", `{"name":"audited"}`, nil)},
			{"ann", "tag.update", "tag/audited", change(ann, "PATCH", "/tags/audited", `{"title":"x"}`, nil)},
			{"ann", "tag.delete", "tag/audited", change(ann, "DELETE", "/tags/audited", "", nil)},
			{"ann", "user.disable", "user/guest-audited", change(ann, "PATCH", "/users/guest-audited", `{"disabled":true}`, nil)},
			{"ann", "user.enable", "user/guest-audited", change(ann, "PATCH", "/users/guest-audited", `{"disabled":false}`, nil)},
			{"fiona", "instance.suspend", "instance/", func(t *testing.T) { change(fiona, "POST", "/instances/"+in.ID+"/suspend", "", nil)(t) }},
			{"fiona", "instance.terminate", "instance/", func(t *testing.T) { change(fiona, "DELETE", "/instances/"+in.ID, "", nil)(t) }},
			{"", "", "", func(t *testing.T) { fiona.ticket(t, e, w.things.instances["ALL_USERS DOMAIN ON_DEMAND"]) }},
			{"", "", "", func(t *testing.T) { signedIn.enter(t, w.things.instances["ALL_USERS DOMAIN ON_DEMAND"]) }},
			{"", "", "", func(t *testing.T) { w.people["victor"].api(t, e, "DELETE /apps/"+app.ID, "") }},
			{"fiona", "user.sign_out", "user/fiona", func(t *testing.T) { signedIn.signOut(t, false) }},
		} {
			t.Run(e.name+"/"+c.action+" by "+c.actor, func(t *testing.T) {
				before := records(t)
				c.do(t)
				var added []v1.AuditRecord
				for _, r := range records(t)[len(before):] {
					if r.Actor != "system" { // such as an instance that has stopped
						added = append(added, r)
					}
				}
				if c.action == "" {
					if len(added) > 0 {
						t.Errorf("%+v", added)
					}
					return
				}
				object := c.object
				switch object {
				case "app/":
					object += app.ID
				case "instance/":
					object += in.ID
				}
				if len(added) != 1 {
					t.Fatalf("%d records: %+v", len(added), added)
				}
				if r := added[0]; r.Actor != c.actor || r.Action != c.action || r.Object != object || r.Address != clientAddress || r.Revision == "" || r.Time.IsZero() {
					t.Errorf("%+v, want %s %s", r, c.action, object)
				}
			})
		}
		t.Run(e.name+"/no call removes one", func(t *testing.T) {
			before := len(records(t))
			for _, method := range []string{"DELETE", "PUT", "PATCH", "POST"} {
				for _, path := range []string{"/audit", "/audit/1", "/audit?actor=ann"} {
					if a := ann.api(t, e, method+" "+path, ""); a.StatusCode != http.StatusMethodNotAllowed && a.StatusCode != http.StatusNotFound {
						t.Errorf("%s %s: %s", method, path, a)
					}
				}
			}
			if after := len(records(t)); after < before {
				t.Errorf("%d records of %d", after, before)
			}
		})
	}
}
