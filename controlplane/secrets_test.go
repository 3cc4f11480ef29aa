package controlplane_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
	"github.com/seed-dbc68772/slipway/controlplane/vault"
)

// withVault gives the installation keys.
func withVault(t *testing.T) (in *installation, keys string) {
	t.Helper()
	in = install(t)
	keys = filepath.Join(t.TempDir(), "keys.json")
	if _, err := vault.Create(keys); err != nil {
		t.Fatal(err)
	}
	v, err := vault.Open(keys)
	if err != nil {
		t.Fatal(err)
	}
	in.Vault = v
	return in, keys
}

func private(name string) controlplane.SecretID { return controlplane.SecretID{Name: name} }
func forAll(name string) controlplane.SecretID {
	return controlplane.SecretID{Visibility: controlplane.AllUsers, Name: name}
}
func forApp(app, name string) controlplane.SecretID {
	return controlplane.SecretID{Visibility: controlplane.AppWide, Parent: "app:" + app, Name: name}
}

// val are values of pairs of keys and texts.
func val(pairs ...string) controlplane.SecretValues {
	v := controlplane.SecretValues{}
	for i := 0; i < len(pairs); i += 2 {
		v[pairs[i]] = []byte(pairs[i+1])
	}
	return v
}

func (in *installation) keepSecret(actor controlplane.Actor, id controlplane.SecretID, pairs ...string) {
	in.Helper()
	if _, err := in.CreateSecret(in.Context(), actor, id, val(pairs...)); err != nil {
		in.Fatal(explain(err))
	}
}

// wantHint is wantCode for what the hint says.
func wantHint(t *testing.T, err error, code controlplane.Code, says ...string) {
	t.Helper()
	wantCode(t, err, code)
	known, _ := errors.AsType[*controlplane.Error](err)
	for _, s := range says {
		if known == nil || !strings.Contains(known.Hint, s) {
			t.Errorf("the hint of %+v does not say %q", known, s)
		}
	}
}

func (in *installation) secretNames(actor controlplane.Actor, f controlplane.SecretFilter, limit int) (names []string) {
	in.Helper()
	for p := (controlplane.Page{Limit: limit}); ; {
		list, err := in.Secrets(in.Context(), actor, f, p)
		if err != nil {
			in.Fatal(explain(err))
		}
		if limit > 0 && len(list.Items) > limit {
			in.Errorf("a page of %d", len(list.Items))
		}
		for _, s := range list.Items {
			names = append(names, s.ID().String())
		}
		if p.After, p.Revision = list.NextAfter, list.Revision; p.After == "" {
			return names
		}
	}
}

