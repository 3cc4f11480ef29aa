package objects_test

import (
	"encoding/json"
	"os"
	"sync"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
	"github.com/seed-dbc68772/slipway/deploy/image"
	"github.com/seed-dbc68772/slipway/test/internal/clustertest"
)

func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		app()
	}
	os.Exit(m.Run())
}

// The kinds that an instance has, and those that come of them.
var kinds = map[string]schema.GroupVersionResource{
	"ConfigMap":             {Version: "v1", Resource: "configmaps"},
	"Secret":                {Version: "v1", Resource: "secrets"},
	"Service":               {Version: "v1", Resource: "services"},
	"PersistentVolumeClaim": {Version: "v1", Resource: "persistentvolumeclaims"},
	"Pod":                   {Version: "v1", Resource: "pods"},
	"Deployment":            {Group: "apps", Version: "v1", Resource: "deployments"},
	"ReplicaSet":            {Group: "apps", Version: "v1", Resource: "replicasets"},
	"EndpointSlice":         {Group: "discovery.k8s.io", Version: "v1", Resource: "endpointslices"},
	"NetworkPolicy":         {Group: "networking.k8s.io", Version: "v1", Resource: "networkpolicies"},
}

// space is a namespace of its own, which takes no pod that is not restricted.
type space struct {
	*testing.T
	name   string
	rest   *rest.Config
	client dynamic.Interface
}

func newSpace(t *testing.T) *space {
	t.Helper()
	s := &space{T: t, rest: clustertest.Config(t)}
	core, err := corev1client.NewForConfig(s.rest)
	if err != nil {
		t.Fatal(err)
	}
	if s.client, err = dynamic.NewForConfig(s.rest); err != nil {
		t.Fatal(err)
	}
	s.name = clustertest.Namespace(t, core, "objects-")
	return s
}

func (s *space) of(kind string) dynamic.ResourceInterface {
	return s.client.Resource(kinds[kind]).Namespace(s.name)
}

// apply is a server-side apply of a typed object.
func (s *space) apply(o any, dryRun ...string) *unstructured.Unstructured {
	s.Helper()
	u := untyped(s.T, o)
	done, err := s.of(u.GetKind()).Apply(s.Context(), u.GetName(), u, metav1.ApplyOptions{FieldManager: objects.Manager, DryRun: dryRun})
	if err != nil {
		s.Fatalf("apply %s %s: %v", u.GetKind(), u.GetName(), err)
	}
	return done
}

// pod asks what the API server says of a pod of this template, and makes none.
func (s *space) pod(template corev1.PodTemplateSpec) error {
	s.Helper()
	pod := untyped(s.T, &corev1.Pod{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"},
		ObjectMeta: metav1.ObjectMeta{Name: "one", Labels: template.Labels}, Spec: template.Spec,
	})
	_, err := s.of("Pod").Create(s.Context(), pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	return err
}

func untyped(t *testing.T, o any) *unstructured.Unstructured {
	t.Helper()
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	u := &unstructured.Unstructured{}
	if err := u.UnmarshalJSON(text); err != nil {
		t.Fatal(err)
	}
	unstructured.RemoveNestedField(u.Object, "status")
	return u
}

// all are the objects of a set.
func all(set *objects.Set) []any {
	list := []any{set.Owner, set.Secret, set.Service, set.Deployment}
	for _, claim := range set.Claims {
		list = append(list, claim)
	}
	return list
}

// selfImage is an image of this test, which the node has: it names no user, and
// its folder is /srv.
var selfImage = sync.OnceValues(func() (reference string, err error) {
	self, err := clustertest.Self()
	if err != nil {
		return "", err
	}
	return clustertest.Load("objects", image.Spec{
		Layers:     [][]image.File{{{Path: "/app", Source: self, Mode: 0o755}, {Path: "/srv", Dir: true}}},
		Entrypoint: []string{"/app", "serve"}, WorkingDir: "/srv",
	})
})
