package kubernetes

import (
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

func claim(size string) *corev1.PersistentVolumeClaim {
	return &corev1.PersistentVolumeClaim{
		TypeMeta:   meta("v1", "PersistentVolumeClaim"),
		ObjectMeta: metav1.ObjectMeta{Name: objects.VolumeName("one"), Namespace: "apps", Labels: map[string]string{objects.LabelInstance: "one"}},
		Spec: corev1.PersistentVolumeClaimSpec{Resources: corev1.VolumeResourceRequirements{
			Requests: corev1.ResourceList{corev1.ResourceStorage: resource.MustParse(size)},
		}},
	}
}

func TestVolumesGrow(t *testing.T) {
	fixed := metav1.Status{TypeMeta: meta("v1", "Status"), Status: metav1.StatusFailure, Code: http.StatusForbidden, Reason: metav1.StatusReasonForbidden, Message: "only dynamically provisioned pvc can be resized"}
	for _, c := range []struct {
		name  string
		has   string // empty: there is none
		wants string
		grows any
		asked []string
		warns string
	}{
		{"none is there", "", "1Gi", nil, []string{"POST persistentvolumeclaims"}, ""},
		{"as large as is asked for", "1Gi", "1024Mi", nil, nil, ""},
		{"more is asked for", "1Gi", "2Gi", claim("2Gi"), []string{"PATCH persistentvolumeclaims"}, ""},
		{"more, and the cluster does not let it grow", "1Gi", "2Gi", fixed, []string{"PATCH persistentvolumeclaims", "PUT configmaps"}, "keeps its 1Gi, though the app asks for 2Gi: the cluster"},
		{"less is asked for", "2Gi", "1Gi", nil, []string{"PUT configmaps"}, "keeps its 2Gi, though the app asks for 1Gi: volumes do not shrink"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var asked []string
			own := leader(t, server(t, func(request string) { asked = append(asked, request) }, map[string]any{
				"POST persistentvolumeclaims": claim(c.wants), "PATCH persistentvolumeclaims": c.grows, "PUT configmaps": corev1.ConfigMap{TypeMeta: meta("v1", "ConfigMap")},
			}))
			if c.has != "" {
				if err := own.view.claims.GetStore().Add(claim(c.has)); err != nil {
					t.Fatal(err)
				}
			}
			i := newInstance("one")
			i.owner = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: objects.Name("one"), UID: "owner"}}
			i.rec = record{Epoch: 1, Generation: 1, Start: &start{ID: "start", Generation: 1, Warnings: []string{"before"}}}
			set := &objects.Set{Service: &corev1.Service{}, Deployment: &appsv1.Deployment{}, Claims: []*corev1.PersistentVolumeClaim{claim(c.wants)}}
			body, _, err := own.service(i, set)
			if err != nil {
				t.Fatal(err)
			}
			if err := own.view.services.GetStore().Add(seenService(t, body)); err != nil {
				t.Fatal(err)
			}
			if lasts, err := own.lasts(i, set); err != nil || lasts != (len(c.asked) == 0) {
				t.Errorf("they are as they are to be: %v, %v", lasts, err)
			}
			if err := own.raiseClaims(t.Context(), i, set.Claims); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(asked, c.asked) {
				t.Errorf("asked for %v", asked)
			}
			said := strings.Join(i.rec.Start.Warnings, "; ")
			if c.warns == "" && said != "before" || !strings.Contains(said, c.warns) {
				t.Errorf("the start warns of %q", said)
			}
		})
	}
}

// seenService is what informers tell of a Service that was applied so.
func seenService(t *testing.T, body []byte) *corev1.Service {
	t.Helper()
	s := new(corev1.Service)
	if err := json.Unmarshal(body, s); err != nil {
		t.Fatal(err)
	}
	s.Labels = map[string]string{objects.LabelInstance: "one"}
	if _, err := trim(s); err != nil {
		t.Fatal(err)
	}
	return s
}

// A start asks for the Service only where the one before applied another, or
// where somebody deleted it.
func TestTheServiceIsAppliedWhereItChanges(t *testing.T) {
	n := 0
	own := leader(t, server(t, func(string) { n++ }, map[string]any{"PATCH services": corev1.Service{TypeMeta: meta("v1", "Service")}}))
	i := newInstance("one")
	for _, step := range []struct {
		name string
		port int32
		gone bool
		want int
	}{{"the first start", 80, false, 1}, {"the next one", 80, false, 1}, {"it was deleted", 80, true, 2}, {"another Slipway's", 81, false, 3}} {
		set := &objects.Set{Service: &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "i-one"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: step.port}}}}}
		if step.gone {
			if err := own.view.services.GetStore().Replace(nil, ""); err != nil {
				t.Fatal(err)
			}
		}
		body, _, err := own.service(i, set)
		if err != nil {
			t.Fatal(err)
		}
		if err := own.raiseService(t.Context(), i, set); err != nil {
			t.Fatal(err)
		}
		if n != step.want {
			t.Errorf("%s: %d requests so far, want %d", step.name, n, step.want)
		}
		if err := own.view.services.GetStore().Add(seenService(t, body)); err != nil {
			t.Fatal(err)
		}
	}
}
