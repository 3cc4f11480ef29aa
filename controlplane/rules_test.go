package controlplane_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/access"
)

// Whose name it is comes first: nobody learns the ID, or the versions, of
// another's app by importing it.
func TestAnImportTellsNothingOfAnothersApp(t *testing.T) {
	in := install(t)
	app := in.mustImport(ada, demo("demo", "1", "", ""))
	for _, version := range []string{"1", "2"} {
		_, err := in.importApp(bob, demo("demo", version, "", ""))
		wantCode(t, err, controlplane.CodeForbidden, "belongs to somebody else")
	}
	// A version of ada's app that an admin imported, and she does not see.
	hidden := in.mustImport(admin, demo("demo", "2", "", ""))
	_, err := in.importApp(ada, demo("demo", "2", "", ""))
	wantCode(t, err, controlplane.CodeConflict, "exists already")
	if s := explain(err); strings.Contains(s, hidden.ID) || strings.Contains(s, app.ID) {
		t.Errorf("the refusal tells an ID: %s", s)
	}
}

func TestVisitorsImportNothing(t *testing.T) {
	in := install(t)
	_, err := in.importApp(visitor, demo("demo", "1", "", ""))
	wantCode(t, err, controlplane.CodeForbidden, "visitors")
	same(t, "files", in.bundles(), 0)
}

func TestOwnersChangeTheirOwnAliases(t *testing.T) {
	in := install(t)
	in.Access = access.Rules{UserAliases: true}
	app := in.mustImport(ada, demo("demo", "1", "", ""))
	in.show(app)
	one, two, bobs := in.mustRun(ada, app), in.mustRun(ada, app), in.mustRun(bob, app)
	create := func(actor controlplane.Actor, name, id string) error {
		_, err := in.CreateAlias(t.Context(), actor, controlplane.NewAlias{Name: name, InstanceID: id, Primary: true})
		return err
	}
	assign := func(actor controlplane.Actor, name, id string) error {
		_, err := in.AssignAlias(t.Context(), actor, name, id, true)
		return err
	}
	promote := func(actor controlplane.Actor, name string) error {
		_, err := in.PromoteAlias(t.Context(), actor, name)
		return err
	}
	remove := func(actor controlplane.Actor, name string) error {
		_, err := in.DeleteAlias(t.Context(), actor, name)
		return err
	}
	for _, step := range []struct {
		name string
		err  error
		code controlplane.Code
	}{
		{"for the own one", create(ada, "sales", one.ID), ""},
		{"taken", create(ada, "sales", two.ID), controlplane.CodeConflict},
		{"for another's that is hidden", create(bob, "theirs", one.ID), controlplane.CodeUnprocessable},
		{"for another's of the own app", create(ada, "theirs", bobs.ID), controlplane.CodeForbidden},
		{"for none", create(ada, "theirs", ""), controlplane.CodeForbidden},
		{"between own ones", assign(ada, "sales", two.ID), ""},
		{"to another's", assign(ada, "sales", bobs.ID), controlplane.CodeForbidden},
		{"another's to the own one", assign(bob, "sales", bobs.ID), controlplane.CodeNotFound},
		{"one that is not there", assign(bob, "none", bobs.ID), controlplane.CodeNotFound},
		{"promote", promote(ada, "sales"), ""},
		{"promote another's", promote(bob, "sales"), controlplane.CodeNotFound},
		{"delete another's", remove(bob, "sales"), controlplane.CodeNotFound},
		{"bob's own", create(bob, "bobs", bobs.ID), ""},
		{"an admin moves it", assign(admin, "bobs", one.ID), ""},
		{"and it is bob's no more", remove(bob, "bobs"), controlplane.CodeNotFound},
		{"but ada's", remove(ada, "bobs"), ""},
		{"unassign", func() error { _, err := in.AssignAlias(t.Context(), ada, "sales", "", false); return err }(), ""},
		{"then it is the admins'", assign(ada, "sales", one.ID), controlplane.CodeNotFound},
		{"who assign it again", assign(admin, "sales", one.ID), ""},
		{"visitor", create(visitor, "v", one.ID), controlplane.CodeUnprocessable},
		{"nobody", create(unknown, "v", one.ID), controlplane.CodeUnauthorized},
	} {
		t.Run(step.name, func(t *testing.T) { wantCode(t, step.err, step.code) })
	}
	for who, want := range map[string]int{"ada": 1, "bob": 0, "admin": 1} {
		list, err := in.Aliases(t.Context(), map[string]controlplane.Actor{"ada": ada, "bob": bob, "admin": admin}[who], controlplane.Page{})
		if err != nil || len(list.Items) != want {
			t.Errorf("%s sees %d aliases, want %d (%v)", who, len(list.Items), want, err)
		}
	}
	// Without the setting they are seen, and changed by admins.
	in.Access = access.Rules{}
	_, err := in.Alias(t.Context(), ada, "sales")
	wantCode(t, err, "")
	wantCode(t, assign(ada, "sales", two.ID), controlplane.CodeForbidden)
}

