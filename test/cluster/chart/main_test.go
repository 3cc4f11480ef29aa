// Package chart tests the Helm chart: what it renders, what it refuses, and
// that it installs on a real cluster.
//
// All of it needs SLIPWAY_E2E=all and programs of test/cluster, and is run by
// test/cluster/run (test/cluster/README.md). SLIPWAY_BINARY is a slipway,
// SLIPWAY_IMAGE the archive of its image with the tag that is its constant here.
package chart

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

const (
	folder     = "../../../deploy/helm/slipway"
	repository = "slipway.test/slipway"
	tag        = "chart"
)

// helm runs helm; its error has all that it said.
func helm(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return command(t, "helm", args...)
}

// kubectl fails the test unless it does what it is asked for.
func kubectl(t *testing.T, args ...string) string {
	t.Helper()
	out, err := command(t, "kubectl", args...)
	if err != nil {
		t.Fatalf("kubectl %s: %v", strings.Join(args, " "), err)
	}
	return out
}

func command(t *testing.T, program string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	var out, faults bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &faults
	if err := cmd.Run(); err != nil {
		return out.String(), errors.Join(err, errors.New(faults.String()), errors.New(out.String()))
	}
	return out.String(), nil
}

// values are the values of a profile, as a file of the test has them.
type values map[string]any

// file writes values for helm.
func (v values) file(t *testing.T) string {
	t.Helper()
	text, err := yaml.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// with is v with further values; a nested one takes the place of a whole block's
// keys that it names.
func (v values) with(more values) values {
	merged := values{}
	for k, x := range v {
		merged[k] = x
	}
	for k, x := range more {
		old, isBlock := merged[k].(values)
		block, both := x.(values)
		if isBlock && both {
			x = old.with(block)
		}
		merged[k] = x
	}
	return merged
}

var trial = values{"image": values{"repository": repository, "tag": tag}}

var production = trial.with(values{
	"profile": "production", "baseURL": "https://apps.example.com",
	"etcd": values{"endpoints": []string{"https://etcd-0.etcd:2379", "https://etcd-1.etcd:2380"}, "tlsSecret": "etcd-client"},
})

// object is a rendered manifest.
type object map[string]any

func (o object) kind() string { s, _ := o["kind"].(string); return s }
func (o object) name() string { s, _ := o.at("metadata", "name").(string); return s }

// at follows keys, and indexes of lists.
func (o object) at(path ...any) any {
	var x any = map[string]any(o)
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := x.(map[string]any)
			x = m[step]
		case int:
			l, _ := x.([]any)
			if step >= len(l) {
				return nil
			}
			x = l[step]
		}
	}
	return x
}

// objects are those of a release in the namespace "apps".
type objects []object

func (all objects) get(t *testing.T, kind, name string) object {
	t.Helper()
	for _, o := range all {
		if o.kind() == kind && o.name() == name {
			return o
		}
	}
	t.Fatalf("there is no %s %s", kind, name)
	return nil
}

func (all objects) count(kind string) (n int) {
	for _, o := range all {
		if o.kind() == kind {
			n++
		}
	}
	return n
}

// render renders the chart as the release "slipway".
func render(t *testing.T, v values) objects {
	t.Helper()
	out, err := helm(t, "template", "slipway", folder, "--namespace", "apps", "--values", v.file(t))
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, out)
}

func parse(t *testing.T, text string) (all objects) {
	t.Helper()
	for part := range strings.SplitSeq(text, "\n---") {
		var o object
		if err := yaml.Unmarshal([]byte(part), &o); err != nil {
			t.Fatalf("%v in\n%s", err, part)
		}
		if len(o) > 0 {
			all = append(all, o)
		}
	}
	return all
}

// needs is the head of every test here.
func needs(t *testing.T) {
	t.Helper()
	slipwaytest.NeedsCluster(t)
	slipwaytest.Needs(t, "helm", "kubectl")
}
