package kubernetes

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

func TestWhatIsMissing(t *testing.T) {
	whole := Config{REST: &rest.Config{Host: "127.0.0.1:1"}, Objects: objects.Settings{Namespace: "apps"}, DataDir: t.TempDir()}
	for _, c := range []struct {
		name   string
		change func(*Config)
		want   string
	}{
		{"nothing", func(*Config) {}, ""},
		{"the way", func(c *Config) { c.REST = nil }, "the way to the API server is not set"},
		{"the namespace", func(c *Config) { c.Objects.Namespace = "" }, "no namespace is set"},
		{"the folder", func(c *Config) { c.DataDir = "" }, "no data folder is set"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := whole
			c.change(&cfg)
			l, err := New(cfg)
			if err == nil {
				defer l.Close(t.Context(), false, 0)
			}
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestCheck(t *testing.T) {
	l, err := New(Config{REST: &rest.Config{Host: "127.0.0.1:1"}, Objects: objects.Settings{Namespace: "apps"}, DataDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close(t.Context(), false, 0)
	app := func(mode controlplane.AppMode, image string, files ...controlplane.File) *controlplane.App {
		return &controlplane.App{AppMode: mode, Manifest: controlplane.Manifest{Files: files, Runtime: controlplane.Runtime{CustomImage: image}}}
	}
	for _, c := range []struct {
		name string
		app  *controlplane.App
		code controlplane.ReasonCode
	}{
		{"a container", app(controlplane.Container, "example.com/app:1"), ""},
		{"a file below the image's own folder", app(controlplane.Container, "example.com/app:1", controlplane.File{Path: "conf/app"}), ""},
		{"no image", app(controlplane.Container, ""), controlplane.ImageInvalid},
		{"a process", app(controlplane.Binary, ""), controlplane.LauncherDown},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := l.Check(c.app)
			if c.code == "" && len(got) > 0 || c.code != "" && (len(got) != 1 || got[0].Code != c.code) {
				t.Errorf("got %v, want %q", got, c.code)
			}
		})
	}
}

func TestARecordSurvivesItsOwner(t *testing.T) {
	owner := &corev1.ConfigMap{}
	r := record{Epoch: 3, Generation: 7, Start: &start{
		ID: "one", Generation: 7, At: time.Unix(1000, 0).UTC(), Port: 80, HealthTimeout: time.Minute, Warnings: []string{"careful"},
		End: &end{At: time.Unix(2000, 0).UTC(), Reason: reason(controlplane.Crashed, "it ended")},
	}}
	for n := range 3 {
		r.let(&corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: types.UID(fmt.Sprint("uid-", n)), Name: "pod-" + fmt.Sprint(n)}})
	}
	if err := r.write(owner); err != nil {
		t.Fatal(err)
	}
	read, err := readRecord(owner)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, read); diff != "" {
		t.Errorf("it is read otherwise:\n%s", diff)
	}
	if len(read.Runs) != 2 || read.last() != "uid-2" || read.Runs[1].Pod != "uid-1" || read.Start.Pod != "uid-2" {
		t.Errorf("its runs are %+v, its pod is %s", read.Runs, read.Start.Pod)
	}
	if read.Start.runs() || (*start)(nil).runs() {
		t.Error("a start that has ended runs")
	}
	copied := read.clone()
	copied.Start.Ready, copied.Runs[0].Pod = true, "another"
	if read.Start.Ready || read.last() != "uid-2" {
		t.Error("a clone shares what is changed")
	}
	owner.Data[recordKey] = "{"
	if _, err := readRecord(owner); err == nil {
		t.Error("a broken record is read")
	}
}

func TestWhichCallsAreMadeAgain(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	for _, c := range []struct {
		name  string
		err   error
		again bool
	}{
		{"no answer", io.ErrUnexpectedEOF, true},
		{"an answer too late", context.DeadlineExceeded, true},
		{"too many requests", apierrors.NewTooManyRequests("busy", 0), true},
		{"a fault of the server", apierrors.NewInternalError(errors.New("no")), true},
		{"unavailable", apierrors.NewServiceUnavailable("no"), true},
		{"not there", apierrors.NewNotFound(pods, "x"), false},
		{"a conflict", apierrors.NewConflict(pods, "x", nil), false},
		{"above the quota", apierrors.NewForbidden(pods, "x", errors.New("exceeded quota: q")), false},
		{"no right, or none yet", noRight, true},
		{"another leads", fmt.Errorf("epoch 3: %w", launcher.ErrFenced), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				calls := 0
				err := insist(t.Context(), func(context.Context) error {
					if calls++; calls < 4 {
						return c.err
					}
					return nil
				})
				if c.again != (err == nil) || c.again != (calls == 4) {
					t.Errorf("%d calls, then %v", calls, err)
				}
			})
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := insist(ctx, func(context.Context) error { return io.EOF }); !errors.Is(err, context.Canceled) || !errors.Is(err, io.EOF) {
		t.Errorf("once its context has ended: %v", err)
	}
}

