// Package layering holds the arrows of the house: which package may import
// which. The linter's depguard says the same of single imports; this test also
// follows them through other packages, and so sees what a binary carries.
//
// Tests are not bound by the arrows, and packages that are not there are not
// missed, but for the two that everything stands on.
package layering

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/seed-dbc68772/slipway/test/internal/sources"
)

const (
	module = "github.com/seed-dbc68772/slipway"
	root   = "../.." // of the module, from here
)

// listed is what go list says of one package.
type listed struct {
	ImportPath string
	Standard   bool
	Imports    []string
}

func (p listed) own() bool { return p.ImportPath == module || below(p.ImportPath, module) }

// graph is every package of the module and all that these import, by path.
type graph map[string]listed

// load lists the module's packages. One that does not compile is listed too:
// the compiler says more about it.
var load = sync.OnceValues(func() (graph, error) {
	if err := sources.Touch(root); err != nil {
		return nil, fmt.Errorf("look at sources: %w", err)
	}
	var faults strings.Builder
	cmd := exec.Command("go", "list", "-e", "-deps", "-json=ImportPath,Standard,Imports", "./...")
	cmd.Dir, cmd.Stderr = root, &faults
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", cmd, err, faults.String())
	}
	g := graph{}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return g, nil
		} else if err != nil {
			return nil, fmt.Errorf("read what %s says: %w", cmd, err)
		}
		g[p.ImportPath] = p
	}
})

