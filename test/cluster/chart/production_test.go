package chart

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
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
	needs(t, "kubectl")
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
		"settings": values{"allowedImages": []string{`slipway\.test/.*`}},
		"service":  values{"httpPort": 80},
	})
	r := install(t, space, v)
	r.helm("test", "slipway", "--timeout", "90s")
	address := kubectl(t, "--namespace", space, "get", "service", space, "-o", "jsonpath={.spec.clusterIP}")
	r.connect = func() string { return address + ":80" }
	t.Logf("the edges are at %s", address)
}