// noRight is in the words of the API server's authorizer.
var noRight = apierrors.NewForbidden(schema.GroupResource{Resource: "pods"}, "x",
	errors.New(`User "system:serviceaccount:a:b" cannot patch resource "pods" in API group "" in the namespace "a"`)) //nolint:staticcheck // its capital is the API server's

func TestARightThatIsMissingIsNotWaitedForLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		err := insist(t.Context(), func(context.Context) error { return noRight })
		if took := time.Since(began); !apierrors.IsForbidden(err) || took < rightsTimeout || took > rightsTimeout+4*time.Second {
			t.Errorf("after %s: %v", took, err)
		}
	})
}

func TestWhatTheClusterRefuses(t *testing.T) {
	pods := schema.GroupResource{Resource: "secrets"}
	for _, c := range []struct {
		name string
		err  error
		code controlplane.ReasonCode // empty: it is no reason of the start's
	}{
		{"quota", apierrors.NewForbidden(pods, "x", errors.New("exceeded quota: q, requested: secrets=1, used: secrets=9, limited: secrets=9")), controlplane.Quota},
		{"rights", apierrors.NewForbidden(pods, "x", errors.New("no")), controlplane.LauncherDown},
		{"another fault", io.EOF, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := refused("make secret", c.err)
			typed, ok := errors.AsType[*launcher.StartError](err)
			if ok != (c.code != "") || ok && typed.Reason.Code != c.code || !errors.Is(err, c.err) {
				t.Errorf("it becomes %v", err)
			}
		})
	}
	if refused("make secret", nil) != nil {
		t.Error("nothing is refused")
	}
}

func TestTheTailIsKept(t *testing.T) {
	line := []byte("0123456789\n")
	l := &Launcher{cfg: Config{DataDir: t.TempDir(), LogLimit: 1100}}
	for _, c := range []struct {
		name  string
		lines int
		want  int
	}{{"nothing", 0, 0}, {"little", 3, 33}, {"as much as is kept", 100, 1100}, {"too much", 100_001, 1100}} {
		t.Run(c.name, func(t *testing.T) {
			all := bytes.Repeat(line, c.lines)
			copy(all, "first")
			copy(all[max(0, len(all)-len(line)):], "last")
			last, err := l.readTail(bytes.NewReader(all))
			if err != nil {
				t.Fatal(err)
			}
			defer last.Close()
			if got, err := io.ReadAll(last.reader()); err != nil || !bytes.Equal(got, all[len(all)-c.want:]) {
				t.Errorf("%d bytes, want %d: %v", len(got), c.want, err)
			}
		})
	}
	last, err := l.readTail(io.MultiReader(strings.NewReader("so far"), errReader{}))
	if err == nil {
		t.Error("that a log breaks off is not said")
	}
	defer last.Close()
	if got, err := io.ReadAll(last.reader()); string(got) != "so far" || err != nil {
		t.Errorf("of a log that breaks off: %q, %v", got, err)
	}
	if left, _ := os.ReadDir(l.cfg.DataDir); len(left) != 0 {
		t.Errorf("it leaves %v", left)
	}
}

// All apps of a node may end at once, each with as long a log as it likes.
func TestALogThatIsKeptIsNotInMemory(t *testing.T) {
	lines := strings.Repeat("0123456789abcde\n", 1<<20)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, lines) }))
	defer s.Close()
	l := leader(t, &rest.Config{Host: s.URL}).l
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "pod", UID: "pod"}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if err := l.keep(t.Context(), "one", pod, func() {}); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 2<<20 {
		t.Errorf("it takes %d bytes of memory", took)
	}
	kept, err := os.ReadFile(l.file("one", "pod"))
	if err != nil || string(kept) != lines[:l.cfg.LogLimit] {
		t.Errorf("%d bytes are kept: %v", len(kept), err)
	}
}

