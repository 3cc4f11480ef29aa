package controlplane_test

import (
	"context"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// Each change of one record that can be conditional is made at the revision that
// the caller names, and at no other.
func TestConditionalChanges(t *testing.T) {
	public, title := controlplane.Public, "A title"
	for name, c := range map[string]struct {
		of func(in *installation, app *controlplane.App, run *controlplane.Instance) int64
		do func(in *installation, ctx context.Context, app *controlplane.App, run *controlplane.Instance) error
	}{
		"update app": {appRevision, func(in *installation, ctx context.Context, app *controlplane.App, _ *controlplane.Instance) error {
			_, err := in.UpdateApp(ctx, admin, app.ID, controlplane.AppChange{Visibility: &public})
			return err
		}},
		"delete app with its instances": {appRevision, func(in *installation, ctx context.Context, app *controlplane.App, _ *controlplane.Instance) error {
			_, err := in.DeleteApp(ctx, admin, app.ID, true)
			if controlplane.CodeOf(err) == controlplane.CodeConflict {
				err = nil // they are being terminated
			}
			return err
		}},
		"refresh app": {appRevision, func(in *installation, ctx context.Context, app *controlplane.App, _ *controlplane.Instance) error {
			_, err := in.RefreshApp(ctx, admin, app.ID)
			return err
		}},
		"update instance": {runRevision, func(in *installation, ctx context.Context, _ *controlplane.App, run *controlplane.Instance) error {
			_, err := in.UpdateInstance(ctx, admin, run.ID, controlplane.InstanceChange{Visibility: &public})
			return err
		}},
		"terminate": {runRevision, func(in *installation, ctx context.Context, _ *controlplane.App, run *controlplane.Instance) error {
			_, err := in.TerminateInstance(ctx, admin, run.ID)
			return err
		}},
		"assign alias": {aliasRevision, func(in *installation, ctx context.Context, _ *controlplane.App, run *controlplane.Instance) error {
			_, err := in.AssignAlias(ctx, admin, "sales", run.ID, true)
			return err
		}},
		"promote alias": {aliasRevision, func(in *installation, ctx context.Context, _ *controlplane.App, _ *controlplane.Instance) error {
			_, err := in.PromoteAlias(ctx, admin, "sales")
			return err
		}},
		"delete alias": {aliasRevision, func(in *installation, ctx context.Context, _ *controlplane.App, _ *controlplane.Instance) error {
			_, err := in.DeleteAlias(ctx, admin, "sales")
			return err
		}},
		"update tag": {tagRevision, func(in *installation, ctx context.Context, _ *controlplane.App, _ *controlplane.Instance) error {
			_, _, err := in.UpdateTag(ctx, admin, "red", controlplane.TagChange{Title: &title})
			return err
		}},
		"delete tag": {tagRevision, func(in *installation, ctx context.Context, _ *controlplane.App, _ *controlplane.Instance) error {
			_, err := in.DeleteTag(ctx, admin, "red")
			return err
		}},
		"update secret": {secretRevision, func(in *installation, ctx context.Context, _ *controlplane.App, _ *controlplane.Instance) error {
			_, err := in.UpdateSecret(ctx, admin, forAll("db"), val("user", "b"))
			return err
		}},
		"delete secret": {secretRevision, func(in *installation, ctx context.Context, _ *controlplane.App, _ *controlplane.Instance) error {
			_, err := in.DeleteSecret(ctx, admin, forAll("db"))
			return err
		}},
		"disable user": {userRevision, func(in *installation, ctx context.Context, _ *controlplane.App, _ *controlplane.Instance) error {
			_, err := in.DisableUser(ctx, admin, ada.User, true)
			return err
		}},
	} {
		t.Run(name, func(t *testing.T) {
			in, _ := withVault(t)
			in.putUsers()
			app := in.mustImport(ada, demo("demo", "1", "", ""))
			run := in.mustRun(ada, app)
			if _, err := in.CreateAlias(t.Context(), admin, controlplane.NewAlias{Name: "sales", InstanceID: run.ID}); err != nil {
				t.Fatal(err)
			}
			if _, err := in.CreateTag(t.Context(), admin, "red", controlplane.TagChange{}); err != nil {
				t.Fatal(err)
			}
			if _, err := in.CreateSecret(t.Context(), admin, forAll("db"), val("user", "a")); err != nil {
				t.Fatal(err)
			}
			at, before := c.of(in, app, run), in.revision()
			wantCode(t, c.do(in, controlplane.OnlyAt(t.Context(), []int64{at - 1, at + 1}), app, run), controlplane.CodePrecondition)
			wantCode(t, c.do(in, controlplane.OnlyAt(t.Context(), []int64{}), app, run), controlplane.CodePrecondition)
			if now := in.revision(); now != before {
				t.Errorf("a refused change wrote something: %d, %d", before, now)
			}
			wantCode(t, c.do(in, controlplane.OnlyAt(t.Context(), []int64{1, at}), app, run), "")
		})
	}
}

func appRevision(in *installation, app *controlplane.App, _ *controlplane.Instance) int64 {
	found, err := in.App(in.Context(), admin, app.ID)
	if err != nil {
		in.Fatal(err)
	}
	return found.Revision
}

func runRevision(in *installation, _ *controlplane.App, run *controlplane.Instance) int64 {
	found, err := in.Instance(in.Context(), admin, run.ID)
	if err != nil {
		in.Fatal(err)
	}
	return found.Revision
}

func aliasRevision(in *installation, _ *controlplane.App, _ *controlplane.Instance) int64 {
	found, err := in.Alias(in.Context(), admin, "sales")
	if err != nil {
		in.Fatal(err)
	}
	return found.Revision
}

func tagRevision(in *installation, _ *controlplane.App, _ *controlplane.Instance) int64 {
	found, err := in.Tag(in.Context(), admin, "red")
	if err != nil {
		in.Fatal(err)
	}
	return found.Revision
}

func secretRevision(in *installation, _ *controlplane.App, _ *controlplane.Instance) int64 {
	found, err := in.Secret(in.Context(), admin, forAll("db"))
	if err != nil {
		in.Fatal(err)
	}
	return found.Revision
}

func userRevision(in *installation, _ *controlplane.App, _ *controlplane.Instance) int64 {
	found, err := in.User(in.Context(), admin, ada.User)
	if err != nil {
		in.Fatal(err)
	}
	return found.Revision
}
