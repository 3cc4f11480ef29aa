package kubernetes

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// sleeping is an API server with the owner of an instance whose pod is no more.
func sleeping(t *testing.T, owner *corev1.ConfigMap) *rest.Config {
	t.Helper()
	owner.TypeMeta, owner.ResourceVersion = meta("v1", "ConfigMap"), "5"
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		say := func(o any) {
			if err := json.NewEncoder(w).Encode(o); err != nil && r.Context().Err() == nil {
				t.Error(err)
			}
			w.(http.Flusher).Flush()
		}
		_, what, _ := strings.Cut(r.URL.Path, "/namespaces/apps/")
		what, name, named := strings.Cut(what, "/")
		items, kind := []any{}, "Pod"
		if what == "configmaps" {
			items, kind = append(items, owner), "ConfigMap"
		}
		switch {
		case named:
			w.WriteHeader(http.StatusNotFound)
			say(metav1.Status{TypeMeta: meta("v1", "Status"), Status: metav1.StatusFailure, Reason: metav1.StatusReasonNotFound, Code: 404, Message: name})
		case r.URL.Query().Get("watch") == "":
			say(map[string]any{"kind": kind + "List", "apiVersion": "v1", "metadata": map[string]any{"resourceVersion": "5"}, "items": items})
		default:
			if r.URL.Query().Get("sendInitialEvents") == "true" {
				for _, o := range items {
					say(map[string]any{"type": "ADDED", "object": o})
				}
				say(map[string]any{"type": "BOOKMARK", "object": map[string]any{"kind": kind, "apiVersion": "v1", "metadata": map[string]any{
					"resourceVersion": "5", "annotations": map[string]string{metav1.InitialEventsAnnotationKey: "true"},
				}}})
			}
			<-r.Context().Done()
		}
	}))
	t.Cleanup(s.Close)
	return &rest.Config{Host: s.URL}
}

func TestWhatFollowsASleepingInstanceReadsItsLastLog(t *testing.T) {
	rec := record{Epoch: 1, Generation: 1, Start: &start{ID: "first", Generation: 1, End: &end{}}}
	rec.let(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "gone", UID: "gone"}})
	owner := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: objects.Name("one"), Namespace: "apps", UID: "owner"}}
	if err := rec.write(owner); err != nil {
		t.Fatal(err)
	}
	l := leader(t, sleeping(t, owner)).l
	if err := os.MkdirAll(l.folder("one"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(l.file("one", types.UID("gone")), []byte("its last line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	r, err := l.Logs(ctx, "one", launcher.LogOptions{Follow: true})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if line, err := bufio.NewReader(r).ReadString('\n'); line != "its last line\n" {
		t.Errorf("read is %q, %v", line, err)
	}
}

func TestFewFollowOneLog(t *testing.T) {
	l := leader(t, sleeping(t, &corev1.ConfigMap{})).l
	follow := func(id string) (io.ReadCloser, error) {
		r, err := l.Logs(t.Context(), id, launcher.LogOptions{Follow: true})
		if err == nil {
			t.Cleanup(func() { r.Close() })
		}
		return r, err
	}
	for range mostFollowers - 1 {
		if _, err := follow("one"); err != nil {
			t.Fatal(err)
		}
	}
	last, err := follow("one")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := follow("one"); controlplane.CodeOf(err) != controlplane.CodeTooMany {
		t.Errorf("one more follows: %v", err)
	}
	if _, err := follow("two"); err != nil {
		t.Errorf("another's log is not followed: %v", err)
	}
	last.Close()
	if _, err := follow("one"); err != nil {
		t.Errorf("once one has left: %v", err)
	}
}

// A run whose pod and log are lost holds up none that comes later.
func TestAPodThatIsNoMoreIsNotWaitedFor(t *testing.T) {
	l := leader(t, sleeping(t, &corev1.ConfigMap{})).l
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	var out strings.Builder
	if err := l.copyRun(ctx, "one", run{Name: "gone", Pod: "gone"}, &out); err != nil || ctx.Err() != nil || out.Len() > 0 {
		t.Errorf("%v, %v, %q", err, ctx.Err(), out.String())
	}
}