func TestWhoSeesWhichSecrets(t *testing.T) {
	in, _ := withVault(t)
	for _, id := range []controlplane.SecretID{private("b"), private("a.b-c")} {
		in.keepSecret(ada, id, "k", "v")
	}
	in.keepSecret(bob, private("a"), "k", "v")
	in.keepSecret(admin, forAll("z"), "k", "v")
	in.keepSecret(admin, forApp("Demo", "x"), "k", "v")
	in.keepSecret(admin, forApp("demo.more", "x"), "k", "v")
	filter := func(v controlplane.Visibility, parent string) controlplane.SecretFilter {
		return controlplane.SecretFilter{Visibility: v, Parent: parent}
	}
	for name, c := range map[string]struct {
		actor  controlplane.Actor
		filter controlplane.SecretFilter
		want   string
	}{
		"full":               {ada, filter("", ""), "ALL_USERS/z PRIVATE/ada/a.b-c PRIVATE/ada/b"},
		"full in capitals":   {controlplane.Actor{User: "ADA", Full: true}, filter("", ""), "ALL_USERS/z PRIVATE/ada/a.b-c PRIVATE/ada/b"},
		"another":            {bob, filter("", ""), "ALL_USERS/z PRIVATE/bob/a"},
		"admin":              {admin, filter("", ""), "ALL_USERS/z APP/app:demo.more/x APP/app:Demo/x"},
		"admin, of apps":     {admin, filter("APP", ""), "APP/app:demo.more/x APP/app:Demo/x"},
		"admin, of one app":  {admin, filter("", "app:DEMO"), "APP/app:Demo/x"},
		"full, their own":    {ada, filter("PRIVATE", ""), "PRIVATE/ada/a.b-c PRIVATE/ada/b"},
		"full, of all users": {ada, filter("ALL_USERS", ""), "ALL_USERS/z"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, limit := range []int{0, 1, 2, 3} {
				same(t, fmt.Sprintf("pages of %d", limit), strings.Join(in.secretNames(c.actor, c.filter, limit), " "), c.want)
			}
		})
	}
	for name, c := range map[string]struct {
		actor  controlplane.Actor
		filter controlplane.SecretFilter
		code   controlplane.Code
	}{
		"visitor":              {visitor, filter("", ""), controlplane.CodeForbidden},
		"nobody":               {unknown, filter("", ""), controlplane.CodeUnauthorized},
		"full, of apps":        {ada, filter("APP", ""), controlplane.CodeForbidden},
		"full, of an app":      {ada, filter("", "app:demo"), controlplane.CodeForbidden},
		"PUBLIC":               {admin, filter("PUBLIC", ""), controlplane.CodeInvalid},
		"a parent of no app":   {admin, filter("APP", "demo"), controlplane.CodeInvalid},
		"a parent of all":      {admin, filter("ALL_USERS", "app:demo"), controlplane.CodeInvalid},
		"a parent with slash":  {admin, filter("APP", "app:a/b"), controlplane.CodeInvalid},
		"somebody's by parent": {bob, filter("PRIVATE", "app:ada"), controlplane.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := in.Secrets(t.Context(), c.actor, c.filter, controlplane.Page{})
			wantCode(t, err, c.code)
		})
	}
}

func TestSecretsThatAreRefused(t *testing.T) {
	many := controlplane.SecretValues{}
	for i := range 65 {
		many[fmt.Sprint("k", i)] = nil
	}
	for name, c := range map[string]struct {
		id     controlplane.SecretID
		values controlplane.SecretValues
		code   controlplane.Code
	}{
		"capitals":                   {private("Name"), val("k", "v"), controlplane.CodeInvalid},
		"empty name":                 {private(""), val("k", "v"), controlplane.CodeInvalid},
		"a slash":                    {private("a/b"), val("k", "v"), controlplane.CodeInvalid},
		"a dot at the end":           {private("a."), val("k", "v"), controlplane.CodeInvalid},
		"two dots":                   {private("a..b"), val("k", "v"), controlplane.CodeInvalid},
		"a line break at the end":    {private("a\n"), val("k", "v"), controlplane.CodeInvalid},
		"64 characters":              {private(strings.Repeat("a", 64)), val("k", "v"), controlplane.CodeInvalid},
		"63 characters":              {private(strings.Repeat("a", 63)), val("k", "v"), ""},
		"dots and hyphens":           {private("a.b-c.d"), val("k", "v"), ""},
		"PUBLIC":                     {controlplane.SecretID{Visibility: controlplane.Public, Name: "a"}, val("k", "v"), controlplane.CodeInvalid},
		"a parent of a PRIVATE one":  {controlplane.SecretID{Parent: "app:a", Name: "a"}, val("k", "v"), controlplane.CodeInvalid},
		"an APP one without parent":  {controlplane.SecretID{Visibility: controlplane.AppWide, Name: "a"}, val("k", "v"), controlplane.CodeInvalid},
		"no keys":                    {private("a"), val(), controlplane.CodeInvalid},
		"an empty key":               {private("a"), val("", "v"), controlplane.CodeInvalid},
		"a key with a space":         {private("a"), val("k k", "v"), controlplane.CodeInvalid},
		"a long key":                 {private("a"), val(strings.Repeat("k", 254), "v"), controlplane.CodeInvalid},
		"all that a key may have":    {private("a"), val(strings.Repeat("k", 250)+"-_.", "v"), ""},
		"keys that capitals tell":    {private("a"), val("key", "v", "KEY", "w"), controlplane.CodeInvalid},
		"too many keys":              {private("a"), many, controlplane.CodeInvalid},
		"too large":                  {private("a"), val("k", strings.Repeat("v", 64<<10)), controlplane.CodeTooLarge},
		"as large as may be":         {private("a"), val("k", strings.Repeat("v", 64<<10-1)), ""},
		"an empty value":             {private("a"), val("k", ""), ""},
		"bytes that are no text":     {private("a"), val("k", "\xff\x00"), ""},
		"a parent of 64 characters":  {forApp(strings.Repeat("a", 64), "a"), val("k", "v"), controlplane.CodeInvalid},
		"a parent that is a pattern": {forApp("../x", "a"), val("k", "v"), controlplane.CodeInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			in, _ := withVault(t)
			before := in.revision()
			_, err := in.CreateSecret(t.Context(), admin, c.id, c.values)
			wantCode(t, err, c.code)
			if err != nil {
				same(t, "revision", in.revision(), before)
				return
			}
			_, shown, err := in.RevealSecret(t.Context(), admin, c.id)
			wantCode(t, err, "")
			same(t, "values", map[string][]byte(shown), map[string][]byte(c.values))
		})
	}
}

