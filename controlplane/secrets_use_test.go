package controlplane_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// needy is an app of an owner that refers to secrets.
func (in *installation) needy(owner, name string, m controlplane.Manifest) *controlplane.App {
	in.Helper()
	app := &controlplane.App{
		ID: uuid.NewString(), Name: name, Version: "1", Title: name, Owner: owner, Visibility: controlplane.AllUsers, Tags: []string{},
		Lifecycle: controlplane.OnDemand, RoutingMode: controlplane.Domain, AppMode: controlplane.Python, Manifest: m,
	}
	if _, err := in.store.Update(in.Context(), func(tx controlplane.Tx) error { return tx.Put(app) }); err != nil {
		in.Fatal(err)
	}
	return app
}

func needsEnv(secret, key string, optional bool) controlplane.Manifest {
	return controlplane.Manifest{Env: []controlplane.EnvVar{
		{Name: "PLAIN", Value: "x"}, {Name: "SECRET", Secret: secret, SecretKey: key, Optional: optional},
	}}
}

func (in *installation) resolve(app *controlplane.App) (controlplane.ResolvedSecrets, *controlplane.Reason) {
	in.Helper()
	r := controlplane.SecretResolver{Store: in.store, Vault: in.Vault, Rights: in.Rights}
	out, why, err := r.Resolve(in.Context(), app)
	if err != nil {
		in.Fatal(err)
	}
	return out, why
}

