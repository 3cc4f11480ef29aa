package kubernetes

import (
	"io"
	"net/http"
	"net/http/httptest"
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