func packages(t *testing.T) graph {
	t.Helper()
	g, err := load()
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// below reports whether path lies in the folder.
func below(path, folder string) bool { return strings.HasPrefix(path, folder+"/") }

func in(path, folder string) bool { return path == folder || below(path, folder) }

// short is a path as the messages write it.
func short(path string) string { return strings.TrimPrefix(path, module+"/") }

// tree lists the packages in folders of the module, in order.
func (g graph) tree(folders ...string) []string {
	var found []string
	for path, p := range g {
		if p.own() && slices.ContainsFunc(folders, func(f string) bool { return in(path, module+"/"+f) }) {
			found = append(found, path)
		}
	}
	slices.Sort(found)
	return found
}

// way is the shortest chain of imports from a package to one that is meant,
// both included; nil if there is none.
func (g graph) way(from string, meant func(listed) bool) []string {
	came := map[string]string{from: ""}
	for queue := []string{from}; len(queue) > 0; queue = queue[1:] {
		for _, to := range g[queue[0]].Imports {
			if _, seen := came[to]; seen || g[to].Standard {
				continue
			}
			came[to] = queue[0]
			if meant(g[to]) {
				var way []string
				for at := to; at != ""; at = came[at] {
					way = append(way, short(at))
				}
				slices.Reverse(way)
				return way
			}
			queue = append(queue, to)
		}
	}
	return nil
}

// forbid fails for each of the packages from which a chain of imports leads to
// what is meant.
func forbid(t *testing.T, g graph, from []string, meant func(listed) bool, why string) {
	t.Helper()
	for _, path := range from {
		if way := g.way(path, meant); way != nil {
			t.Errorf("%s must not import %s, directly or through others: %s\n\t%s",
				way[0], way[len(way)-1], why, strings.Join(way, "\n\t→ "))
		}
	}
}

func anyOf(folders ...string) func(listed) bool {
	return func(p listed) bool {
		return slices.ContainsFunc(folders, func(f string) bool { return in(p.ImportPath, f) })
	}
}

const (
	caddy      = "github.com/caddyserver/caddy/v2"
	etcd       = "go.etcd.io/etcd"
	etcdServer = "go.etcd.io/etcd/server/v3"
	kubernetes = "k8s.io/client-go"
)

func TestTheFoundationsAreThere(t *testing.T) {
	g := packages(t)
	for _, name := range []string{"routing", "controlplane"} {
		if _, ok := g[module+"/"+name]; !ok {
			t.Errorf("there is no package %s; this test looks for it from %s", name, root)
		}
	}
}

func TestRoutingImportsOnlyTheStandardLibrary(t *testing.T) {
	g := packages(t)
	forbid(t, g, g.tree("routing"), func(p listed) bool { return !in(p.ImportPath, module+"/routing") },
		"routing is pure: a table and a request in, a decision out")
}

// layer is how high a package stands; -1 for what is on no layer.
func layer(path string) int {
	switch path = short(path); {
	case in(path, "routing"), path == "controlplane/failpoint": // the latter is nothing, but in builds for tests
		return 0
	case path == "controlplane":
		return 1
	case below(path, "controlplane"):
		return 2
	case in(path, "caddymodule"):
		return 3
	case in(path, "cmd"):
		return 4
	default:
		return -1
	}
}

func TestArrowsPointDown(t *testing.T) {
	const arrows = "cmd → caddymodule → controlplane/… → controlplane → routing"
	g := packages(t)
	for _, path := range slices.Sorted(maps.Keys(g)) {
		p := g[path]
		if !p.own() || in(short(path), "test") || in(short(path), "deploy") {
			continue
		}
		if layer(path) < 0 {
			t.Errorf("%s is on no layer: move it to one of %s, or below test/", short(path), arrows)
			continue
		}
		for _, to := range p.Imports {
			switch {
			case !in(to, module):
			case layer(to) < 0:
				t.Errorf("%s imports %s: nothing but tests may", short(path), short(to))
			case layer(to) > layer(path):
				t.Errorf("%s imports %s, against the arrows %s; declare the interface that is needed below, and implement it above",
					short(path), short(to), arrows)
			}
		}
	}
}

// TestDeployStandsAside has what installs Slipway know programs and files alone;
// that nothing of Slipway imports it, TestArrowsPointDown says.
func TestDeployStandsAside(t *testing.T) {
	g := packages(t)
	forbid(t, g, g.tree("deploy"), func(p listed) bool { return p.own() && !in(p.ImportPath, module+"/deploy") },
		"it is given binaries, and makes images of them")
}

// adapter names the adapter that a package is a part of, or is empty. What the
// launchers share, and the API's types, are no adapters.
func adapter(path string) string {
	path = short(path)
	for _, name := range []string{"api", "console", "etcdstore", "blobs"} {
		if path != "controlplane/api/v1" && in(path, "controlplane/"+name) {
			return "controlplane/" + name
		}
	}
	if rest, ok := strings.CutPrefix(path, "controlplane/launcher/"); ok {
		name, _, _ := strings.Cut(rest, "/")
		if !slices.Contains([]string{"facts", "files", "lead", "probe", "launchertest"}, name) {
			return "controlplane/launcher/" + name
		}
	}
	return ""
}

func TestAdaptersDoNotImportEachOther(t *testing.T) {
	g := packages(t)
	for _, path := range g.tree("controlplane") {
		own := adapter(path)
		if own == "" {
			continue
		}
		forbid(t, g, []string{path}, func(p listed) bool {
			other := adapter(p.ImportPath)
			return other != "" && other != own
		}, "adapters know the domain, never each other; declare the interface in controlplane, and let cmd/slipway/up join the two")
	}
}

func TestTheDomainKnowsNoPlatform(t *testing.T) {
	g := packages(t)
	forbid(t, g, []string{module + "/controlplane"}, anyOf(caddy, etcd, kubernetes), "the domain is rules and interfaces; adapters know platforms")
}

func TestOnePackageImportsEtcdsServer(t *testing.T) {
	const only = "controlplane/etcdstore/embedded"
	for path, p := range packages(t) {
		if !p.own() || short(path) == only {
			continue
		}
		for _, to := range p.Imports {
			if in(to, etcdServer) {
				t.Errorf("%s imports %s: only %s may, since that server ends the process when its disk is full", short(path), to, only)
			}
		}
	}
}

func TestOnlyTestsHaveAnOpenIDProvider(t *testing.T) {
	const only = module + "/controlplane/identity/oidctest"
	g := packages(t)
	others := slices.DeleteFunc(g.tree("routing", "controlplane", "caddymodule", "cmd"), func(path string) bool { return path == only })
	forbid(t, g, others, anyOf(only), "it signs anybody in, and is there for tests")
	forbid(t, g, append(others, only), anyOf("github.com/ory"), "it is for the provider's engine, a module of its own")
}

func TestTheCommandLineStaysAClient(t *testing.T) {
	g := packages(t)
	forbid(t, g, g.tree("cmd/slipway/cli", "cmd/slipway/sampleapp", "controlplane/client"), anyOf(caddy, etcd, kubernetes),
		"the command line talks to the API and sees nothing behind it")
}

// It is copied into each pod and stays beside each app.
func TestTheProgramInPodsStaysSmall(t *testing.T) {
	g := packages(t)
	forbid(t, g, g.tree("cmd/slipway-pod"), anyOf(caddy, etcd, kubernetes, "k8s.io/api"),
		"slipway-pod runs in the pods of apps: it talks to the HTTP API alone")
	forbid(t, g, g.tree("cmd/slipway-pod"), anyOf(module+"/caddymodule", module+"/controlplane/etcdstore", module+"/controlplane/lifecycle", module+"/controlplane/api"),
		"slipway-pod carries nothing of a control plane")
}

func TestTheEdgeStaysSmall(t *testing.T) {
	g := packages(t)
	edge := slices.DeleteFunc(g.tree("caddymodule"), func(path string) bool {
		return in(short(path), "caddymodule/controlmodule")
	})
	forbid(t, g, edge, anyOf(etcdServer, kubernetes),
		"a pure edge, built with xcaddy, carries neither embedded etcd nor Kubernetes; caddymodule/controlmodule may")
	var parts []string
	for _, name := range []string{"api", "blobs", "bundle", "console", "launcher", "lifecycle", "vault"} {
		parts = append(parts, module+"/controlplane/"+name)
	}
	of := anyOf(append(parts, module+"/caddymodule/controlmodule")...)
	forbid(t, g, edge, func(p listed) bool { return of(p) && short(p.ImportPath) != "controlplane/api/v1" },
		"a pure edge passes calls on to a control plane elsewhere, and carries nothing of one")
}