func TestTheLifeOfASecret(t *testing.T) {
	in, _ := withVault(t)
	in.keepSecret(ada, private("db"), "user", "app", "password", "first")
	_, err := in.CreateSecret(t.Context(), ada, private("db"), val("k", "v"))
	wantHint(t, err, controlplane.CodeConflict, "slipway secret update db")
	in.keepSecret(bob, private("db"), "password", "bob's")
	secret, err := in.UpdateSecret(t.Context(), ada, private("db"), val("password", "second"))
	wantCode(t, err, "")
	same(t, "keys", secret.Keys, []string{"password"})
	_, values, err := in.RevealSecret(t.Context(), ada, private("db"))
	wantCode(t, err, "")
	same(t, "password", string(values["password"]), "second")
	_, err = in.UpdateSecret(t.Context(), ada, private("none"), val("k", "v"))
	wantCode(t, err, controlplane.CodeNotFound)
	before := in.revision()
	readOnly := ada
	readOnly.Scopes = []controlplane.Scope{controlplane.ScopeRead}
	_, _, err = in.RevealSecret(t.Context(), readOnly, private("db"))
	wantCode(t, err, controlplane.CodeForbidden, "write")
	same(t, "revision after a refused look", in.revision(), before)
	_, err = in.DeleteSecret(t.Context(), ada, private("db"))
	wantCode(t, err, "")
	_, err = in.Secret(t.Context(), ada, private("db"))
	wantCode(t, err, controlplane.CodeNotFound)
	_, values, err = in.RevealSecret(t.Context(), bob, private("db"))
	wantCode(t, err, "")
	same(t, "bob's", string(values["password"]), "bob's")
	left, err := in.client.Get(t.Context(), etcdtest.Prefix(in)+"secrets/", clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil || len(left.Kvs) != 2 {
		t.Errorf("%d keys, %v", len(left.Kvs), err)
	}
	records, err := in.AuditRecords(t.Context(), admin, controlplane.AuditFilter{Actor: "ada"}, controlplane.Page{})
	wantCode(t, err, "")
	var said []string
	for _, r := range records.Items {
		said = append(said, r.Action+" "+r.Object+" "+r.Detail)
	}
	same(t, "audit", said, []string{
		"secret.create secret/PRIVATE/ada/db keys password, user", "secret.update secret/PRIVATE/ada/db keys password",
		"secret.reveal secret/PRIVATE/ada/db ", "secret.delete secret/PRIVATE/ada/db ",
	})
}

func TestWithoutKeysThereAreNoSecrets(t *testing.T) {
	in := install(t)
	_, err := in.CreateSecret(t.Context(), ada, private("db"), val("k", "v"))
	wantHint(t, err, controlplane.CodeConflict, "secret_keys FILE", "slipway secret-keys create")
	_, err = in.RotateSecrets(t.Context(), admin)
	wantHint(t, err, controlplane.CodeConflict, "secret_keys")
	same(t, "list", in.secretNames(ada, controlplane.SecretFilter{}, 0), []string(nil))
}

func TestSecretsHaveAQuota(t *testing.T) {
	in, _ := withVault(t)
	in.Quotas = controlplane.Quotas{Secrets: 1}
	in.keepSecret(ada, private("a"), "k", "v")
	_, err := in.CreateSecret(t.Context(), ada, private("b"), val("k", "v"))
	wantHint(t, err, controlplane.CodeQuota, "secrets_per_user")
	_, err = in.UpdateSecret(t.Context(), ada, private("a"), val("k", "w"))
	wantCode(t, err, "")
	in.keepSecret(bob, private("a"), "k", "v")
	in.keepSecret(admin, private("a"), "k", "v")
	in.keepSecret(admin, private("b"), "k", "v")
}

// Values that are put into another record do not open there.
func TestSealedValuesAreTheirRecordsAlone(t *testing.T) {
	in, _ := withVault(t)
	in.keepSecret(ada, private("mine"), "k", "ada's")
	in.keepSecret(bob, private("mine"), "k", "bob's")
	prefix := etcdtest.Prefix(in) + "secrets/sealed/private/"
	got, err := in.client.Get(t.Context(), prefix+"bob/mine")
	if err != nil || len(got.Kvs) != 1 || bytes.Contains(got.Kvs[0].Value, []byte("bob's")) {
		t.Fatalf("%v %v", got, err)
	}
	if _, err := in.client.Put(t.Context(), prefix+"ada/mine", string(got.Kvs[0].Value)); err != nil {
		t.Fatal(err)
	}
	_, values, err := in.RevealSecret(t.Context(), ada, private("mine"))
	wantCode(t, err, controlplane.CodeUnavailable)
	same(t, "values", len(values), 0)
}

func TestARotationSealsAllAnew(t *testing.T) {
	in, keys := withVault(t)
	in.keepSecret(ada, private("a"), "k", "ada's")
	in.keepSecret(admin, forAll("a"), "k", "all's")
	in.keepSecret(admin, forApp("x", "a"), "k", "x's")
	old, err := in.Vault.Key()
	wantCode(t, err, "")
	if _, err := vault.Add(keys, false); err != nil {
		t.Fatal(err)
	}
	in.keepSecret(bob, private("a"), "k", "bob's")
	_, err = in.RotateSecrets(t.Context(), bob)
	wantCode(t, err, controlplane.CodeForbidden)
	for _, anew := range []int{3, 0} {
		done, err := in.RotateSecrets(t.Context(), admin)
		wantCode(t, err, "")
		if done.Key == old || done.Secret != 4 || done.Anew != anew {
			t.Errorf("%+v, want %d of 4 anew", done, anew)
		}
	}
	if err := vault.Remove(keys, old); err != nil {
		t.Fatal(err)
	}
	_, values, err := in.RevealSecret(t.Context(), ada, private("a"))
	wantCode(t, err, "")
	same(t, "value", string(values["k"]), "ada's")
}

func TestValuesAreNotPrinted(t *testing.T) {
	v := val("k", "the value")
	for _, format := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		if said := fmt.Sprintf(format, v); strings.Contains(said, "the value") || strings.Contains(said, "7468") || strings.Contains(said, "116") {
			t.Errorf("%s: %s", format, said)
		}
	}
	if raw, err := json.Marshal(map[string]any{"x": v}); err == nil {
		t.Errorf("%s", raw)
	}
	resolved := controlplane.ResolvedSecrets{Env: []controlplane.EnvVar{{Name: "A", Value: "the value"}}}
	for _, format := range []string{"%v", "%+v", "%#v", "%s"} {
		if said := fmt.Sprintf(format, resolved); strings.Contains(said, "the value") {
			t.Errorf("%s: %s", format, said)
		}
	}
}
