package chart

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// TestRefusals has values that do not work, and what helm says of them.
func TestRefusals(t *testing.T) {
	needs(t)
	for name, tc := range map[string]struct {
		values values
		want   string
	}{
		"no image":                      {values{}, "image.repository is missing"},
		"an unknown value":              {trial.with(values{"edges": 3}), "'edges' not allowed"},
		"an unknown nested value":       {trial.with(values{"edge": values{"replica": 3}}), "'replica' not allowed"},
		"an unknown profile":            {trial.with(values{"profile": "big"}), "/profile"},
		"a base URL with a path":        {trial.with(values{"baseURL": "https://apps.example.com/apps"}), "/baseURL"},
		"a base URL with another line":  {trial.with(values{"baseURL": "http://a\nlauncher process"}), "/baseURL"},
		"no replicas":                   {trial.with(values{"edge": values{"replicas": 0}}), "/edge/replicas"},
		"a number for a word":           {trial.with(values{"kubernetes": values{"namespace": 5}}), "/kubernetes/namespace"},
		"an image with a space":         {trial.with(values{"image": values{"repository": "a b"}}), "/image/repository"},
		"an image's digest that is not": {trial.with(values{"image": values{"digest": "latest"}}), "/image/digest"},
		"a role of two lines":           {trial.with(values{"settings": values{"adminRole": "a\nb"}}), "/settings/adminRole"},
		"an expression with a backtick": {trial.with(values{"settings": values{"allowedImages": []string{"a`b"}}}), "/settings/allowedImages"},
		"a duration without a unit":     {trial.with(values{"settings": values{"hold": "60"}}), "/settings/hold"},
		"a trial with an etcd":          {trial.with(values{"etcd": values{"endpoints": []string{"http://a:2379"}}}), "runs its own etcd"},
		"a trial with a certificate":    {trial.with(values{"tls": values{"secretName": "a"}}), "serves plain HTTP"},
		"a trial with metrics":          {trial.with(values{"metrics": values{"rules": values{"enabled": true}}}), "no metrics endpoint"},
		"no etcd":                       {trial.with(values{"profile": "production"}), "etcd.endpoints is missing"},
		"an etcd that is no URL":        {production.with(values{"etcd": values{"endpoints": []string{"etcd:2379"}}}), "/etcd/endpoints/0"},
		"etcd by TLS without files":     {production.with(values{"etcd": values{"tlsSecret": ""}}), "etcd.tlsSecret is missing"},
		"etcd's user without password":  {production.with(values{"etcd": values{"username": "a"}}), "etcd.passwordSecret.name is missing"},
		"control planes that share no folder": {
			production.with(values{"controlPlane": values{"replicas": 2}}), "ReadWriteMany",
		},
		"half of the internal certificates": {
			production.with(values{"internalTLS": values{"edgeSecret": "a"}}), "go together",
		},
		"a route without a Gateway": {production.with(values{"gateway": values{"enabled": true}}), "gateway.parentRefs is missing"},
		"a passed connection without a certificate": {
			production.with(values{"gateway": values{"enabled": true, "mode": "passthrough"}}), "name their certificate",
		},
		"TLS ended twice": {
			production.with(values{"tls": values{"secretName": "a"}, "ingress": values{"enabled": true}}), "ends TLS itself",
		},
		"two ways in": {
			production.with(values{
				"ingress": values{"enabled": true},
				"gateway": values{"enabled": true, "parentRefs": []any{values{"name": "a"}}},
			}), "both enabled",
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := helm(t, "template", "slipway", folder, "--values", tc.values.file(t))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("helm says %v, wanted %q", err, tc.want)
			}
		})
	}
}

// TestLint lints the chart with each of the values that render.
func TestLint(t *testing.T) {
	needs(t)
	for name, v := range profiles {
		t.Run(name, func(t *testing.T) {
			if _, err := helm(t, "lint", "--strict", folder, "--values", v.file(t)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestReadme finds every value in the README's table, and nothing else there.
func TestReadme(t *testing.T) {
	var all map[string]any
	read(t, "values.yaml", &all)
	var text string
	read(t, "README.md", &text)
	in := map[string]bool{}
	for path := range leaves("", all) {
		in[path] = true
		if !strings.Contains(text, "\n| `"+path+"` |") {
			t.Errorf("README.md does not tell of %s", path)
		}
	}
	for line := range strings.SplitSeq(text, "\n") {
		rest, row := strings.CutPrefix(line, "| `")
		if path, _, _ := strings.Cut(rest, "`"); row && !in[path] {
			t.Errorf("README.md tells of %s, which values.yaml does not have", path)
		}
	}
}

// leaves are the paths of values; what users fill as a whole is one.
func leaves(above string, v map[string]any) map[string]bool {
	whole := map[string]bool{"trial.resources": true, "edge.resources": true, "controlPlane.resources": true}
	found := map[string]bool{}
	for k, x := range v {
		path := strings.TrimPrefix(above+"."+k, ".")
		if m, ok := x.(map[string]any); ok && len(m) > 0 && !whole[path] {
			for p := range leaves(path, m) {
				found[p] = true
			}
			continue
		}
		found[path] = true
	}
	return found
}

func read(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(folder, file))
	if err != nil {
		t.Fatal(err)
	}
	if s, plain := into.(*string); plain {
		*s = string(text)
		return
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatal(err)
	}
}