// A node takes a number of bytes from the first line that it is asked for.
func TestALongLogIsReadToItsEnd(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		limit, err := strconv.Atoi(r.URL.Query().Get("limitBytes"))
		if err != nil {
			t.Error(err)
		}
		text := strings.Repeat("0123456789abcde\n", 1<<19) + "the last line\n"
		io.WriteString(w, text[:min(limit, len(text))])
	}))
	defer s.Close()
	l := leader(t, &rest.Config{Host: s.URL}).l
	r, err := l.openRun(t.Context(), "one", run{Pod: "pod", Name: "pod"})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	text, err := io.ReadAll(r)
	if err != nil || !strings.HasSuffix(string(text), "the last line\n") || int64(len(text)) != l.cfg.LogLimit {
		t.Errorf("%d bytes, to %q: %v", len(text), text[max(0, len(text)-20):], err)
	}
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, http.ErrAbortHandler }

func TestLogsOfTwoRunsAreKept(t *testing.T) {
	l := &Launcher{cfg: Config{DataDir: t.TempDir()}}
	dir := l.folder("one")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for n := range 4 {
		path := filepath.Join(dir, fmt.Sprintf("%d.log", 4-n)) // not in the order of their names
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Unix(int64(1000+n), 0)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.dropOld("one"); err != nil {
		t.Fatal(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) != 2 || filepath.Base(left[0]) != "1.log" || filepath.Base(left[1]) != "2.log" {
		t.Errorf("left are %v (%v)", left, err)
	}
}

// What is kept of an object is what is looked at.
func TestObjectsAreTrimmed(t *testing.T) {
	large := strings.Repeat("x", 10_000)
	meta := metav1.ObjectMeta{
		Name: "one", Labels: map[string]string{objects.LabelInstance: "one"}, ManagedFields: []metav1.ManagedFieldsEntry{{Manager: large}},
		Annotations: map[string]string{"note": large},
	}
	pod := &corev1.Pod{ObjectMeta: meta, Spec: corev1.PodSpec{
		SchedulingGates: []corev1.PodSchedulingGate{{Name: objects.Gate}},
		Containers:      []corev1.Container{{Name: "app", Env: []corev1.EnvVar{{Name: "A", Value: large}}}},
	}}
	deployment := &appsv1.Deployment{ObjectMeta: meta, Spec: appsv1.DeploymentSpec{Template: corev1.PodTemplateSpec{Spec: pod.Spec}}}
	event := &corev1.Event{ObjectMeta: meta, Message: large}
	service := &corev1.Service{ObjectMeta: meta, Spec: corev1.ServiceSpec{ExternalName: large}}
	for _, o := range []any{pod, deployment, service, event} {
		trimmed, err := trim(o)
		if err != nil {
			t.Fatal(err)
		}
		if size := len(fmt.Sprintf("%+v", trimmed)); size > 5000 {
			t.Errorf("of a %T %d bytes are left", o, size)
		}
	}
	if !gated(pod) || instanceOf(deployment) != "one" {
		t.Error("what is looked at is lost")
	}
}

func TestHowLongAPodMayRunThatIsNoMore(t *testing.T) {
	now := time.Now()
	grace := int64(7)
	for _, test := range []struct {
		name string
		pod  corev1.Pod
		want time.Duration // 0: not at all
	}{
		{"it was never let run", corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodPending}}, 0},
		{"it ended in order", corev1.Pod{Spec: corev1.PodSpec{NodeName: "a"}, Status: corev1.PodStatus{Phase: corev1.PodFailed}}, 0},
		{"it was done", corev1.Pod{Spec: corev1.PodSpec{NodeName: "a"}, Status: corev1.PodStatus{Phase: corev1.PodSucceeded}}, 0},
		{"it ran", corev1.Pod{Spec: corev1.PodSpec{NodeName: "a", TerminationGracePeriodSeconds: &grace}, Status: corev1.PodStatus{Phase: corev1.PodRunning}}, 7*time.Second + endSlack},
		{"its node had it", corev1.Pod{Spec: corev1.PodSpec{NodeName: "a"}, Status: corev1.PodStatus{Phase: corev1.PodPending}}, 30*time.Second + endSlack},
	} {
		until := lingers(&test.pod, now)
		if test.want == 0 && !until.IsZero() || test.want > 0 && !until.Equal(now.Add(test.want)) {
			t.Errorf("%s: until %v after it was deleted, want %v", test.name, until.Sub(now), test.want)
		}
	}
}
