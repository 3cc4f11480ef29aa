package kubernetes

import (
	"errors"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/images"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// requests are those that a server was asked.
type requests struct {
	mu  sync.Mutex
	all []string
}

func (r *requests) see(request string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, request)
}

func (r *requests) take() (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all, r.all = r.all, nil
	slices.Sort(all)
	return all
}

func deploymentOf(id string, generation int64, replicas int32) *appsv1.Deployment {
	return &appsv1.Deployment{
		TypeMeta: meta("apps/v1", "Deployment"),
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "apps", Name: objects.Name(id), UID: "deployment", ResourceVersion: "1", Generation: generation,
			Labels: map[string]string{objects.LabelInstance: id, objects.LabelEpoch: "1"},
		},
		Spec: appsv1.DeploymentSpec{Replicas: &replicas},
	}
}

func podOf(id, name string) *corev1.Pod {
	return &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Namespace: "apps", Name: name, UID: "pod", Labels: map[string]string{objects.LabelInstance: id},
	}}
}

func ownerOf(t *testing.T, id string, rec record) *corev1.ConfigMap {
	t.Helper()
	owner := &corev1.ConfigMap{
		TypeMeta:   meta("v1", "ConfigMap"),
		ObjectMeta: metav1.ObjectMeta{Namespace: "apps", Name: objects.Name(id), UID: "owner", ResourceVersion: "1"},
	}
	if err := rec.write(owner); err != nil {
		t.Fatal(err)
	}
	return owner
}

// nobody is a way to registries on which none is reached.
type nobody struct{}

func (nobody) RoundTrip(*http.Request) (*http.Response, error) { return nil, errors.New("no registry") }

// wakes starts an instance of which this is known, and of its Service, unless one
// is given, that it is as it is to be.
func wakes(t *testing.T, own *term, rec record, known ...any) (*instance, error) {
	t.Helper()
	own.l.images = images.New(images.Config{Transport: nobody{}})
	app := &controlplane.App{AppMode: controlplane.Container, Manifest: controlplane.Manifest{Runtime: controlplane.Runtime{CustomImage: "example.com/app:1"}}}
	w := launcher.Workload{InstanceID: "one", Generation: 2, App: app}
	set, err := own.l.make(t.Context(), w, own.epoch)
	if err != nil {
		t.Fatal(err)
	}
	owner := ownerOf(t, "one", rec)
	set.OwnedBy(owner.UID)
	if !slices.ContainsFunc(known, func(o any) bool { _, is := o.(*corev1.Service); return is }) {
		body, _, err := own.service(own.instance("one"), set)
		if err != nil {
			t.Fatal(err)
		}
		known = append(known, seenService(t, body))
	}
	for _, o := range known {
		store := own.view.pods.GetStore()
		switch o.(type) {
		case *appsv1.Deployment:
			store = own.view.deployments.GetStore()
		case *corev1.Service:
			store = own.view.services.GetStore()
		}
		if err := store.Add(o); err != nil {
			t.Fatal(err)
		}
	}
	i := own.instance("one")
	i.owner, i.rec = owner, rec
	return i, own.start(t.Context(), w)
}