func TestStartsAreCountedByTheHour(t *testing.T) {
	in := install(t)
	in.Quotas = controlplane.Quotas{Starts: 2}
	app := in.mustImport(ada, demo("demo", "1", "", ""))
	start := func(actor controlplane.Actor) error {
		_, err := in.RunApp(t.Context(), actor, app.ID, "")
		return err
	}
	wantCode(t, start(ada), "")
	in.now = in.now.Add(40 * time.Minute)
	run := in.mustRun(ada, app)
	refused, ok := errors.AsType[*controlplane.Error](start(ada))
	if !ok || refused.Code != controlplane.CodeTooManyStarts || refused.RetryAfter != 20*time.Minute || !strings.Contains(refused.Hint, "20m0s") {
		t.Errorf("%+v", refused)
	}
	wantCode(t, start(admin), "")
	// What was refused is not counted, and what runs is joined.
	_, err := in.ResumeInstance(t.Context(), ada, run.ID)
	wantCode(t, err, "")
	if _, err := in.SuspendInstance(t.Context(), ada, run.ID); err != nil {
		t.Fatal(err)
	}
	_, err = in.ResumeInstance(t.Context(), ada, run.ID)
	wantCode(t, err, controlplane.CodeTooManyStarts)
	in.now = in.now.Add(20*time.Minute - time.Microsecond)
	wantCode(t, start(ada), controlplane.CodeTooManyStarts)
	in.now = in.now.Add(time.Microsecond)
	_, err = in.ResumeInstance(t.Context(), ada, run.ID)
	wantCode(t, err, "")
	wantCode(t, start(ada), controlplane.CodeTooManyStarts)
}

func TestQuotas(t *testing.T) {
	in := install(t)
	in.Quotas = controlplane.Quotas{Instances: 2, VisitorInstances: 1, Versions: 2}
	in.tag("red", roles("team"))
	app := in.mustImport(ada, demo("demo", "1", "Tags = [\"red\"]", ""))
	in.show(app)
	other := in.mustImport(ada, demo("other", "1", "", ""))
	_, err := in.importApp(ada, demo("demo", "2", "", ""))
	wantCode(t, err, controlplane.CodeQuota, "2 versions")
	if _, err := in.DeleteApp(t.Context(), ada, other.ID, false); err != nil {
		t.Fatal(err)
	}
	in.mustImport(ada, demo("demo", "2", "", ""))
	for range 4 {
		in.mustRun(admin, app)
	}
	for actor, limit := range map[*controlplane.Actor]int{&ada: 2, &bob: 2, &teamed: 1} {
		var run *controlplane.Instance
		for range limit {
			run = in.mustRun(*actor, app)
		}
		_, err = in.RunApp(t.Context(), *actor, app.ID, "")
		wantCode(t, err, controlplane.CodeQuota, "instances")
		if _, err := in.TerminateInstance(t.Context(), *actor, run.ID); err != nil {
			t.Fatal(err)
		}
		in.gone(run.ID)
		in.mustRun(*actor, app)
	}
}

// Runs that come at once are counted one after the other.
func TestQuotasHoldAgainstRunsAtOnce(t *testing.T) {
	in := install(t)
	in.Quotas = controlplane.Quotas{Instances: 3, Starts: 100}
	app := in.mustImport(ada, demo("demo", "1", "", ""))
	results := make(chan error)
	for range 10 {
		go func() {
			_, err := in.RunApp(t.Context(), ada, app.ID, "")
			results <- err
		}()
	}
	done := 0
	for range 10 {
		if err := <-results; err == nil {
			done++
		} else {
			wantCode(t, err, controlplane.CodeQuota)
		}
	}
	same(t, "runs", done, 3)
}

