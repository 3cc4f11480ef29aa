package objects_test

import (
	"context"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/uuid"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
	"github.com/seed-dbc68772/slipway/deploy/image"
)

// lead opens a launcher that leads in the space.
func (s *space) lead(epoch int64, o objects.Settings) *kubernetes.Launcher {
	s.Helper()
	o.Namespace = s.name
	l, err := kubernetes.New(kubernetes.Config{REST: s.rest, Objects: o, DataDir: s.TempDir()})
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() {
		if err := l.Close(context.Background(), true, time.Second); err != nil {
			s.Error(err)
		}
	})
	if err := l.Lead(s.Context(), epoch); err != nil {
		s.Fatal(err)
	}
	return l
}

// TestThePolicyIsThereBeforeAnyInstance also changes it behind the launcher's
// back.
func TestThePolicyIsThereBeforeAnyInstance(t *testing.T) {
	s := newSpace(t)
	denied := func() string {
		policy, err := s.of("NetworkPolicy").Get(t.Context(), objects.PolicyName, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		text, err := json.Marshal(policy.Object["spec"])
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	s.lead(1, objects.Settings{Network: &objects.Network{}}).Resign()
	made := denied()
	if !strings.Contains(made, `"169.254.0.0/16"`) {
		t.Errorf("the policy lets instances have metadata: %s", made)
	}
	open := []byte(`{"spec":{"egress":[{}],"ingress":[{}]}}`)
	if _, err := s.of("NetworkPolicy").Patch(t.Context(), objects.PolicyName, "application/merge-patch+json", open, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
	s.lead(2, objects.Settings{Network: &objects.Network{}}).Resign()
	if again := denied(); again != made {
		t.Errorf("the next leader leaves it open: %s", again)
	}
}

// TestAStartRunsTheDigestOfItsTag has the node pull from a registry that asks
// for a password.
func TestAStartRunsTheDigestOfItsTag(t *testing.T) {
	s := newSpace(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	made, err := image.Make(image.Spec{
		Layers:     [][]image.File{{{Path: "/app", Source: self, Mode: 0o755}, {Path: "/srv", Dir: true}}},
		Entrypoint: []string{"/app", "serve"}, WorkingDir: "/srv", User: "4711:4712", Ports: []string{"9000/tcp"},
		Env: []string{"RUN=" + uuid.NewString()}, // the node has never seen it
	})
	if err != nil {
		t.Fatal(err)
	}
	var away atomic.Bool
	inner := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch _, password, _ := r.BasicAuth(); {
		case away.Load():
			w.WriteHeader(http.StatusBadGateway)
		case password != "sesame":
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
		default:
			inner.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "http://")
	tag, err := name.NewTag(host + "/team/app:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(tag, made, remote.WithAuth(&authn.Basic{Username: "pusher", Password: "sesame"})); err != nil {
		t.Fatal(err)
	}
	digest, err := made.Digest()
	if err != nil {
		t.Fatal(err)
	}
	want := host + "/team/app@" + digest.String()
	auths, err := json.Marshal(map[string]any{"auths": map[string]any{host: map[string]string{"username": "puller", "password": "sesame"}}})
	if err != nil {
		t.Fatal(err)
	}
	s.apply(map[string]any{
		"apiVersion": "v1", "kind": "Secret", "metadata": map[string]any{"name": "registry"},
		"type": "kubernetes.io/dockerconfigjson", "stringData": map[string]any{".dockerconfigjson": string(auths)},
	})
	l := s.lead(1, objects.Settings{PullSecrets: []string{"registry"}})
	st := start(tag.Name())
	w := &st.Workload
	w.App.Manifest.Runtime = controlplane.Runtime{CustomImage: tag.Name()}
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	facts := l.Observe(ctx)
	for generation := int64(1); generation <= 2; generation++ {
		w.Generation = generation
		if err := l.Start(ctx, *w); err != nil {
			t.Fatal(err)
		}
		var ready launcher.Fact
		for f := range facts {
			if f.State == launcher.Ended && f.Generation == generation {
				t.Fatalf("generation %d ended: %v", generation, f.Reason)
			}
			if f.State == launcher.Ready && f.Generation == generation {
				ready = f
				break
			}
		}
		if ready.State != launcher.Ready {
			t.Fatalf("generation %d is not ready in time", generation)
		}
		got := s.ask(st, 9000)
		if got.UID != 4711 || got.GID != 4712 || got.Env["PORT"] != "9000" || !strings.HasSuffix(ready.Endpoint, ":9000") {
			t.Errorf("it runs as %d:%d at %s, PORT is %s", got.UID, got.GID, ready.Endpoint, got.Env["PORT"])
		}
		if text := got.Files["/srv/conf/key.pem"]; text != "the key" {
			t.Errorf("the file below its working directory is %q", text)
		}
		pods, err := s.of("Pod").List(ctx, metav1.ListOptions{LabelSelector: objects.InstanceSelector(w.InstanceID).String()})
		if err != nil {
			t.Fatal(err)
		}
		for _, pod := range pods.Items {
			containers, _, _ := unstructured.NestedSlice(pod.Object, "spec", "containers")
			if image := containers[0].(map[string]any)["image"]; image != want {
				t.Errorf("generation %d runs %v, want %s", generation, image, want)
			}
		}
		if len(ready.Warnings) > 0 {
			t.Errorf("warnings %q", ready.Warnings)
		}
		if err := l.Stop(ctx, w.InstanceID, generation, time.Second); err != nil {
			t.Fatal(err)
		}
		away.Store(true) // the next start needs it no more
	}
}
