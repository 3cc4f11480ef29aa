package controlplane_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/offer"
)

// offering is an installation with these settings.
func offering(t *testing.T, c offer.Config) *installation {
	t.Helper()
	in := install(t)
	in.reoffer(c)
	return in
}

func (in *installation) reoffer(c offer.Config) {
	in.Helper()
	o, err := offer.New(c)
	if err != nil {
		in.Fatal(err)
	}
	in.Offers = o
}

// audited are the details of the audit's records of an action, with their actors.
func (in *installation) audited(action string) (out []string) {
	in.Helper()
	list, err := in.store.Audit(in.Context(), controlplane.Page{Limit: 1000})
	if err != nil {
		in.Fatal(err)
	}
	for _, r := range list.Items {
		if r.Action == action {
			out = append(out, r.Actor+": "+r.Detail)
		}
	}
	return out
}

var box = offer.Config{Images: []string{`example\.com/.*`}}

func TestPreconditionsAreCheckedAgain(t *testing.T) {
	in := offering(t, box)
	app := in.mustImport(admin, container)
	if got := in.reasonsOf(app); len(got) != 0 || len(app.Unmet) != 0 {
		t.Fatalf("reasons %v, noted %v", got, app.Unmet)
	}
	check := func() {
		t.Helper()
		if err := in.CheckApps(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	check()
	same(t, "nothing has changed", in.audited("app.preconditions"), []string(nil))
	in.reoffer(offer.Config{})
	check()
	check() // it is told once
	same(t, "the image is not allowed any more", in.audited("app.preconditions"), []string{"system: not runnable none → image_not_allowed"})
	again, err := in.App(t.Context(), admin, app.ID)
	if err != nil || !slices.Equal(again.Unmet, []controlplane.ReasonCode{controlplane.ImageNotAllowed}) {
		t.Errorf("%v noted, %v", again.Unmet, err)
	}
	_, err = in.RunApp(t.Context(), admin, app.ID, "")
	wantCode(t, err, controlplane.CodeConflict, "not runnable", "is not allowed here")

	in.reoffer(box)
	_, err = in.RefreshApp(t.Context(), bob, app.ID)
	wantCode(t, err, controlplane.CodeNotFound)
	if again, err = in.RefreshApp(t.Context(), admin, app.ID); err != nil || len(again.Unmet) != 0 {
		t.Errorf("%v noted, %v", again.Unmet, err)
	}
	same(t, "refreshed", in.audited("app.preconditions")[1:], []string{"root: not runnable image_not_allowed → none"})
	_, _, err = in.RefreshApps(t.Context(), ada)
	wantCode(t, err, controlplane.CodeForbidden)
	in.mustImport(ada, demo("demo", "1", "", ""))
	in.reoffer(offer.Config{})
	checked, changed, err := in.RefreshApps(t.Context(), admin)
	if checked != 2 || changed != 1 || err != nil {
		t.Errorf("%d checked, %d changed, %v", checked, changed, err)
	}
}

// raced is a store in which somebody else writes before the commit of the next
// transaction.
type raced struct {
	controlplane.Store
	race func()
}

func (r *raced) Update(ctx context.Context, f func(controlplane.Tx) error) (int64, error) {
	return r.Store.Update(ctx, func(tx controlplane.Tx) error {
		err := f(tx)
		if race := r.race; race != nil {
			r.race = nil
			race()
		}
		return err
	})
}

func TestACheckAgainCountsWhatItHasWritten(t *testing.T) {
	in := offering(t, box)
	app := in.mustImport(admin, container)
	in.reoffer(offer.Config{})
	in.Store = &raced{in.store, func() { in.show(app) }} // which checks it, too
	checked, changed, err := in.RefreshApps(t.Context(), admin)
	if checked != 1 || changed != 0 || err != nil {
		t.Errorf("somebody else was faster: %d checked, %d changed, %v", checked, changed, err)
	}

	in.reoffer(box)
	in.Store = &raced{in.store, func() {
		_, err := in.store.Update(t.Context(), func(tx controlplane.Tx) error {
			record, err := tx.App(app.ID)
			if err != nil {
				return err
			}
			record.Visibility = controlplane.Private
			return tx.Put(record)
		})
		wantCode(t, err, "")
	}}
	checked, changed, err = in.RefreshApps(t.Context(), admin)
	if checked != 1 || changed != 1 || err != nil {
		t.Errorf("somebody else changed something else: %d checked, %d changed, %v", checked, changed, err)
	}
}

func TestAnImageThatIsSetCounts(t *testing.T) {
	in := offering(t, box)
	app := in.mustImport(admin, strings.Replace(container, `CustomImage = "example.com/box:1"`, `CustomImage = "customImage:latest"`, 1))
	same(t, "noted at the import", app.Unmet, []controlplane.ReasonCode{controlplane.ImageInvalid})
	for _, c := range []struct {
		image string
		want  []controlplane.ReasonCode
	}{
		{"elsewhere.example/box:1", []controlplane.ReasonCode{controlplane.ImageNotAllowed}},
		{"example.com/box:2", nil},
	} {
		changed, err := in.UpdateApp(t.Context(), admin, app.ID, controlplane.AppChange{Image: &c.image})
		if err != nil || !slices.Equal(changed.Unmet, c.want) || len(in.reasonsOf(changed)) != len(c.want) {
			t.Errorf("%s: %v, %v, %v", c.image, changed.Unmet, in.reasonsOf(changed), err)
		}
	}
}

func TestADeprecatedRuntimeTakesNothingNew(t *testing.T) {
	runtimes := []controlplane.RuntimeVersion{{Name: "py312", Default: true, Python: "3.12"}, {Name: "py311", Python: "3.11"}}
	in := offering(t, offer.Config{Runtimes: runtimes})
	old := in.mustImport(ada, demo("old", "1", "", ""))
	same(t, "resolved at the import", old.RuntimeVersion, "py312")
	old.Manifest.Runtime.RuntimeVersion = "py311" // the bundle's reader of these tests knows the App Store's five
	run := in.mustRun(ada, old)
	same(t, "what an instance runs on", *run.Runtime, runtimes[0])

	runtimes[1].Deprecated = true
	in.reoffer(offer.Config{Runtimes: runtimes})
	reasons := in.reasonsOf(old)
	if len(reasons) != 1 || reasons[0].Code != controlplane.Dependencies || !strings.Contains(reasons[0].Text, "py311 is deprecated") {
		t.Errorf("reasons %v", reasons)
	}
	// What runs already goes on.
	_, err := in.SuspendInstance(t.Context(), ada, run.ID)
	wantCode(t, err, "")
	_, err = in.ResumeInstance(t.Context(), ada, run.ID)
	wantCode(t, err, "")
}

func (in *installation) reasonsOf(app *controlplane.App) []controlplane.Reason {
	in.Helper()
	reasons, err := in.Reasons(in.Context(), app)
	if err != nil {
		in.Fatal(err)
	}
	return reasons[0]
}
