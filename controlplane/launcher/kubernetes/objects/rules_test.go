package objects_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"pgregory.net/rapid"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// restricted fails where Kubernetes would refuse a pod in a namespace that is
// labelled enforce=restricted.
func restricted(t testing.TB, pod *corev1.PodTemplateSpec) {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	level := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, r := range evaluator.EvaluatePod(level, &pod.ObjectMeta, &pod.Spec) {
		if !r.Allowed {
			t.Errorf("not restricted: %s: %s", r.ForbiddenReason, r.ForbiddenDetail)
		}
	}
}

func TestPodsAreRestricted(t *testing.T) {
	for name, c := range starts(t) {
		t.Run(name, func(t *testing.T) {
			set, err := objects.Make(c.Start, c.Settings)
			if err != nil {
				t.Fatal(err)
			}
			restricted(t, &set.Deployment.Spec.Template)
			spec := set.Deployment.Spec.Template.Spec
			switch {
			case *spec.AutomountServiceAccountToken:
				t.Error("the pod has a token of its service account")
			case *spec.EnableServiceLinks:
				t.Error("the pod has the addresses of other Services")
			case len(spec.SchedulingGates) != 1 || spec.SchedulingGates[0].Name != objects.Gate:
				t.Error("the pod runs without its leader's leave")
			}
		})
	}
}

// TestSecretsAreInTheSecretAlone makes starts whose every variable, file and
// token is secret.
func TestSecretsAreInTheSecretAlone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var hidden []string
		secret := func(label string) string {
			// Base64 of it is in the Secret, so it has to differ from that, too.
			value := "hush-" + rapid.StringMatching(`[a-zA-Z0-9=$(){}/._-]{12,40}`).Draw(t, label)
			hidden = append(hidden, value)
			return value
		}
		start := container(func(app *controlplane.App, w *launcher.Workload) {
			if rapid.Bool().Draw(t, "whole") {
				whole(app, w)
				w.Files = nil
			}
			w.Token, w.Env = secret("token"), nil
			for _, name := range rapid.SliceOfN(rapid.StringMatching(`[A-Z_][A-Z0-9_]{0,9}`), 0, 5).Draw(t, "names") {
				w.Env = append(w.Env, name+"="+secret("value"))
			}
			for _, name := range rapid.SliceOfNDistinct(rapid.StringMatching(`/[a-z]{1,3}/[a-z]{1,9}`), 0, 4, rapid.ID).Draw(t, "files") {
				w.Files = append(w.Files, controlplane.File{Path: "/etc" + name, Value: secret("file")})
			}
		})
		if rapid.Bool().Draw(t, "bundle") {
			start = bundled(t, func(app *controlplane.App, w *launcher.Workload) {
				*app, *w = *start.Workload.App, start.Workload
				w.App = app
				for _, name := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z]{1,9}`), 0, 4, rapid.ID).Draw(t, "relative files") {
					w.Files = append(w.Files, controlplane.File{Path: name, Value: secret("relative file"), Secret: "s"})
				}
				link := launcher.BundleLink{Target: "/api/v1/bundles/abc?signature=" + secret("signature")}
				w.BundleLink = func(time.Duration) launcher.BundleLink { return link }
			})
		}
		set, err := objects.Make(start, elaborate)
		if err != nil {
			t.Fatal(err)
		}
		set.Secret.Data = nil
		text, err := json.Marshal(set)
		if err != nil {
			t.Fatal(err)
		}
		var plain strings.Builder // without JSON's escapes
		flatten(t, text, &plain)
		for _, value := range hidden {
			if strings.Contains(plain.String(), value) {
				t.Fatalf("%q is outside of the Secret's data:\n%s", value, text)
			}
		}
	})
}

func flatten(t *rapid.T, text []byte, into *strings.Builder) {
	for decoder := json.NewDecoder(strings.NewReader(string(text))); decoder.More(); {
		token, err := decoder.Token()
		if err != nil {
			t.Fatal(err)
		}
		if s, ok := token.(string); ok {
			into.WriteString(s + "\n")
		}
	}
}