func TestPublicOfBaseURL(t *testing.T) {
	in := install(t)
	app := in.mustImport(ada, demo("demo", "1", "", "RoutingMode = \"BASE_URL\""))
	own := in.mustImport(ada, demo("own", "1", "", ""))
	public, all := controlplane.Public, controlplane.AllUsers
	_, err := in.RunApp(t.Context(), ada, app.ID, public)
	wantCode(t, err, controlplane.CodeBaseURLPublic, "share one origin")
	run, err := in.RunApp(t.Context(), ada, app.ID, all)
	wantCode(t, err, "")
	for _, actor := range []controlplane.Actor{ada, admin} {
		_, err = in.UpdateInstance(t.Context(), actor, run.ID, controlplane.InstanceChange{Visibility: &public})
		wantCode(t, err, controlplane.CodeBaseURLPublic)
	}
	_, err = in.RunApp(t.Context(), ada, own.ID, public)
	wantCode(t, err, "")
	// The app itself may be shown: that opens nothing.
	_, err = in.UpdateApp(t.Context(), ada, app.ID, controlplane.AppChange{Visibility: &public})
	wantCode(t, err, "")

	in.Access = access.Rules{BaseURLSharing: true}
	changed, err := in.UpdateInstance(t.Context(), ada, run.ID, controlplane.InstanceChange{Visibility: &public})
	wantCode(t, err, "")
	same(t, "visibility", changed.Visibility, public)
	_, err = in.RunApp(t.Context(), ada, app.ID, public)
	wantCode(t, err, "")
	// What was PUBLIC when the setting went is not kept from being narrowed.
	in.Access = access.Rules{}
	_, err = in.UpdateInstance(t.Context(), ada, run.ID, controlplane.InstanceChange{Visibility: &all})
	wantCode(t, err, "")
}

func TestImages(t *testing.T) {
	in := install(t)
	box, plain := in.mustImport(admin, container), in.mustImport(ada, demo("demo", "1", "", ""))
	set := func(actor controlplane.Actor, id, image string) error {
		_, err := in.UpdateApp(t.Context(), actor, id, controlplane.AppChange{Image: &image})
		return err
	}
	wantCode(t, set(admin, box.ID, "example.com/box:2"), "")
	app, err := in.App(t.Context(), admin, box.ID)
	wantCode(t, err, "")
	same(t, "image", app.Manifest.Runtime.CustomImage, "example.com/box:2")
	wantCode(t, set(admin, plain.ID, "example.com/box:2"), controlplane.CodeUnprocessable)
	wantCode(t, set(ada, plain.ID, "example.com/box:2"), controlplane.CodeForbidden)
	for _, image := range []string{"", "--privileged", "a b", "a\nb", "$(x)"} {
		wantCode(t, set(admin, box.ID, image), controlplane.CodeInvalid)
	}
}