// The Deployment of an instance that sleeps is applied while its record is being
// written. What that would end something of is not.
func TestWhatWaitsForTheRecord(t *testing.T) {
	asleep := record{Epoch: 1, Generation: 1, Start: &start{ID: "before", Generation: 1, End: &end{}}}
	crashed := asleep
	crashed.Start = &start{ID: "before", Generation: 1}
	older := asleep
	older.Epoch = 0
	serviceOf := func(id string) *corev1.Service {
		return &corev1.Service{ObjectMeta: metav1.ObjectMeta{
			Namespace: "apps", Name: objects.Name(id), Labels: map[string]string{objects.LabelInstance: id}, Annotations: map[string]string{annotationService: "another"},
		}}
	}
	for name, c := range map[string]struct {
		rec   record
		known []any
		waits bool
	}{
		"it sleeps":                          {rec: asleep, known: []any{deploymentOf("one", 3, 0)}},
		"its Service is to be another":       {rec: asleep, known: []any{deploymentOf("one", 3, 0), serviceOf("one")}, waits: true},
		"its Service is no more":             {rec: asleep, known: []any{deploymentOf("one", 3, 0), serviceOf("two")}, waits: true},
		"its Deployment has a pod":           {rec: asleep, known: []any{deploymentOf("one", 3, 1)}, waits: true},
		"a pod is left":                      {rec: asleep, known: []any{deploymentOf("one", 3, 0), podOf("one", "left")}, waits: true},
		"another start runs":                 {rec: crashed, known: []any{deploymentOf("one", 3, 0)}, waits: true},
		"the record is an earlier leader's":  {rec: older, known: []any{deploymentOf("one", 3, 0)}, waits: true},
		"it has no Deployment that is known": {rec: asleep, waits: true},
	} {
		t.Run(name, func(t *testing.T) {
			written, applied := make(chan struct{}), make(chan struct{})
			apply := sync.OnceFunc(func() { close(applied) })
			early := false
			config := server(t, func(request string) {
				switch request {
				case "PUT configmaps":
					select {
					case <-applied:
						early = true
					case <-time.After(map[bool]time.Duration{true: 100 * time.Millisecond, false: 5 * time.Second}[c.waits]):
					}
					close(written)
				case "PATCH deployments":
					apply()
				}
			}, map[string]any{
				"PUT configmaps": *ownerOf(t, "one", asleep), "POST secrets": corev1.Secret{TypeMeta: meta("v1", "Secret")},
				"PATCH services": corev1.Service{TypeMeta: meta("v1", "Service")}, "POST deployments": *deploymentOf("one", 1, 0),
				"PATCH deployments": *deploymentOf("one", 4, 1), "DELETE pods": corev1.Pod{TypeMeta: meta("v1", "Pod")},
				"DELETE secrets": corev1.Secret{TypeMeta: meta("v1", "Secret")},
			})
			i, err := wakes(t, leader(t, config), c.rec, c.known...)
			if err != nil {
				t.Fatal(err)
			}
			<-written
			if early == c.waits {
				t.Errorf("the Deployment was applied before the record was written: %v", early)
			}
			if !i.rec.Start.runs() || i.rec.Start.Generation != 2 {
				t.Errorf("the record has %+v", i.rec.Start)
			}
		})
	}
}

// A start that the record turns out not to allow leaves a Deployment that is
// looked at, and so scaled to 0 again.
func TestAWakeThatMayNotBeIsTakenBack(t *testing.T) {
	asleep := record{Epoch: 1, Generation: 1}
	r := &requests{}
	config := server(t, r.see, map[string]any{
		"PUT configmaps":    metav1.Status{TypeMeta: meta("v1", "Status"), Status: metav1.StatusFailure, Code: http.StatusConflict, Reason: metav1.StatusReasonConflict},
		"GET configmaps":    *ownerOf(t, "one", record{Epoch: 1, Generation: 9}),
		"PATCH deployments": *deploymentOf("one", 4, 1),
	})
	own := leader(t, config)
	i, err := wakes(t, own, asleep, deploymentOf("one", 3, 0))
	if !errors.Is(err, launcher.ErrFenced) {
		t.Fatalf("%v, want ErrFenced", err)
	}
	if own.queue.Len() != 1 {
		t.Error("nobody looks at the instance")
	}
	if err := own.view.deployments.GetStore().Update(deploymentOf("one", 4, 1)); err != nil {
		t.Fatal(err)
	}
	r.take()
	if err := own.windUp(t.Context(), i); err != nil {
		t.Fatal(err)
	}
	if got := r.take(); !slices.Equal(got, []string{"PATCH deployments"}) {
		t.Errorf("that it is scaled to 0 is asked for by %q", got)
	}
}

