package kubernetes

import (
	"context"
	"fmt"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// view is what a leader sees of the namespace: informers, which list once and
// are told of every change from there on. What they keep is cut to what is
// looked at, so that an instance costs a few KiB.
type view struct {
	owners      cache.SharedIndexInformer // and the ConfigMap of the leader
	deployments cache.SharedIndexInformer
	services    cache.SharedIndexInformer
	pods        cache.SharedIndexInformer
	claims      cache.SharedIndexInformer
	events      cache.SharedIndexInformer
}

// The indexes: objects by their instance, events by the UID that they are of.
const (
	byInstance = "instance"
	byObject   = "object"
)

// newView makes the informers. changed is told the instance of whatever changes,
// gone an owner that is no more, left a pod that is no more, led the epoch of who
// leads.
func newView(a *api, changed func(instanceID string), gone func(instanceID string, uid types.UID), left func(*corev1.Pod), led func(epoch int64)) (*view, error) {
	managed := labels.SelectorFromSet(labels.Set{objects.LabelManagedBy: objects.Manager})
	core, apps := a.core.RESTClient(), a.apps.RESTClient()
	v := &view{
		owners:      informer(core, a.namespace, "configmaps", &corev1.ConfigMap{}, managed),
		deployments: informer(apps, a.namespace, "deployments", &appsv1.Deployment{}, objects.Selector()),
		services:    informer(core, a.namespace, "services", &corev1.Service{}, objects.Selector()),
		pods:        informer(core, a.namespace, "pods", &corev1.Pod{}, objects.Selector()),
		claims:      informer(core, a.namespace, "persistentvolumeclaims", &corev1.PersistentVolumeClaim{}, objects.Selector()),
		events:      informer(core, a.namespace, "events", &corev1.Event{}, labels.Everything()),
	}
	tell := func(o any) {
		if c, ok := o.(*corev1.ConfigMap); ok && c.Name == LeaderName {
			led(epochOf(c))
			return
		}
		if id := instanceOf(o); id != "" {
			changed(id)
		}
	}
	ended := func(o any) {
		if last, ok := o.(cache.DeletedFinalStateUnknown); ok {
			o = last.Obj
		}
		id := instanceOf(o)
		if id == "" {
			return
		}
		switch o := o.(type) {
		case *corev1.ConfigMap:
			gone(id, o.UID)
		case *corev1.Pod:
			left(o)
		}
		changed(id)
	}
	handler := cache.ResourceEventHandlerFuncs{AddFunc: tell, UpdateFunc: func(_, o any) { tell(o) }, DeleteFunc: ended}
	for _, i := range []cache.SharedIndexInformer{v.owners, v.deployments, v.pods, v.claims} {
		if _, err := i.AddEventHandler(handler); err != nil {
			return nil, err
		}
	}
	about := func(o any) {
		e := o.(*corev1.Event)
		for _, i := range []cache.SharedIndexInformer{v.pods, v.claims} {
			if o, ok, _ := i.GetStore().GetByKey(e.Namespace + "/" + e.InvolvedObject.Name); ok {
				tell(o)
			}
		}
	}
	_, err := v.events.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: about, UpdateFunc: func(_, o any) { about(o) }})
	return v, err
}

func informer(client cache.Getter, namespace, resource string, of runtime.Object, selector fmt.Stringer) cache.SharedIndexInformer {
	lw := cache.NewFilteredListWatchFromClient(client, resource, namespace, func(o *metav1.ListOptions) {
		switch selector.(type) {
		case fields.Selector:
			o.FieldSelector = selector.String()
		default:
			o.LabelSelector = selector.String()
		}
		if o.ResourceVersion == "0" {
			o.ResourceVersion = "" // what the API server remembers may be older than the last leader's writes
		}
	})
	list, begin := lw.ListWithContextFunc, lw.WatchFuncWithContext
	lw.ListWithContextFunc = func(ctx context.Context, o metav1.ListOptions) (all runtime.Object, err error) {
		err = persist(ctx, func() (err error) {
			all, err = list(ctx, o)
			return err
		})
		return all, err
	}
	lw.WatchFuncWithContext = func(ctx context.Context, o metav1.ListOptions) (w watch.Interface, err error) {
		err = persist(ctx, func() (err error) {
			w, err = begin(ctx, o)
			return err
		})
		return w, err
	}
	i := cache.NewSharedIndexInformer(lw, of, 0, cache.Indexers{
		byInstance: func(o any) ([]string, error) { return one(instanceOf(o)), nil },
		byObject: func(o any) ([]string, error) {
			if e, ok := o.(*corev1.Event); ok {
				return one(string(e.InvolvedObject.UID)), nil
			}
			return nil, nil
		},
	})
	if err := i.SetTransform(trim); err != nil {
		panic(err) // it has not been started
	}
	return i
}

func one(key string) []string {
	if key == "" {
		return nil
	}
	return []string{key}
}

func instanceOf(o any) string {
	if m, ok := o.(metav1.Object); ok {
		return m.GetLabels()[objects.LabelInstance]
	}
	return ""
}

