package kubernetes

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// server answers requests with these objects, by "METHOD resource"; a Status fails.
// see is called before each answer.
func server(t *testing.T, see func(request string), answers map[string]any) *rest.Config {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, rest, _ := strings.Cut(r.URL.Path, "/namespaces/apps/")
		resource, _, _ := strings.Cut(rest, "/")
		request := r.Method + " " + resource
		see(request)
		answer, known := answers[request]
		if !known {
			t.Errorf("%s is not expected", request)
		}
		w.Header().Set("Content-Type", "application/json")
		if status, is := answer.(metav1.Status); is && status.Code != 0 {
			w.WriteHeader(int(status.Code))
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(s.Close)
	return &rest.Config{Host: s.URL}
}

// leader is a term whose informers do not run.
func leader(t *testing.T, config *rest.Config) *term {
	t.Helper()
	l, err := New(Config{REST: config, Objects: objects.Settings{Namespace: "apps"}, DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	own, err := newTerm(l, 1)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		own.End(launcher.ErrNotLeading)
		if err := l.Close(t.Context(), false, 0); err != nil {
			t.Error(err)
		}
	})
	return own
}

func meta(version, kind string) metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: version, Kind: kind}
}

func TestAGateIsTakenOffOnce(t *testing.T) {
	n := 0
	config := server(t, func(string) { n++ }, map[string]any{"PATCH pods": corev1.Pod{TypeMeta: meta("v1", "Pod")}})
	own, i := leader(t, config), newInstance("one")
	for _, step := range []struct {
		pod  types.UID
		want int
	}{{"first", 1}, {"first", 1}, {"second", 2}} {
		if err := own.ungate(t.Context(), i, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "pod", UID: step.pod}}); err != nil {
			t.Fatal(err)
		}
		if n != step.want {
			t.Errorf("%d requests once pod %s is let run, want %d", n, step.pod, step.want)
		}
	}
}

func TestTheSecretDoesNotHoldUpTheDeployment(t *testing.T) {
	applied := make(chan struct{})
	opened := sync.OnceFunc(func() { close(applied) })
	config := server(t, func(request string) {
		switch request {
		case "PATCH deployments":
			opened()
		case "POST secrets":
			select {
			case <-applied:
			case <-time.After(5 * time.Second):
				t.Error("the Deployment waits for the Secret")
			}
		}
	}, map[string]any{
		"POST secrets": corev1.Secret{TypeMeta: meta("v1", "Secret")}, "PATCH services": corev1.Service{TypeMeta: meta("v1", "Service")},
		"POST deployments": appsv1.Deployment{TypeMeta: meta("apps/v1", "Deployment")}, "PATCH deployments": appsv1.Deployment{TypeMeta: meta("apps/v1", "Deployment")},
	})
	app := &controlplane.App{AppMode: controlplane.Container, Manifest: controlplane.Manifest{Runtime: controlplane.Runtime{CustomImage: "example.com/app:1"}}}
	set, err := objects.Make(objects.Start{
		Workload: launcher.Workload{InstanceID: "one", Generation: 1, App: app}, Epoch: 1, Image: &objects.Image{Known: true},
	}, objects.Settings{Namespace: "apps"})
	if err != nil {
		t.Fatal(err)
	}
	own, i := leader(t, config), newInstance("one")
	i.owner = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: objects.Name("one"), UID: "owner"}}
	if err := own.raise(t.Context(), i, set, &waking{}, time.Second); err != nil {
		t.Fatal(err)
	}
}

// A timer keeps its term, and all that it has seen of the cluster.
func TestNoTimerOutlivesWhatItIsFor(t *testing.T) {
	for name, over := range map[string]func(*term, *instance){
		"the lead":     func(own *term, _ *instance) { own.End(launcher.ErrNotLeading) },
		"the instance": func(own *term, i *instance) { own.drop(i) },
	} {
		t.Run(name, func(t *testing.T) {
			own := leader(t, server(t, func(string) {}, nil))
			i := own.instance("one")
			own.wakeAt(i, time.Now().Add(time.Hour))
			alarm := i.alarm
			over(own, i)
			if alarm.Stop() {
				t.Error("its timer runs on")
			}
		})
	}
}