// Who led before may have died at any step of a start.
func TestWhichStartsANewLeaderGoesOnWith(t *testing.T) {
	secret := metav1.Status{TypeMeta: meta("v1", "Status"), Status: metav1.StatusSuccess, Details: &metav1.StatusDetails{UID: "secret"}}
	none := metav1.Status{TypeMeta: meta("v1", "Status"), Status: metav1.StatusFailure, Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound}
	refused := metav1.Status{TypeMeta: meta("v1", "Status"), Status: metav1.StatusFailure, Code: http.StatusBadRequest, Reason: metav1.StatusReasonBadRequest}
	of := func(generation string, replicas int32) *appsv1.Deployment {
		d := deploymentOf("one", 1, replicas)
		d.Labels[objects.LabelGeneration] = generation
		return d
	}
	late := of("2", 1)
	late.Labels[objects.LabelEpoch] = "0"
	for _, c := range []struct {
		name       string
		pod        types.UID // that was let run
		deployment *appsv1.Deployment
		secret     metav1.Status
		goesOn     bool
	}{
		{"all is made", "", of("2", 1), secret, true},
		{"its pod was let run", "pod", nil, none, true},
		{"no Deployment is made", "", nil, secret, false},
		{"the Deployment is an earlier start's", "", of("1", 1), secret, false},
		{"the Deployment is of the same generation, of the leader before", "", late, secret, false},
		{"the Deployment is a skeleton", "", of("2", 0), secret, false},
		{"the Secret, made last, is not", "", of("2", 1), none, false},
		{"a webhook hides whether the Secret is", "", of("2", 1), refused, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec := record{Generation: 2, Start: &start{ID: "it", Generation: 2, Epoch: 1, Pod: c.pod}}
			own := leader(t, server(t, func(string) {}, map[string]any{"PUT configmaps": *ownerOf(t, "one", rec), "DELETE secrets": c.secret}))
			if c.deployment != nil {
				if err := own.view.deployments.GetStore().Add(c.deployment); err != nil {
					t.Fatal(err)
				}
			}
			i := own.instance("one")
			i.owner, i.rec = ownerOf(t, i.id, rec), rec
			if err := own.takeOver(t.Context(), i); err != nil {
				t.Fatal(err)
			}
			if i.rec.Epoch != own.epoch || i.rec.Start.runs() != c.goesOn {
				t.Errorf("the record is %+v", i.rec)
			}
		})
	}
}

// Informers tell of what was asked for after a while.
func TestNothingIsAskedForAgainBeforeItIsHeardOf(t *testing.T) {
	r := &requests{}
	own := leader(t, server(t, r.see, map[string]any{
		"PATCH deployments": *deploymentOf("one", 2, 0), "DELETE pods": corev1.Pod{TypeMeta: meta("v1", "Pod")},
	}))
	i := own.instance("one")
	deployments, pods := own.view.deployments.GetStore(), own.view.pods.GetStore()
	second := podOf("one", "second")
	second.UID = "another"
	gatedPod := podOf("one", "third")
	gatedPod.UID, gatedPod.Spec.SchedulingGates = "gated", []corev1.PodSchedulingGate{{Name: objects.Gate}}
	for _, step := range []struct {
		name string
		news func() error
		want []string
	}{
		{"it is to end", func() error {
			return errors.Join(deployments.Add(deploymentOf("one", 1, 1)), pods.Add(podOf("one", "first")))
		}, []string{"DELETE pods", "PATCH deployments"}},
		{"nothing was heard since", func() error { return nil }, nil},
		{"a pod came that was not let run", func() error { return pods.Add(gatedPod) }, nil},
		{"another pod came", func() error { return pods.Add(second) }, []string{"DELETE pods"}},
		{"it was heard", func() error {
			return errors.Join(deployments.Update(deploymentOf("one", 2, 0)), pods.Delete(second))
		}, nil},
		{"somebody scaled it up", func() error { return deployments.Update(deploymentOf("one", 3, 1)) }, []string{"PATCH deployments"}},
	} {
		if err := step.news(); err != nil {
			t.Fatal(err)
		}
		if err := own.windUp(t.Context(), i); err != nil {
			t.Fatal(err)
		}
		if got := r.take(); !slices.Equal(got, step.want) {
			t.Errorf("%s: %q, want %q", step.name, got, step.want)
		}
	}
	if len(i.ending) != 1 {
		t.Errorf("%d pods are remembered, one is there", len(i.ending))
	}
}

