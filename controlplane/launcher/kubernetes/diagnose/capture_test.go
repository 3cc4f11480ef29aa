package diagnose_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/diagnose"
)

// cluster is a real one, beside a registry.
type cluster struct {
	*kubernetes.Clientset
	images images
	node   string
}

func connect(t *testing.T) *cluster {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS, config.Burst = 200, 400
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		t.Fatal(err)
	}
	nodes, err := client.CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes.Items {
		for _, a := range n.Status.Addresses {
			if a.Type == corev1.NodeInternalIP && !n.Spec.Unschedulable {
				return &cluster{client, serveImages(t, a.Address), n.Name}
			}
		}
	}
	t.Fatal("the cluster has no node")
	return nil
}

// stable takes what differs from one capture to the next out of what names it.
func (c *cluster) stable(data []byte) []byte {
	for _, r := range []struct{ this, then string }{
		{regexp.QuoteMeta(c.images.host), "127.0.0.1:5000"}, {regexp.QuoteMeta(c.images.untrusted), "192.0.2.1:5000"},
		{`/[a-z/._-]*/containerd/root/`, "/var/lib/containerd/"}, {`[0-9.]+:53\b`, "192.0.2.53:53"},
		{`"(podIP|hostIP|ip)":"[0-9a-f.:]+"`, `"$1":"192.0.2.1"`},
	} {
		data = regexp.MustCompile(r.this).ReplaceAll(data, []byte(r.then))
	}
	return data
}

// frame is one change of an object, as a watch tells it.
type frame struct {
	Type   watch.EventType `json:"type"`
	Object json.RawMessage `json:"object"`
}

// recording is what a cluster has told of a namespace.
type recording struct {
	mu     sync.Mutex
	frames []frame
	now    scene
}

func (r *recording) add(t watch.EventType, object runtime.Object) error {
	if t != watch.Added && t != watch.Modified && t != watch.Deleted {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	object = object.DeepCopyObject()
	kinds, _, err := scheme.Scheme.ObjectKinds(object)
	if err != nil {
		return err
	}
	object.GetObjectKind().SetGroupVersionKind(kinds[0])
	if meta, ok := object.(metav1.Object); ok {
		meta.SetManagedFields(nil)
	}
	if pod, ok := object.(*corev1.Pod); ok {
		pod.Status.ObservedGeneration = 0
	}
	data, err := json.Marshal(object)
	if err != nil {
		return err
	}
	r.frames = append(r.frames, frame{t, data})
	r.now.apply(t, object)
	return nil
}

func (r *recording) verdict() diagnose.Verdict {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.now.verdict()
}

func (r *recording) write(path string, stable func([]byte) []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var lines bytes.Buffer
	for _, f := range r.frames {
		line, err := json.Marshal(f)
		if err != nil {
			return err
		}
		lines.Write(append(line, '\n'))
	}
	return os.WriteFile(path, stable(lines.Bytes()), 0o600)
}

// record follows a namespace until the test ends.
func (c *cluster) record(t *testing.T, namespace string) *recording {
	t.Helper()
	r := &recording{}
	ctx, cancel := context.WithCancel(context.Background())
	var done sync.WaitGroup
	t.Cleanup(func() { cancel(); done.Wait() })
	for _, begin := range []func(context.Context, metav1.ListOptions) (watch.Interface, error){
		c.AppsV1().Deployments(namespace).Watch, c.CoreV1().Pods(namespace).Watch,
		c.CoreV1().PersistentVolumeClaims(namespace).Watch, c.CoreV1().Events(namespace).Watch,
	} {
		w, err := begin(ctx, metav1.ListOptions{})
		if err != nil {
			t.Fatal(err)
		}
		done.Go(func() {
			defer w.Stop()
			for e := range w.ResultChan() {
				if err := r.add(e.Type, e.Object); err != nil {
					t.Error(err)
				}
			}
		})
	}
	return r
}

// space makes a namespace of a cause's own, and removes it with all in it.
func (c *cluster) space(t *testing.T, name string, labels map[string]string) string {
	t.Helper()
	spaces := c.CoreV1().Namespaces()
	_, err := spaces.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		now := int64(0)
		pods := c.CoreV1().Pods(name)
		err := errors.Join(
			spaces.Delete(context.Background(), name, metav1.DeleteOptions{}),
			pods.DeleteCollection(context.Background(), metav1.DeleteOptions{GracePeriodSeconds: &now}, metav1.ListOptions{}))
		if err != nil && !apierrors.IsNotFound(err) {
			t.Error(err)
		}
	})
	return name
}

// TestCapture records every cause of causes on the cluster that KUBECONFIG
// names, into testdata: go test -run TestCapture -update. The test runs on the
// machine of the cluster's only node.
func TestCapture(t *testing.T) {
	if !*update || os.Getenv("KUBECONFIG") == "" {
		t.Skip("it records anew what a real cluster says: run with -update and KUBECONFIG")
	}
	c := connect(t)
	for _, cause := range causes {
		if cause.provoke == nil {
			continue
		}
		t.Run(cause.name, func(t *testing.T) {
			t.Parallel()
			namespace := c.space(t, "diagnose-"+strings.ReplaceAll(cause.name, " ", "-"), cause.labels)
			r := c.record(t, namespace)
			cause.provoke(&scenario{T: t, cluster: c, space: namespace, seen: r})
			limit := time.Now().Add(2 * time.Minute)
			for problem := "untold"; problem != ""; {
				if problem = cause.want.differs(r.verdict()); problem != "" && time.Now().After(limit) {
					t.Error(problem)
					break
				}
				time.Sleep(50 * time.Millisecond)
			}
			time.Sleep(2 * time.Second) // for what comes after
			if err := r.write(captured(cause.name), c.stable); err != nil {
				t.Error(err)
			}
		})
	}
}

func captured(cause string) string {
	return filepath.Join("testdata", "captured", strings.ReplaceAll(cause, " ", "-")+".jsonl")
}
