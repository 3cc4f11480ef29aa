package clustertest

import (
	"context"
	"net"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// Config is the head of a test that needs a cluster (slipwaytest.NeedsCluster):
// the way to it, as who may do everything, without rate limits of the client's.
func Config(t testing.TB) *rest.Config {
	t.Helper()
	config, err := clientcmd.BuildConfigFromFlags("", slipwaytest.NeedsCluster(t))
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	return config
}

// Namespace makes a namespace that takes no pod below the level restricted, as
// the chart's does. It goes with the test, and all that is in it. Its name begins
// with the prefix.
func Namespace(t testing.TB, core corev1client.NamespacesGetter, prefix string) (name string) {
	t.Helper()
	made, err := core.Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		GenerateName: prefix, Labels: map[string]string{"pod-security.kubernetes.io/enforce": "restricted"},
	}}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := core.Namespaces().Delete(context.Background(), made.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	return made.Name
}

// NodeAddress is an address of the node that this process may listen at too: pods
// reach it there.
func NodeAddress(t testing.TB, core corev1client.NodesGetter) string {
	t.Helper()
	nodes, err := core.Nodes().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, node := range nodes.Items {
		for _, a := range node.Status.Addresses {
			if a.Type != corev1.NodeInternalIP {
				continue
			}
			if l, err := net.Listen("tcp", net.JoinHostPort(a.Address, "0")); err == nil {
				l.Close()
				return a.Address
			}
		}
	}
	t.Fatal("no node has an address of this network: run it with test/cluster/run")
	return ""
}
