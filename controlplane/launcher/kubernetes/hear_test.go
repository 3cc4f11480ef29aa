package kubernetes

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/inpod"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// What a package's code writes while it is installed is not read for ever.
func TestAStepIsHeardUpToALimit(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		most, err := strconv.ParseInt(r.URL.Query().Get("limitBytes"), 10, 64)
		if err != nil || most < 1 || most > 16<<20 {
			t.Errorf("%s has no limit", r.URL)
		}
		io.WriteString(w, inpod.Progress(7, "collecting numpy")+"\n"+strings.Repeat("x", longestHeard*2)+"\n")
	}))
	defer s.Close()
	own, i := leader(t, &rest.Config{Host: s.URL}), newInstance("one")
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: "pod", UID: "pod"}, Status: corev1.PodStatus{
		InitContainerStatuses: []corev1.ContainerStatus{{
			Name: objects.ContainerDependencies, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{}},
		}},
	}}
	if err := own.view.pods.GetStore().Add(pod); err != nil {
		t.Fatal(err)
	}
	i.heard = heard{pod: pod.UID, step: objects.ContainerDependencies}
	own.listen(i, pod, objects.ContainerDependencies)
	if i.heard.percent != 7 || i.heard.text != "collecting numpy" {
		t.Errorf("heard is %+v", i.heard)
	}
}

// A log that comes in after its instance was removed is of nobody any more.
func TestNoLogOutlivesItsInstance(t *testing.T) {
	for name, removed := range map[string]bool{"removed meanwhile": true, "there still": false} {
		t.Run(name, func(t *testing.T) {
			opened, over := make(chan struct{}), make(chan struct{})
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				io.WriteString(w, "its password\n")
				w.(http.Flusher).Flush()
				close(opened)
				<-over
			}))
			defer s.Close()
			own := leader(t, &rest.Config{Host: s.URL})
			i := own.instance("one")
			_, done := own.keeper(i, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "pod", UID: "pod"}})
			<-opened
			if removed {
				if err := own.forget(t.Context(), "one"); err != nil {
					t.Fatal(err)
				}
			}
			close(over)
			<-done
			if _, err := os.Stat(own.l.file("one", "pod")); removed != os.IsNotExist(err) {
				t.Errorf("its log: %v", err)
			}
			if _, err := os.Stat(own.l.folder("one")); removed != os.IsNotExist(err) {
				t.Errorf("its folder: %v", err)
			}
		})
	}
}
