package controlplane_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/seed-dbc68772/slipway/controlplane"
)

func TestEveryReasonHasASentenceForOthers(t *testing.T) {
	seen := map[string]bool{}
	for _, code := range append([]controlplane.ReasonCode{"unheard_of"}, controlplane.ReasonCodes...) {
		r := controlplane.Reason{Code: code, Text: "details"}.ForOthers()
		if r.Code != code || strings.Contains(r.Text, "details") || r.Text == "" || seen[r.Text] {
			t.Errorf("%s is told as %v", code, r)
		}
		seen[r.Text] = true
	}
}

// Details of a reason name secrets, packages and paths: who may not read the
// instance's logs reads one sentence, wherever the instance is told of.
func TestWhoReadsWhyAnInstanceFailed(t *testing.T) {
	in := install(t)
	details := controlplane.Reason{Code: controlplane.MissingSecret, Text: `Env DB needs the key "pw" of the secret "prod-db-creds"`}
	app := in.needy("ada", "demo", controlplane.Manifest{})
	run := &controlplane.Instance{
		ID: uuid.NewString(), AppID: app.ID, AppName: "demo", Owner: "carl", Visibility: controlplane.AllUsers,
		Status: controlplane.Failed, Reason: &details, RoutingMode: controlplane.Domain, Generation: 1,
	}
	in.put(run)
	sentence := controlplane.Reason{Code: controlplane.MissingSecret, Text: "A secret that it needs is missing."}
	for name, c := range map[string]struct {
		actor controlplane.Actor
		want  controlplane.Reason
	}{
		"its owner":        {controlplane.Actor{User: "carl", Full: true}, details},
		"its app's owner":  {ada, details},
		"an admin":         {admin, details},
		"with full access": {bob, sentence},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := in.Instance(t.Context(), c.actor, run.ID)
			wantCode(t, err, "")
			same(t, "by ID", *got.Reason, c.want)
			got, err = in.Instance(t.Context(), c.actor, run.ID[:8])
			wantCode(t, err, "")
			same(t, "by a prefix", *got.Reason, c.want)
			got, _, err = in.InstanceProgress(t.Context(), c.actor, run.ID)
			wantCode(t, err, "")
			same(t, "its state", *got.Reason, c.want)
			list, err := in.Instances(t.Context(), c.actor, controlplane.Page{})
			wantCode(t, err, "")
			if len(list.Items) != 1 {
				t.Fatalf("%d instances", len(list.Items))
			}
			same(t, "in a list", *list.Items[0].Reason, c.want)
		})
	}
}

// The words on a start are for who sees the waiting page, and for who may read
// the logs.
func TestWhoReadsTheWordsOnAStart(t *testing.T) {
	in := install(t)
	app := in.needy("ada", "demo", controlplane.Manifest{})
	for mode, others := range map[controlplane.RoutingMode]string{controlplane.Domain: "installing packages: secretly", controlplane.BaseURL: ""} {
		run := &controlplane.Instance{
			ID: uuid.NewString(), AppID: app.ID, AppName: "demo", Owner: "carl", Visibility: controlplane.AllUsers,
			Status: controlplane.Pending, RoutingMode: mode, Generation: 1,
		}
		in.put(run)
		_, err := in.store.Update(t.Context(), func(tx controlplane.Tx) error {
			percent := 40
			tx.PutProgress(run.ID, &controlplane.Progress{Generation: 1, Stage: controlplane.StageDependencies, Percent: &percent, Text: "installing packages: secretly"})
			return nil
		})
		wantCode(t, err, "")
		for _, c := range []struct {
			actor controlplane.Actor
			want  string
		}{{ada, "installing packages: secretly"}, {admin, "installing packages: secretly"}, {bob, others}} {
			_, p, err := in.InstanceProgress(t.Context(), c.actor, run.ID)
			wantCode(t, err, "")
			if p == nil || p.Text != c.want || *p.Percent != 40 {
				t.Errorf("%s to %s: %+v, want %q", mode, c.actor.User, p, c.want)
			}
		}
	}
}

// Only who may read the manifest reads what it names.
func TestWhoReadsWhyAnAppIsNotRunnable(t *testing.T) {
	in := install(t)
	in.cannot = []controlplane.Reason{{Code: controlplane.ImageNotAllowed, Text: "the image prod-db-creds is not allowed"}}
	app := in.needy("ada", "demo", controlplane.Manifest{Env: []controlplane.EnvVar{
		{Name: "DB", Secret: "prod-db-creds", SecretKey: "pw"}, {Name: "USER", Secret: "prod-db-creds", SecretKey: "user"},
	}})
	sentences := []controlplane.Reason{
		{Code: controlplane.MissingSecret, Text: "A secret that it needs is missing."},
		{Code: controlplane.ImageNotAllowed, Text: "Its image is not allowed here."},
	}
	for name, c := range map[string]struct {
		actor controlplane.Actor
		want  []controlplane.Reason
	}{
		"its owner":        {ada, in.reasonsOf(app)},
		"an admin":         {admin, in.reasonsOf(app)},
		"with full access": {bob, sentences},
		"not signed in":    {controlplane.Actor{}, sentences},
	} {
		t.Run(name, func(t *testing.T) {
			told, err := in.ReasonsFor(t.Context(), c.actor, app)
			wantCode(t, err, "")
			same(t, "reasons", told[0], c.want)
			if c.actor.User == "" {
				return
			}
			_, err = in.RunApp(t.Context(), c.actor, app.ID, controlplane.Private)
			wantCode(t, err, controlplane.CodeConflict)
			refused, _ := errors.AsType[*controlplane.Error](err)
			said := fmt.Sprint(refused.What, refused.Faults, refused.Hint)
			if details := strings.Contains(said, "prod-db-creds"); details != (c.want[0] != sentences[0]) || len(refused.Faults) != len(c.want) {
				t.Errorf("a run is refused with %s", said)
			}
		})
	}
}

// put writes a record.
func (in *installation) put(record any) {
	in.Helper()
	if _, err := in.store.Update(in.Context(), func(tx controlplane.Tx) error { return tx.Put(record) }); err != nil {
		in.Fatal(err)
	}
}
