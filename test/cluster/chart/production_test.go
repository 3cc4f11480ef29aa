package chart

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/cmd/slipway/cli"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
)

// etcdImage is the image of the store, in the node.
const etcdImage = "slipway.test/etcd:1"

// storePod is an etcd for tests: one member, without TLS.
const storePod = `
apiVersion: v1
kind: Pod
metadata: {name: etcd, labels: {app: etcd}}
spec:
  securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
  containers:
  - name: etcd
    image: slipway.test/etcd:1
    imagePullPolicy: IfNotPresent
    args: [--data-dir=/data/etcd, --listen-client-urls=http://0.0.0.0:2379, --advertise-client-urls=http://127.0.0.1:2379]
    securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
    volumeMounts: [{name: data, mountPath: /data}]
  volumes: [{name: data, emptyDir: {}}]
`

// TestProduction installs edges and a control plane beside an etcd, and upgrades
// them under load: no visitor is to see an error.
func TestProduction(t *testing.T) {
	needs(t)
	space := fmt.Sprintf("chart-production-%d", os.Getpid())
	kubectl(t, "create", "namespace", space)
	t.Cleanup(func() { kubectl(t, "delete", "namespace", space, "--ignore-not-found", "--wait=false") })
	kubectl(t, "label", "namespace", space, "pod-security.kubernetes.io/enforce=restricted")
	if err := loaded(); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "etcd.yaml")
	if err := os.WriteFile(file, []byte(storePod), 0o600); err != nil {
		t.Fatal(err)
	}
	kubectl(t, "--namespace", space, "apply", "-f", file)
	kubectl(t, "--namespace", space, "wait", "--for=condition=Ready", "--timeout=60s", "pod/etcd")
	store := kubectl(t, "--namespace", space, "get", "pod", "etcd", "-o", "jsonpath={.status.podIP}")
	v := trial.with(values{
		"profile": "production", "baseURL": "http://apps.test", "fullnameOverride": space,
		"etcd":     values{"endpoints": []string{fmt.Sprintf("http://%s:2379", store)}},
		"settings": values{"allowedImages": []string{`slipway\.test/.*`}, "baseURLSharing": true, "runtimeVersions": runtimes(t)},
		"service":  values{"httpPort": 80},
	})
	serveNames(t)
	r := install(t, space, v)
	r.helm("test", "slipway", "--timeout", "90s")
	address := kubectl(t, "--namespace", space, "get", "service", space, "-o", "jsonpath={.spec.clusterIP}")
	r.connect = func() string { return address + ":80" }
	r.signInByStore("http://" + store + ":2379")

	r.showsBundlesAlone(kubectl(t, "--namespace", space, "get", "service", space+"-control-plane", "-o", "jsonpath={.spec.clusterIP}") + ":8080")

	_, byHost := r.run("DOMAIN")
	id, byPath := r.run("BASE_URL")
	r.bundle()
	pods, edges := r.instancePods(), r.edgePods()

	// Another setting replaces edges and control plane: visitors see nothing of it.
	stop := r.load(byHost, byPath)
	r.helm("upgrade", "slipway", folder, "--values", v.with(values{"settings": values{"hold": "61s"}}).file(t), "--wait", "--timeout", "240s")
	good, faults := stop()
	if len(faults) > 0 || good < 100 {
		t.Errorf("during the upgrade %d visits went well, %d did not: %.10v", good, len(faults), faults)
	}
	t.Logf("during the upgrade %d visits went well", good)
	if now := r.edgePods(); now == edges {
		t.Error("the changed setting replaced no edge")
	}
	if now := r.instancePods(); now != pods {
		t.Errorf("the instances' pods are %s, and were %s", now, pods)
	}

	// Instances outlive a release, and the next one finds them.
	r.refusals()
	r.helm("uninstall", "slipway", "--wait", "--timeout", "120s")
	if now := r.instancePods(); now != pods {
		t.Errorf("after the uninstall the instances' pods are %s, and were %s", now, pods)
	}
	r.helm("install", "slipway", folder, "--values", v.file(t), "--take-ownership", "--wait", "--timeout", "150s")
	address = kubectl(t, "--namespace", space, "get", "service", space, "-o", "jsonpath={.spec.clusterIP}")
	for _, url := range []string{byHost, byPath} {
		if _, err := r.visit(r.client(), url); err != nil {
			t.Error(err)
		}
	}
	r.slipway("", "instance", "terminate", id, "--wait", "--yes")
	if now := r.instancePods(); strings.Contains(now, " ") {
		t.Errorf("after one of two is terminated there are the pods %s", now)
	}
}

// showsBundlesAlone asks a control plane where pods of instances reach it: nothing
// but its bundles answers there, whatever a pod says of itself.
func (r *release) showsBundlesAlone(control string) {
	r.t.Helper()
	for path, slipway := range map[string]bool{
		"/": false, "/api/v1/apps": false, "/api/v1/bundles": false, "/.slipway/status": false, "/api/v1/bundles/../apps": false,
		"/api/v1/bundles/" + strings.Repeat("0", 64): true,
	} {
		req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, "http://"+control+path, nil)
		if err != nil {
			r.t.Fatal(err)
		}
		req.Host = "apps.test"
		req.Header.Set("X-Forwarded-For", "192.0.2.1")
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			r.t.Fatal(err)
		}
		resp.Body.Close()
		if answers := strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem+json"); answers != slipway || !slipway && resp.StatusCode != http.StatusNotFound {
			r.t.Errorf("%s of a control plane is answered %d, %q", path, resp.StatusCode, resp.Header.Get("Content-Type"))
		}
	}
}

// edgePods are the UIDs of the pods of edges.
func (r *release) edgePods() string {
	return kubectl(r.t, "--namespace", r.namespace, "get", "pods", "-l", "app.kubernetes.io/component=edge", "-o", "jsonpath={.items[*].metadata.uid}")
}

// signInByStore has the store itself know the admin's token: the production has
// no other way in than a provider.
func (r *release) signInByStore(endpoint string) {
	r.t.Helper()
	store, err := etcdstore.Open(etcdstore.Config{Endpoints: []string{endpoint}})
	if err != nil {
		r.t.Fatal(err)
	}
	defer store.Close()
	r.config = filepath.Join(r.t.TempDir(), "cli.toml")
	if err := cli.WriteContext(r.config, r.origin, etcdtest.Admin(r.t, store)); err != nil {
		r.t.Fatal(err)
	}
}
