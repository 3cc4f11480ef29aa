package chart

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestServerTakes has the API server itself look at everything that is
// rendered: a dry run, with the kinds of the Gateway API and of the Prometheus
// operator defined. A warning is a failure, as of Pod Security.
func TestServerTakes(t *testing.T) {
	needs(t)
	kubectl(t, "apply", "--server-side", "--force-conflicts", "-f", filepath.Join(os.Getenv("LAB_BIN"), "crds"))
	kubectl(t, "wait", "--for=condition=Established", "--timeout=60s", "crd/httproutes.gateway.networking.k8s.io", "crd/servicemonitors.monitoring.coreos.com")
	namespace(t, "chart-dry-run")
	namespace(t, "chart-dry-run-instances")
	for name, v := range profiles {
		t.Run(name, func(t *testing.T) {
			v := v.with(values{"kubernetes": values{"namespace": "chart-dry-run-instances"}})
			out, err := helm(t, "template", "slipway", folder, "--namespace", "chart-dry-run", "--values", v.file(t))
			if err != nil {
				t.Fatal(err)
			}
			file := filepath.Join(t.TempDir(), "all.yaml")
			if err := os.WriteFile(file, []byte(out), 0o600); err != nil {
				t.Fatal(err)
			}
			said, err := command(t, "kubectl", "apply", "--server-side", "--dry-run=server", "--force-conflicts", "--validate=strict", "--warnings-as-errors", "-f", file)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := strings.Count(said, "(server dry run)"), len(parse(t, out)); got != want {
				t.Errorf("the server took %d of %d objects:\n%s", got, want, said)
			}
		})
	}
}

// namespace makes one, under the standard that pods of Slipway pass, until the
// test's end.
func namespace(t *testing.T, name string) {
	t.Helper()
	text, err := yaml.Marshal(values{
		"apiVersion": "v1", "kind": "Namespace",
		"metadata": values{"name": name, "labels": values{
			"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "restricted",
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "namespace.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	kubectl(t, "apply", "-f", file)
	t.Cleanup(func() { kubectl(t, "delete", "namespace", name, "--ignore-not-found", "--wait=false") })
}
