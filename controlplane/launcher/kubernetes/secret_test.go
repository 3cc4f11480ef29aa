package kubernetes

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// vault answers what is asked of one Secret, and of who leads.
type vault struct {
	*httptest.Server
	uid   types.UID // of the Secret; empty: there is none
	epoch string    // of who leads
	asked []string
}

func newVault(t *testing.T, uid types.UID, epoch string) *vault {
	t.Helper()
	v := &vault{uid: uid, epoch: epoch}
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var answer any
		said := func(code int, reason metav1.StatusReason) {
			w.WriteHeader(code)
			answer = metav1.Status{TypeMeta: meta("v1", "Status"), Status: metav1.StatusFailure, Code: int32(code), Reason: reason}
		}
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.Contains(r.URL.Path, "configmaps"):
			v.asked = append(v.asked, "who leads")
			answer = corev1.ConfigMap{TypeMeta: meta("v1", "ConfigMap"), Data: map[string]string{epochKey: v.epoch}}
		case r.Method == http.MethodPost && v.uid != "":
			v.asked = append(v.asked, "make, and there is one")
			said(http.StatusConflict, metav1.StatusReasonAlreadyExists)
		case r.Method == http.MethodPost:
			v.asked = append(v.asked, "make")
			v.uid = "new"
			answer = corev1.Secret{TypeMeta: meta("v1", "Secret"), ObjectMeta: metav1.ObjectMeta{UID: v.uid}}
		default:
			var o metav1.DeleteOptions
			text, _ := io.ReadAll(r.Body)
			if err := json.Unmarshal(text, &o); err != nil {
				t.Error(err)
			}
			switch {
			case v.uid == "":
				v.asked = append(v.asked, "delete, and there is none")
				said(http.StatusNotFound, metav1.StatusReasonNotFound)
			case len(o.DryRun) > 0:
				v.asked = append(v.asked, "which is it")
				answer = metav1.Status{TypeMeta: meta("v1", "Status"), Status: metav1.StatusSuccess, Details: &metav1.StatusDetails{UID: v.uid}}
			case o.Preconditions == nil || o.Preconditions.UID == nil:
				t.Error("a Secret is deleted whichever it is")
			case *o.Preconditions.UID != v.uid:
				v.asked = append(v.asked, "delete another")
				said(http.StatusConflict, metav1.StatusReasonConflict)
			default:
				v.asked = append(v.asked, "delete")
				v.uid = ""
				answer = metav1.Status{TypeMeta: meta("v1", "Status"), Status: metav1.StatusSuccess}
			}
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(v.Close)
	return v
}

// config has requests be readable here.
func (v *vault) config() *rest.Config {
	return &rest.Config{Host: v.URL, ContentConfig: rest.ContentConfig{ContentType: "application/json"}}
}

// A leader that was held up may have ended a start which the next one has begun
// again, with the same generation.
func TestASecretIsDeletedByItsUID(t *testing.T) {
	for _, c := range []struct {
		name  string
		known madeSecret
		there types.UID
		epoch string
		asked []string
		left  types.UID
	}{
		{"made here", madeSecret{generation: 5, uid: "own"}, "own", "1", []string{"delete"}, ""},
		{"made here, and anew by the next leader", madeSecret{generation: 5, uid: "own"}, "new", "2", []string{"delete another"}, "new"},
		{"made by an earlier leader", madeSecret{}, "old", "1", []string{"which is it", "who leads", "delete"}, ""},
		{"made by an earlier leader, and another leads now", madeSecret{}, "new", "2", []string{"which is it", "who leads"}, "new"},
		{"dropped already", madeSecret{generation: 5, dropped: true}, "", "1", nil, ""},
		{"of a start before the one that was made here", madeSecret{generation: 6, uid: "newer"}, "old", "1", []string{"which is it", "who leads", "delete"}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := newVault(t, c.there, c.epoch)
			own, i := leader(t, v.config()), newInstance("one")
			i.secret = c.known
			own.dropSecret(t.Context(), i, 5)
			if !slices.Equal(v.asked, c.asked) || v.uid != c.left {
				t.Errorf("asked %q, left is %q", v.asked, v.uid)
			}
			if c.known.generation > 5 && i.secret != c.known {
				t.Errorf("of the newer start's is known %+v", i.secret)
			}
		})
	}
}

func TestEachStartMakesItsSecretAnew(t *testing.T) {
	for _, c := range []struct {
		name  string
		there types.UID
		asked []string
	}{
		{"none is there", "", []string{"make"}},
		{"one of the same generation", "old", []string{"make, and there is one", "which is it", "who leads", "delete", "make"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			v := newVault(t, c.there, "1")
			own, i := leader(t, v.config()), newInstance("one")
			err := own.makeSecret(t.Context(), i, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{
				Name: objects.SecretName("one", 5), Labels: map[string]string{objects.LabelGeneration: "5"},
			}})
			if err != nil || !slices.Equal(v.asked, c.asked) || i.secret != (madeSecret{generation: 5, uid: "new"}) {
				t.Errorf("asked %q, known is %+v: %v", v.asked, i.secret, err)
			}
		})
	}
}