// trim cuts an object to what is looked at.
func trim(o any) (any, error) {
	m, ok := o.(metav1.Object)
	if !ok {
		return o, nil
	}
	m.SetManagedFields(nil)
	switch o := o.(type) {
	case *corev1.Pod:
		o.Annotations = nil
		for _, all := range [][]corev1.Container{o.Spec.Containers, o.Spec.InitContainers} {
			for i := range all {
				all[i].Env, all[i].EnvFrom, all[i].VolumeMounts, all[i].Command, all[i].Args = nil, nil, nil, nil, nil
			}
		}
		o.Spec.Affinity, o.Spec.Tolerations = nil, nil
	case *appsv1.Deployment:
		o.Annotations = nil
		o.Spec = appsv1.DeploymentSpec{Replicas: o.Spec.Replicas}
	case *corev1.Service:
		o.Annotations = map[string]string{annotationService: o.Annotations[annotationService]}
		o.Spec = corev1.ServiceSpec{}
	case *corev1.Event:
		*o = corev1.Event{
			ObjectMeta: metav1.ObjectMeta{
				Name: o.Name, Namespace: o.Namespace, UID: o.UID, ResourceVersion: o.ResourceVersion, CreationTimestamp: o.CreationTimestamp,
			},
			InvolvedObject: corev1.ObjectReference{Kind: o.InvolvedObject.Kind, Name: o.InvolvedObject.Name, UID: o.InvolvedObject.UID},
			Reason:         o.Reason, Message: o.Message[:min(len(o.Message), maxMessage)], Type: o.Type, Series: o.Series,
			FirstTimestamp: o.FirstTimestamp, LastTimestamp: o.LastTimestamp, EventTime: o.EventTime, Count: o.Count,
		}
	}
	return o, nil
}

// maxMessage bounds what is kept of an event.
const maxMessage = 1 << 10

// run runs the informers until ctx ends.
func (v *view) run(ctx context.Context) {
	var all sync.WaitGroup
	for _, i := range v.all() {
		all.Go(func() { i.RunWithContext(ctx) })
	}
	all.Wait()
}

func (v *view) all() []cache.SharedIndexInformer {
	return []cache.SharedIndexInformer{v.owners, v.deployments, v.services, v.pods, v.claims, v.events}
}

// sync waits for the lists.
func (v *view) sync(ctx context.Context) error {
	for _, i := range v.all() {
		if !cache.WaitForCacheSync(ctx.Done(), i.HasSynced) {
			return fmt.Errorf("list the namespace: %w", context.Cause(ctx))
		}
	}
	return nil
}

func (v *view) owner(id string) *corev1.ConfigMap {
	return only[*corev1.ConfigMap](v.owners, byInstance, id)
}

func (v *view) deployment(id string) *appsv1.Deployment {
	return only[*appsv1.Deployment](v.deployments, byInstance, id)
}

func (v *view) service(id string) *corev1.Service {
	return only[*corev1.Service](v.services, byInstance, id)
}

func (v *view) pod(namespace, name string) *corev1.Pod {
	o, ok, _ := v.pods.GetStore().GetByKey(namespace + "/" + name)
	if !ok {
		return nil
	}
	return o.(*corev1.Pod)
}

func (v *view) podsOf(id string) []*corev1.Pod {
	return found[*corev1.Pod](v.pods, byInstance, id)
}

func (v *view) claimsOf(id string) []*corev1.PersistentVolumeClaim {
	return found[*corev1.PersistentVolumeClaim](v.claims, byInstance, id)
}

// eventsOf are the events of these objects.
func (v *view) eventsOf(uids ...types.UID) (all []*corev1.Event) {
	for _, uid := range uids {
		all = append(all, found[*corev1.Event](v.events, byObject, string(uid))...)
	}
	return all
}

func found[T any](i cache.SharedIndexInformer, index, key string) (all []T) {
	items, err := i.GetIndexer().ByIndex(index, key)
	if err != nil {
		panic(err) // the index is a constant
	}
	for _, item := range items {
		all = append(all, item.(T))
	}
	return all
}

func only[T any](i cache.SharedIndexInformer, index, key string) (none T) {
	for _, item := range found[T](i, index, key) {
		return item
	}
	return none
}

// gated reports whether a pod may not run yet.
func gated(p *corev1.Pod) bool {
	for _, g := range p.Spec.SchedulingGates {
		if g.Name == objects.Gate {
			return true
		}
	}
	return false
}

// dead reports whether nothing of a pod runs or will run any more.
func dead(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// endSlack is how much longer than its grace a pod may run that its node has to
// learn of the deletion of: the node's watch, and the kill.
const endSlack = 5 * time.Second

// lingers is until when a pod that is no more in the cluster, as it was last, may
// still run: one that was deleted by force (a grace of 0) is forgotten before its
// node has ended it. Zero: it has ended, as those that end in order say last.
func lingers(p *corev1.Pod, now time.Time) (until time.Time) {
	if p.Spec.NodeName == "" || dead(p) {
		return until
	}
	grace := time.Duration(corev1.DefaultTerminationGracePeriodSeconds) * time.Second
	if s := p.Spec.TerminationGracePeriodSeconds; s != nil {
		grace = time.Duration(*s) * time.Second
	}
	return now.Add(grace + endSlack)
}
