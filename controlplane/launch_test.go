package controlplane_test

import (
	"bytes"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/offer"
)

var profiled = offer.Config{Profiles: []controlplane.LaunchProfile{
	{Name: "small", Resources: controlplane.Resources{MemoryLimit: "256Mi"}},
	{Name: "large", Resources: controlplane.Resources{MemoryLimit: "8Gi", CPULimit: "4"}},
}}

func TestLaunchProfiles(t *testing.T) {
	in := offering(t, profiled)
	app := in.mustImport(ada, demo("demo", "1", "", ""))
	run := func(profile string) *controlplane.Instance {
		t.Helper()
		started, err := in.RunAppAs(t.Context(), ada, app.ID, controlplane.Run{LaunchProfile: profile})
		if err != nil {
			t.Fatal(err)
		}
		return started
	}
	plain := run("")
	same(t, "without a profile", *plain.Resources, controlplane.Resources{MemoryLimit: "2Gi", MemoryReservation: "512Mi"})
	large := run("large")
	same(t, "with one", *large.Resources, controlplane.Resources{MemoryLimit: "8Gi", MemoryReservation: "512Mi", CPULimit: "4"})
	same(t, "their profiles", []string{plain.Profile(), large.Profile()}, []string{"", "large"})
	as := large.As(app)
	if as.Manifest.Runtime.CPULimit != "4" || app.Manifest.Runtime.CPULimit != "" {
		t.Errorf("the launcher gets %+v, the app has %+v", as.Manifest.Runtime, app.Manifest.Runtime)
	}
	_, err := in.RunAppAs(t.Context(), ada, app.ID, controlplane.Run{LaunchProfile: "huge"})
	wantCode(t, err, controlplane.CodeInvalid, `"huge"`)

	for _, profile := range []string{"small", "small", ""} {
		changed, err := in.UpdateApp(t.Context(), ada, app.ID, controlplane.AppChange{LaunchProfile: &profile})
		wantCode(t, err, "")
		same(t, "the app's own", changed.LaunchProfile, profile)
		if profile == "small" {
			small := run("")
			same(t, "a new instance's", *small.Resources, controlplane.Resources{MemoryLimit: "256Mi", MemoryReservation: "256Mi"})
			same(t, "its profile", small.Profile(), "small")
		}
	}
	huge := "huge"
	_, err = in.UpdateApp(t.Context(), ada, app.ID, controlplane.AppChange{LaunchProfile: &huge})
	wantCode(t, err, controlplane.CodeInvalid, "huge")
	same(t, "audited", in.audited("app.update"), []string{"ada: launch profile none → small", "ada: launch profile small → none"})
}

func TestWhatAnImportIsGiven(t *testing.T) {
	for name, c := range map[string]struct {
		actor    controlplane.Actor
		manifest string
		as       controlplane.Import
		code     controlplane.Code
		says     string
	}{
		"an image by an admin":         {admin, container, controlplane.Import{Image: "example.com/box:7"}, "", ""},
		"an image by a user":           {ada, container, controlplane.Import{Image: "example.com/box:7"}, controlplane.CodeForbidden, "set by admins"},
		"an image by nobody":           {controlplane.Actor{}, container, controlplane.Import{Image: "example.com/box:7"}, controlplane.CodeUnauthorized, ""},
		"an image of no container app": {admin, demo("demo", "1", "", ""), controlplane.Import{Image: "example.com/box:7"}, controlplane.CodeUnprocessable, "has no image"},
		"a profile":                    {ada, demo("demo", "1", "", ""), controlplane.Import{LaunchProfile: "small"}, "", ""},
		"a profile that is not there":  {ada, demo("demo", "1", "", ""), controlplane.Import{LaunchProfile: "huge"}, controlplane.CodeInvalid, `"huge"`},
		"a profile of a link":          {ada, link, controlplane.Import{LaunchProfile: "small"}, controlplane.CodeUnprocessable, "starts nothing"},
	} {
		t.Run(name, func(t *testing.T) {
			in := offering(t, profiled)
			app, _, err := in.ImportAppAs(t.Context(), c.actor, bytes.NewReader(archive(t, c.manifest)), c.as)
			wantCode(t, err, c.code, c.says)
			if err != nil {
				if n := in.bundles(); n != 0 {
					t.Errorf("%d files are left of a refused import", n)
				}
				return
			}
			found, err := in.App(t.Context(), admin, app.ID)
			if err != nil || c.as.Image != "" && found.Manifest.Runtime.CustomImage != c.as.Image || found.LaunchProfile != c.as.LaunchProfile {
				t.Errorf("%+v, %v", found, err)
			}
		})
	}
}

func TestRedeploy(t *testing.T) {
	in := offering(t, profiled)
	app := in.mustImport(ada, demo("demo", "1", "", ""))
	run, err := in.RunAppAs(t.Context(), ada, app.ID, controlplane.Run{LaunchProfile: "large"})
	wantCode(t, err, "")
	_, err = in.RedeployInstance(t.Context(), ada, run.ID)
	wantCode(t, err, controlplane.CodeForbidden, "admins")

	more := profiled
	more.Max = controlplane.Resources{MemoryLimit: "4Gi"}
	in.reoffer(more)
	want := controlplane.Resources{MemoryLimit: "4Gi", MemoryReservation: "512Mi", CPULimit: "4"}
	in.set(run.ID, func(r *controlplane.Instance) {
		r.Status, r.Stage, r.Endpoint = controlplane.Deployed, "", "127.0.0.1:1"
	})
	got, err := in.RedeployInstance(t.Context(), admin, run.ID)
	wantCode(t, err, "")
	same(t, "its resources", *got.Resources, want)
	if got.Status != controlplane.Resuming || got.Generation != run.Generation+1 || got.LaunchProfile != "large" {
		t.Errorf("what runs is started anew: %+v", got)
	}

	// What sleeps goes on to sleep, and forgets a profile that is gone.
	in.set(run.ID, func(r *controlplane.Instance) { r.Status, r.Stage = controlplane.Suspended, "" })
	in.reoffer(offer.Config{})
	got, err = in.RedeployInstance(t.Context(), admin, run.ID)
	wantCode(t, err, "")
	if got.Status != controlplane.Suspended || got.LaunchProfile != "" || got.Profile() != "" || got.Resources.MemoryLimit != "2Gi" {
		t.Errorf("asleep: %+v", got)
	}
	in.cannot = []controlplane.Reason{{Code: controlplane.Dependencies, Text: "no python"}}
	_, err = in.RedeployInstance(t.Context(), admin, run.ID)
	wantCode(t, err, controlplane.CodeConflict, "no python")
}