// A start begun again has the generation of the one that was called off, and so
// have the pods of that one.
func TestWhichPodIsLetRun(t *testing.T) {
	for _, c := range []struct {
		name  string
		epoch string // of who made it
		ends  bool
		runs  bool
	}{
		{"the start's own", "1", false, true},
		{"one that was asked to end", "1", true, false},
		{"one of another leader's start", "2", false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			rec := record{Epoch: 1, Generation: 2, Start: &start{ID: "it", Generation: 2, Epoch: 1, At: time.Now()}}
			r := &requests{}
			own := leader(t, server(t, r.see, map[string]any{"PUT configmaps": *ownerOf(t, "one", rec), "PATCH pods": *podOf("one", "pod")}))
			i := own.instance("one")
			i.owner, i.rec = ownerOf(t, i.id, rec), rec
			p := podOf("one", "pod")
			p.Labels[objects.LabelGeneration], p.Labels[objects.LabelEpoch] = "2", c.epoch
			p.Spec.SchedulingGates = []corev1.PodSchedulingGate{{Name: objects.Gate}}
			if c.ends {
				i.ends(p.UID)
			}
			if err := own.let(t.Context(), i, []*corev1.Pod{p}); err != nil {
				t.Fatal(err)
			}
			want := []string{"PATCH pods", "PUT configmaps"}
			if !c.runs {
				want = nil
			}
			if got := r.take(); !slices.Equal(got, want) {
				t.Errorf("asked for %q, want %q", got, want)
			}
		})
	}
}

// A visitor waits for the fact that an instance is ready; nobody for its note.
func TestTheNoteThatItIsReadyComesAfterTheFact(t *testing.T) {
	for name, resigns := range map[string]bool{"it leads on": false, "the lead is given up": true} {
		t.Run(name, func(t *testing.T) {
			noted := make(chan time.Time, 1)
			rec := record{Epoch: 1, Generation: 1, Start: &start{ID: "it", Generation: 1}}
			own := leader(t, server(t, func(string) { noted <- time.Now() }, map[string]any{"PUT configmaps": *ownerOf(t, "one", rec)}))
			i := own.instance("one")
			i.owner, i.rec = ownerOf(t, i.id, rec), rec
			i.prober = &prober{start: *rec.Start, endpoint: "192.0.2.1:80"}
			began := time.Now()
			own.becomesReady(i, i.prober)
			if i.fact.State != launcher.Ready {
				t.Errorf("the fact is %+v", i.fact)
			}
			if resigns {
				own.End(launcher.ErrNotLeading)
			}
			select {
			case at := <-noted:
				if after := at.Sub(began); !resigns && after < noteAfter {
					t.Errorf("it was noted after %s", after)
				}
			case <-time.After(5 * time.Second):
				t.Error("it was not noted")
			}
		})
	}
}

// A record that somebody has broken is as one that somebody has emptied: neither
// that instance nor the others wait for whoever mends it.
func TestABrokenRecordIsWrittenAnew(t *testing.T) {
	for name, text := range map[string]string{
		"emptied": "", "no JSON": "garbage{", "an epoch that is no number": `{"epoch":"one"}`, "a start that is none, and a later epoch": `{"epoch":7,"start":[]}`,
	} {
		t.Run(name, func(t *testing.T) {
			asked := &requests{}
			own := leader(t, server(t, asked.see, map[string]any{"PUT configmaps": ownerOf(t, "one", record{Epoch: 1})}))
			broken := ownerOf(t, "one", record{})
			broken.Labels, broken.Data[recordKey] = map[string]string{objects.LabelInstance: "one"}, text
			if err := own.view.owners.GetStore().Add(broken); err != nil {
				t.Fatal(err)
			}
			i := newInstance("one")
			if err := own.takeOver(t.Context(), i); err != nil {
				t.Fatal(err)
			}
			if all := asked.take(); !slices.Equal(all, []string{"PUT configmaps"}) || i.rec.Epoch != 1 || i.rec.Start != nil {
				t.Errorf("it asked for %v, and the record is %+v", all, i.rec)
			}
		})
	}
}