// Each change leaves one record in its own revision; what changes nothing, or
// is refused, leaves none.
func TestOneRecordForEachChange(t *testing.T) {
	in := install(t)
	records := func() []*controlplane.AuditRecord {
		list, err := in.AuditRecords(t.Context(), admin, controlplane.AuditFilter{}, controlplane.Page{Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		return list.Items
	}
	ada := ada
	ada.Address = "192.0.2.1"
	app := in.mustImport(ada, demo("demo", "1", "", ""))
	run := in.mustRun(ada, app)
	all, public, title := controlplane.AllUsers, controlplane.Public, "x"
	n := len(records())
	same(t, "records of an import and a run", n, 2)
	for _, step := range []struct {
		name string
		do   func() error
		want string // action, object and detail; empty: no record
	}{
		{"show", func() error {
			_, err := in.UpdateApp(t.Context(), ada, app.ID, controlplane.AppChange{Visibility: &all})
			return err
		}, "app.update app/ID visibility PRIVATE → ALL_USERS"},
		{"show again", func() error {
			_, err := in.UpdateApp(t.Context(), ada, app.ID, controlplane.AppChange{Visibility: &all})
			return err
		}, ""},
		{"change nothing", func() error { _, err := in.UpdateApp(t.Context(), ada, app.ID, controlplane.AppChange{}); return err }, ""},
		{"refused", func() error {
			_, err := in.UpdateApp(t.Context(), bob, app.ID, controlplane.AppChange{Visibility: &public})
			return err
		}, ""},
		{"open up", func() error {
			_, err := in.UpdateInstance(t.Context(), ada, run.ID, controlplane.InstanceChange{Visibility: &public})
			return err
		}, "instance.update instance/ID visibility PRIVATE → PUBLIC"},
		{"open up again", func() error {
			_, err := in.UpdateInstance(t.Context(), ada, run.ID, controlplane.InstanceChange{Visibility: &public})
			return err
		}, ""},
		{"suspend", func() error { _, err := in.SuspendInstance(t.Context(), ada, run.ID); return err }, "instance.suspend instance/ID status PENDING → SUSPENDING"},
		{"suspend again", func() error { _, err := in.SuspendInstance(t.Context(), ada, run.ID); return err }, ""},
		{"resume", func() error { _, err := in.ResumeInstance(t.Context(), ada, run.ID); return err }, "instance.resume instance/ID status SUSPENDING → RESUMING"},
		{"resume again", func() error { _, err := in.ResumeInstance(t.Context(), ada, run.ID); return err }, ""},
		{"alias", func() error {
			_, err := in.CreateAlias(t.Context(), admin, controlplane.NewAlias{Name: "sales"})
			return err
		}, "alias.create alias/sales "},
		{"alias again", func() error {
			_, err := in.CreateAlias(t.Context(), admin, controlplane.NewAlias{Name: "sales"})
			return err
		}, ""},
		{"assign", func() error { _, err := in.AssignAlias(t.Context(), admin, "sales", run.ID, false); return err }, "alias.assign alias/sales instance none → ID"},
		{"assign again", func() error { _, err := in.AssignAlias(t.Context(), admin, "sales", run.ID, false); return err }, ""},
		{"promote", func() error { _, err := in.PromoteAlias(t.Context(), admin, "sales"); return err }, "alias.promote alias/sales of instance ID: primary none → sales"},
		{"assign and demote", func() error { _, err := in.AssignAlias(t.Context(), admin, "sales", run.ID, false); return err }, "alias.assign alias/sales instance ID"},
		{"assign and promote", func() error { _, err := in.AssignAlias(t.Context(), admin, "sales", run.ID, true); return err }, "alias.assign alias/sales instance ID, primary"},
		{"promote again", func() error { _, err := in.PromoteAlias(t.Context(), admin, "sales"); return err }, ""},
		{"unassign", func() error { _, err := in.AssignAlias(t.Context(), admin, "sales", "", false); return err }, "alias.unassign alias/sales instance ID → none"},
		{"unassign again", func() error { _, err := in.AssignAlias(t.Context(), admin, "sales", "", false); return err }, ""},
		{"delete alias", func() error { _, err := in.DeleteAlias(t.Context(), admin, "sales"); return err }, "alias.delete alias/sales "},
		{"tag", func() error { _, err := in.CreateTag(t.Context(), admin, "red", roles("team")); return err }, "tag.create tag/red visitor roles none → team"},
		{"give tag", func() error {
			_, err := in.UpdateApp(t.Context(), ada, app.ID, controlplane.AppChange{Tags: &[]string{"red"}})
			return err
		}, "app.update app/ID tags +red"},
		{"update tag", func() error {
			_, _, err := in.UpdateTag(t.Context(), bob, "red", controlplane.TagChange{Title: &title})
			return err
		}, "tag.update tag/red title none → x"},
		{"update tag again", func() error {
			_, _, err := in.UpdateTag(t.Context(), bob, "red", controlplane.TagChange{Title: &title})
			return err
		}, ""},
		{"category", func() error {
			_, _, err := in.UpdateTag(t.Context(), bob, "red", controlplane.TagChange{Description: &title, IsCategory: new(true)})
			return err
		}, "tag.update tag/red description none → x; category no → yes"},
		{"category again", func() error {
			_, _, err := in.UpdateTag(t.Context(), bob, "red", controlplane.TagChange{Description: &title, IsCategory: new(true)})
			return err
		}, ""},
		{"roles of a tag", func() error { _, _, err := in.UpdateTag(t.Context(), admin, "red", roles("crew")); return err }, "tag.update tag/red visitor roles team → crew"},
		{"delete tag", func() error { _, err := in.DeleteTag(t.Context(), admin, "red"); return err }, "tag.delete tag/red "},
		{"delete app, refused", func() error { _, err := in.DeleteApp(t.Context(), ada, app.ID, false); return err }, ""},
		{"terminate", func() error { _, err := in.TerminateInstance(t.Context(), ada, run.ID); return err }, "instance.terminate instance/ID status RESUMING → TERMINATING"},
		{"terminate again", func() error { _, err := in.TerminateInstance(t.Context(), ada, run.ID); return err }, ""},
		{"delete app", func() error { in.gone(run.ID); _, err := in.DeleteApp(t.Context(), ada, app.ID, false); return err }, "app.delete app/ID demo 1"},
	} {
		err := step.do()
		now := records()
		if step.want == "" {
			same(t, step.name+": records", len(now), n)
			continue
		}
		wantCode(t, err, "")
		if len(now) != n+1 {
			t.Fatalf("%s: %d records more", step.name, len(now)-n)
		}
		n++
		r := now[len(now)-1]
		got := strings.NewReplacer(app.ID, "ID", run.ID, "ID").Replace(r.Action + " " + r.Object + " " + r.Detail)
		same(t, step.name, got, step.want)
		if r.Actor == "ada" && r.Address != "192.0.2.1" || r.Revision == 0 || !r.Time.Equal(in.now.Truncate(time.Microsecond)) {
			t.Errorf("%s: %+v", step.name, r)
		}
	}
}
