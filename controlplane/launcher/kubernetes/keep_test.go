package kubernetes

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// A lead that ends while the log of a pod is read leaves the first part of it. The
// next one reads it again while the pod is there, and it is marked where not.
func TestALogThatWasCutOff(t *testing.T) {
	const (
		goesOn = iota // the log, without an end
		ends
		gone
	)
	var node atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if node.Load() == gone {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusNotFound)
			_ = json.NewEncoder(w).Encode(metav1.Status{TypeMeta: meta("v1", "Status"), Status: metav1.StatusFailure, Reason: metav1.StatusReasonNotFound, Code: 404})
			return
		}
		io.WriteString(w, "first\n")
		if node.Load() == ends {
			io.WriteString(w, "last\n")
			return
		}
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}))
	t.Cleanup(s.Close)
	own := leader(t, &rest.Config{Host: s.URL})
	l, now := own.l, metav1.Now()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "pod", UID: "pod", DeletionTimestamp: &now, Labels: map[string]string{objects.LabelInstance: "one"}},
		Spec:       corev1.PodSpec{NodeName: "node"},
	}
	log := func() string {
		t.Helper()
		node.Store(gone)
		r, err := l.openRun(t.Context(), "one", run{Pod: "pod", Name: "pod"})
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		text, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}

	ctx, lead := context.WithCancel(t.Context())
	time.AfterFunc(200*time.Millisecond, lead)
	if err := l.keep(ctx, "one", pod, func() {}); err == nil {
		t.Error("that it was not read to its end is not said")
	}
	if got := log(); got != "first\n"+cutMark {
		t.Errorf("of a log that was cut off there is %q", got)
	}

	if err := own.view.pods.GetStore().Add(pod); err != nil {
		t.Fatal(err)
	}
	node.Store(ends)
	i := own.instance("one")
	for range 2 {
		if err := own.windUp(t.Context(), i); err != nil {
			t.Fatal(err)
		}
	}
	if err := i.await(t.Context(), func() bool { return !i.isKeeping() }); err != nil {
		t.Fatal(err)
	}
	if got := log(); got != "first\nlast\n" {
		t.Errorf("after the next one has read it, there is %q", got)
	}
	if left, _ := filepath.Glob(filepath.Join(l.folder("one"), "*")); len(left) != 1 {
		t.Errorf("left are %v", left)
	}
	if err := l.keep(ctx, "one", pod, func() {}); err == nil || strings.Contains(log(), cutMark) {
		t.Error("a late reader of the first part has put it in the place of the whole")
	}
}

// A control plane that led before keeps logs of instances that others have removed.
func TestLogsOfInstancesThatAreNoMoreGo(t *testing.T) {
	own := leader(t, server(t, func(string) {}, nil))
	dir := own.cfg.DataDir
	for _, path := range []string{"i-known/a.log", "i-known/a.cut.part", "i-removed/a.log", "i-later/a.log", "other/a.log", "i-file"} {
		path = filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := own.view.owners.GetStore().Add(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{
		Name: "i-known", Labels: map[string]string{objects.LabelInstance: "known"},
	}}); err != nil {
		t.Fatal(err)
	}
	folders, err := own.l.keptFolders()
	if err != nil {
		t.Fatal(err)
	}
	own.sweep(slices.DeleteFunc(folders, func(name string) bool { return name == "i-later" }))
	var left []string
	for _, pattern := range []string{"*", "*/*"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range found {
			left = append(left, strings.TrimPrefix(path, dir+"/"))
		}
	}
	slices.Sort(left)
	if want := []string{"i-file", "i-known", "i-known/a.log", "i-later", "i-later/a.log", "other", "other/a.log"}; !slices.Equal(left, want) {
		t.Errorf("left are %v", left)
	}
}