// putUsers writes root, an admin by the provider's role, and ada, who is not.
func (in *installation) putUsers() {
	in.Helper()
	in.Rights = controlplane.Rights{AdminRole: "operators"}
	_, err := in.store.Update(in.Context(), func(tx controlplane.Tx) error {
		for _, u := range []*controlplane.User{{Name: "root", Issuer: "i", Subject: "root", Roles: []string{"operators"}}, {Name: "ada", Issuer: "i", Subject: "ada"}} {
			if err := tx.Put(u); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		in.Fatal(err)
	}
}

func TestWhichSecretAReferenceMeans(t *testing.T) {
	type kept struct {
		actor controlplane.Actor
		id    controlplane.SecretID
		value string
	}
	adas, bobs, roots := kept{ada, private("db"), "ada's"}, kept{bob, private("db"), "bob's"}, kept{admin, private("db"), "root's"}
	all, app, other := kept{admin, forAll("db"), "all's"}, kept{admin, forApp("DEMO", "db"), "app's"}, kept{admin, forApp("other", "db"), "other's"}
	for name, c := range map[string]struct {
		owner string
		kept  []kept
		want  string // empty: missing_secret
	}{
		"the importer's own":                  {"ada", []kept{adas, all, app, bobs, roots}, "ada's"},
		"that of all users":                   {"ada", []kept{all, bobs}, "all's"},
		"never somebody else's":               {"ada", []kept{bobs, roots}, ""},
		"the app's, not an ordinary importer": {"ada", []kept{app, all}, "all's"},
		"the app's alone, likewise":           {"ada", []kept{app}, ""},
		"the app's, of an admin":              {"root", []kept{app, all}, "app's"},
		"an admin's own before the app's":     {"root", []kept{roots, app, all}, "root's"},
		"another app's":                       {"root", []kept{other}, ""},
		"of an importer who is gone":          {"nobody", []kept{app, all}, "all's"},
		"none":                                {"ada", nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			in, _ := withVault(t)
			in.putUsers()
			for _, k := range c.kept {
				in.keepSecret(k.actor, k.id, "key", k.value)
			}
			demo := in.needy(c.owner, "demo", needsEnv("db", "key", false))
			got, why := in.resolve(demo)
			value := ""
			for _, e := range got.Env {
				value += e.Value
			}
			same(t, "value", value, c.want)
			if missing := why != nil && why.Code == controlplane.MissingSecret; missing != (c.want == "") {
				t.Errorf("reason %v", why)
			}
			reasons, err := in.Reasons(t.Context(), demo)
			wantCode(t, err, "")
			if missing := len(reasons[0]) == 1 && reasons[0][0].Code == controlplane.MissingSecret; missing != (c.want == "") {
				t.Errorf("reasons %v", reasons)
			}
			_, err = in.RunApp(t.Context(), bob, demo.ID, "") // who has a secret of that name himself
			if (controlplane.CodeOf(err) == controlplane.CodeConflict) != (c.want == "") {
				t.Errorf("run: %v", err)
			}
		})
	}
}

func TestReferencesThatCannotBeHad(t *testing.T) {
	file := func(key string, optional bool) controlplane.Manifest {
		return controlplane.Manifest{Files: []controlplane.File{{Path: "conf/a", Value: "x"}, {Path: "conf2/b", Secret: "db", SecretKey: key, Optional: optional}}}
	}
	for name, c := range map[string]struct {
		manifest controlplane.Manifest
		want     string // values, then what is warned of or wrong
	}{
		"a variable":                            {needsEnv("db", "text", false), "t"},
		"a file":                                {file("text", false), "t"},
		"a file of bytes":                       {file("bytes", false), "\x00\xff"},
		"a variable of bytes":                   {needsEnv("db", "bytes", false), "! not text"},
		"an optional variable of bytes":         {needsEnv("db", "bytes", true), "! not text"},
		"an empty value":                        {needsEnv("db", "empty", false), ""},
		"a variable without its key":            {needsEnv("db", "none", false), `! Env SECRET needs the key "none"`},
		"a file without its key":                {file("none", false), `! File conf2/b needs the key "none"`},
		"an optional variable without its key":  {needsEnv("db", "none", true), "Env SECRET is left out"},
		"an optional file without its key":      {file("none", true), "File conf2/b is left out"},
		"an optional variable without a secret": {needsEnv("none", "text", true), "Env SECRET is left out"},
		"a variable without a secret":           {needsEnv("none", "text", false), "! slipway secret create none text"},
	} {
		t.Run(name, func(t *testing.T) {
			in, _ := withVault(t)
			in.keepSecret(ada, private("db"), "text", "t", "bytes", "\x00\xff", "empty", "")
			app := in.needy("ada", "demo", c.manifest)
			got, why := in.resolve(app)
			if reasons := in.reasonsOf(app); (len(reasons) > 0) != (why != nil) || why != nil && reasons[0].Text != why.Text {
				t.Errorf("before a start the reasons are %v, at one it is %v", reasons, why)
			}
			said := ""
			for _, e := range got.Env {
				said += e.Value
			}
			for _, f := range got.Files {
				said += f.Value
			}
			said += strings.Join(got.Warnings, "; ")
			if why != nil {
				if said != "" {
					t.Errorf("values beside a reason: %q", said)
				}
				said = "! " + why.Text
			}
			if strings.Contains(said, "empty") {
				t.Errorf("it tells of keys that the manifest does not name: %q", said)
			}
			parts := strings.SplitN(c.want, " ", 2)
			if len(parts) == 1 && said != c.want || !strings.HasPrefix(said, parts[0][:min(1, len(parts[0]))]) || !strings.Contains(said, strings.TrimPrefix(c.want, "! ")) {
				t.Errorf("%q, want %q", said, c.want)
			}
		})
	}
	t.Run("without keys", func(t *testing.T) {
		in, _ := withVault(t)
		in.keepSecret(ada, private("db"), "key", "v")
		in.Vault = nil
		if _, why := in.resolve(in.needy("ada", "demo", needsEnv("db", "key", false))); why == nil || !strings.Contains(why.Text, "has no keys") {
			t.Errorf("reason %v", why)
		}
	})
}

func TestASecretInUseStays(t *testing.T) {
	for name, c := range map[string]struct {
		delete controlplane.SecretID
		actor  controlplane.Actor
		names  []string // of apps, in the refusal
	}{
		"ada's own":         {private("db"), ada, []string{"ada-env 1", "ada-file 1", "ada-optional 1"}},
		"of another's apps": {private("db"), bob, nil},
		"of all users":      {forAll("db"), admin, []string{"carl 1"}},
		"of an app":         {forApp("root-app", "db"), admin, []string{"root-app 1"}},
		"of another app":    {forApp("carl", "db"), admin, nil},
		"another name":      {private("other"), ada, nil},
	} {
		t.Run(name, func(t *testing.T) {
			in, _ := withVault(t)
			in.putUsers()
			in.keepSecret(ada, private("db"), "key", "v")
			in.keepSecret(ada, private("other"), "key", "v")
			in.keepSecret(bob, private("db"), "key", "v")
			for _, id := range []controlplane.SecretID{forAll("db"), forApp("root-app", "db"), forApp("carl", "db")} {
				in.keepSecret(admin, id, "key", "v")
			}
			in.needy("ada", "ada-env", needsEnv("db", "key", false))
			in.needy("ada", "ada-optional", needsEnv("db", "nokey", true))
			in.needy("ada", "ada-file", controlplane.Manifest{Files: []controlplane.File{{Path: "a/b", Secret: "db", SecretKey: "key"}}})
			in.needy("carl", "carl", needsEnv("db", "key", false))
			in.needy("root", "root-app", needsEnv("db", "key", false))
			before := in.revision()
			_, err := in.DeleteSecret(t.Context(), c.actor, c.delete)
			if c.names == nil {
				wantCode(t, err, "")
				return
			}
			wantCode(t, err, controlplane.CodeConflict, c.names...)
			if n := strings.Count(err.Error(), " 1 ("); n != len(c.names) {
				t.Errorf("%d apps in %v", n, err)
			}
			same(t, "revision", in.revision(), before)
		})
	}
}

func TestARefusalNamesAFewApps(t *testing.T) {
	in, _ := withVault(t)
	in.keepSecret(ada, private("db"), "key", "v")
	for i := range 25 {
		in.needy("ada", fmt.Sprintf("app%02d", i), needsEnv("db", "key", false))
	}
	_, err := in.DeleteSecret(t.Context(), ada, private("db"))
	wantCode(t, err, controlplane.CodeConflict, "25 apps", "and 5 more")
}

// Apps of a list cost one read of each secret.
func TestReasonsOfManyApps(t *testing.T) {
	in, _ := withVault(t)
	in.keepSecret(ada, private("db"), "key", "v")
	var apps []*controlplane.App
	for i := range 10 {
		apps = append(apps, in.needy([]string{"ada", "bob"}[i%2], fmt.Sprint("app", i), needsEnv("db", "key", false)))
	}
	reasons, err := in.Reasons(t.Context(), apps...)
	wantCode(t, err, "")
	for i, r := range reasons {
		if lacks := slices.ContainsFunc(r, func(r controlplane.Reason) bool { return r.Code == controlplane.MissingSecret }); lacks != (i%2 == 1) {
			t.Errorf("app %d: %v", i, r)
		}
	}
}
