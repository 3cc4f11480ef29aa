package objects_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// somebody is one end of a connection: a pod, or an address outside.
type somebody struct {
	namespace string
	labels    map[string]string
	ports     map[string]int // that the pod has given names
	address   string
}

var (
	slipwayPod = somebody{namespace: "slipway", labels: map[string]string{"app.kubernetes.io/name": "slipway"}, address: "10.1.0.5"}
	neighbour  = somebody{namespace: "slipway", labels: map[string]string{"app.kubernetes.io/name": "etcd"}, address: "10.1.0.6"}
	app        = somebody{namespace: "apps", labels: map[string]string{objects.LabelInstance: "one"}, ports: map[string]int{"app": 8080}, address: "10.1.1.1"}
	otherApp   = somebody{namespace: "apps", labels: map[string]string{objects.LabelInstance: "two"}, ports: map[string]int{"app": 80}, address: "10.1.1.2"}
	bystander  = somebody{namespace: "apps", labels: map[string]string{"app": "web"}, ports: map[string]int{"app": 80}, address: "10.1.1.3"}
	dns        = somebody{namespace: "kube-system", labels: map[string]string{"k8s-app": "kube-dns"}, address: "10.1.0.2"}
	proxy      = somebody{namespace: "kube-system", labels: map[string]string{"k8s-app": "kube-proxy"}, address: "10.1.0.3"}
)

func at(address string) somebody { return somebody{address: address} }

// call is a connection that somebody begins.
type call struct {
	from, to somebody
	port     int
	protocol corev1.Protocol
}

// inCluster is where Slipway runs in the cluster, and the API server has a
// public address.
var inCluster = objects.Network{
	From: []objects.Peer{{Namespace: "slipway", Labels: map[string]string{"app.kubernetes.io/name": "slipway"}}},
	To: []objects.Reach{{
		Peer: objects.Peer{Namespace: "slipway", Labels: map[string]string{"app.kubernetes.io/name": "slipway"}}, Port: 8443,
	}},
	Allow: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16"), netip.MustParsePrefix("169.0.0.0/8")},
	Deny:  []netip.Prefix{netip.MustParsePrefix("203.0.113.7/32"), netip.MustParsePrefix("10.9.9.0/24")},
}

// outside is where Slipway runs on machines beside the cluster.
var outside = objects.Network{
	From: []objects.Peer{{Network: netip.MustParsePrefix("192.0.2.16/28")}},
	DNS:  []objects.Peer{{Network: netip.MustParsePrefix("169.254.20.10/32")}},
	To:   []objects.Reach{{Peer: objects.Peer{Network: netip.MustParsePrefix("10.0.5.0/24")}, Port: 443}},
}

// wide lets instances reach a port wherever it is.
var wide = objects.Network{To: []objects.Reach{
	{Peer: objects.Peer{Network: netip.MustParsePrefix("0.0.0.0/0")}, Port: 80},
	{Peer: objects.Peer{Network: netip.MustParsePrefix("0.0.0.0/0")}, Port: 8443},
}}

func TestWhoReachesWhom(t *testing.T) {
	for _, c := range []struct {
		name    string
		network objects.Network
		call
		want bool
	}{
		{"an edge reaches the app", inCluster, call{slipwayPod, app, 8080, "TCP"}, true},
		{"an edge reaches an app with another port", inCluster, call{slipwayPod, otherApp, 80, "TCP"}, true},
		{"an edge reaches no other port of it", inCluster, call{slipwayPod, app, 9000, "TCP"}, false},
		{"nor by UDP", inCluster, call{slipwayPod, app, 8080, "UDP"}, false},
		{"who lives beside the edges does not", inCluster, call{neighbour, app, 8080, "TCP"}, false},
		{"nor who has their labels elsewhere", inCluster, call{somebody{namespace: "other", labels: slipwayPod.labels, address: "10.1.7.7"}, app, 8080, "TCP"}, false},
		{"nor who lives beside the instances", inCluster, call{bystander, app, 8080, "TCP"}, false},
		{"nor who is outside", inCluster, call{at("198.51.100.1"), app, 8080, "TCP"}, false},
		{"an edge outside reaches the app", outside, call{at("192.0.2.17"), app, 8080, "TCP"}, true},
		{"its neighbour does not", outside, call{at("192.0.2.33"), app, 8080, "TCP"}, false},
		{"nor does a pod", outside, call{slipwayPod, app, 8080, "TCP"}, false},
		{"without settings any pod reaches the app", objects.Network{}, call{neighbour, app, 8080, "TCP"}, true},
		{"no other port of it", objects.Network{}, call{neighbour, app, 9000, "TCP"}, false},
		{"who is outside does not", objects.Network{}, call{at("198.51.100.1"), app, 8080, "TCP"}, false},
		{"nor does another instance", objects.Network{}, call{otherApp, app, 8080, "TCP"}, false},
		{"nor one of another namespace", objects.Network{}, call{somebody{namespace: "other", labels: app.labels, address: "10.1.9.9"}, app, 8080, "TCP"}, false},
		{"and the app reaches no pod", objects.Network{}, call{app, neighbour, 2379, "TCP"}, false},
		{"but the internet", objects.Network{}, call{app, at("198.51.100.1"), 443, "TCP"}, true},
		{"an instance reaches no other", inCluster, call{app, otherApp, 80, "TCP"}, false},
		{"nor where edges are outside", outside, call{app, otherApp, 80, "TCP"}, false},
		{"nor who lives beside it", inCluster, call{app, bystander, 80, "TCP"}, false},

		{"the internet", inCluster, call{app, at("198.51.100.1"), 443, "TCP"}, true},
		{"the internet by UDP", inCluster, call{app, at("198.51.100.1"), 443, "UDP"}, true},
		{"the internet by IPv6", inCluster, call{app, at("2001:db8::1"), 443, "TCP"}, true},
		{"the cluster's name servers", inCluster, call{app, dns, 53, "UDP"}, true},
		{"by TCP", inCluster, call{app, dns, 53, "TCP"}, true},
		{"the port of OpenShift's", inCluster, call{app, dns, 5353, "UDP"}, true},
		{"nothing else of theirs", inCluster, call{app, dns, 9153, "TCP"}, false},
		{"nothing else of kube-system", inCluster, call{app, proxy, 53, "UDP"}, false},
		{"the name server of the node", outside, call{app, at("169.254.20.10"), 53, "UDP"}, true},
		{"nothing else of the node", outside, call{app, at("169.254.20.10"), 80, "TCP"}, false},
		{"the control plane's port of bundles", inCluster, call{app, slipwayPod, 8443, "TCP"}, true},
		{"no other of its ports", inCluster, call{app, slipwayPod, 2019, "TCP"}, false},
		{"the control plane outside", outside, call{app, at("10.0.5.9"), 443, "TCP"}, true},
		{"no other of its ports outside", outside, call{app, at("10.0.5.9"), 2379, "TCP"}, false},
		{"etcd beside it", inCluster, call{app, neighbour, 2379, "TCP"}, false},
		{"metadata", inCluster, call{app, at("169.254.169.254"), 80, "TCP"}, false},
		{"metadata by IPv6", inCluster, call{app, at("fd00:ec2::254"), 80, "TCP"}, false},
		{"metadata by NAT64", inCluster, call{app, at("64:ff9b::a9fe:a9fe"), 80, "TCP"}, false},
		{"a node by NAT64", inCluster, call{app, at("64:ff9b::192.168.4.4"), 10250, "TCP"}, false},
		{"the API server by NAT64", inCluster, call{app, at("64:ff9b::203.0.113.7"), 443, "TCP"}, false},
		{"its neighbour by NAT64", inCluster, call{app, at("64:ff9b::203.0.113.8"), 443, "TCP"}, true},
		{"Azure's by NAT64", inCluster, call{app, at("64:ff9b::168.63.129.16"), 80, "TCP"}, false},
		{"a node by a translator of its own", inCluster, call{app, at("64:ff9b:1::192.168.4.4"), 10250, "TCP"}, false},
		{"pods in the network of benchmarks", inCluster, call{app, at("198.19.3.3"), 80, "TCP"}, false},
		{"pods in class E", inCluster, call{app, at("240.1.2.3"), 80, "TCP"}, false},
		{"what is reached beside metadata", wide, call{app, at("198.51.100.1"), 8443, "TCP"}, true},
		{"metadata in a network that is reached", wide, call{app, at("169.254.169.254"), 80, "TCP"}, false},
		{"the node in it", wide, call{app, at("127.0.0.1"), 80, "TCP"}, false},
		{"Azure's", inCluster, call{app, at("168.63.129.16"), 80, "TCP"}, false},
		{"Alibaba's", inCluster, call{app, at("100.100.100.200"), 80, "TCP"}, false},
		{"Oracle's", inCluster, call{app, at("192.0.0.192"), 80, "TCP"}, false},
		{"the node's link", inCluster, call{app, at("fe80::1"), 80, "TCP"}, false},
		{"the API server's public address", inCluster, call{app, at("203.0.113.7"), 443, "TCP"}, false},
		{"its neighbour", inCluster, call{app, at("203.0.113.8"), 443, "TCP"}, true},
		{"the API server's Service", inCluster, call{app, at("10.96.0.1"), 443, "TCP"}, false},
		{"nodes", inCluster, call{app, at("192.168.4.4"), 10250, "TCP"}, false},
		{"nodes by IPv6", inCluster, call{app, at("fd12::4"), 10250, "TCP"}, false},
		{"an allowed database", inCluster, call{app, at("10.9.1.1"), 5432, "TCP"}, true},
		{"what is denied beside it", inCluster, call{app, at("10.9.9.1"), 5432, "TCP"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			policy, err := objects.Policy(objects.Settings{Namespace: "apps", Network: &c.network})
			if err != nil {
				t.Fatal(err)
			}
			if got := allowed(t, policy, c.call); got != c.want {
				t.Errorf("allowed: %v, want %v", got, c.want)
			}
		})
	}
}

func TestExceptionsLieInTheirNetwork(t *testing.T) {
	for _, n := range []objects.Network{inCluster, outside, wide} {
		policy, err := objects.Policy(objects.Settings{Namespace: "apps", Network: &n})
		if err != nil {
			t.Fatal(err)
		}
		for _, rule := range policy.Spec.Egress {
			for _, to := range rule.To {
				if to.IPBlock == nil {
					continue
				}
				all := netip.MustParsePrefix(to.IPBlock.CIDR)
				for _, text := range to.IPBlock.Except {
					if except := netip.MustParsePrefix(text); !all.Contains(except.Addr()) || except.Bits() <= all.Bits() {
						t.Errorf("Kubernetes refuses the exception %s of %s", except, all)
					}
				}
			}
		}
	}
}

func TestNetworksThatCannotBe(t *testing.T) {
	from := []objects.Peer{{Network: netip.MustParsePrefix("192.0.2.16/28")}}
	for _, c := range []struct {
		name    string
		network objects.Network
		want    string
	}{
		{"all pods of the namespace come in", objects.Network{From: []objects.Peer{{Namespace: "apps"}}}, "instances would reach each other"},
		{"a peer that says nothing", objects.Network{From: from, DNS: []objects.Peer{{}}}, "instances would reach each other"},
		{"an address with a length", objects.Network{Deny: []netip.Prefix{netip.MustParsePrefix("10.0.0.5/8")}}, "10.0.0.5/8 is not the first"},
		{"IPv4 in IPv6", objects.Network{From: []objects.Peer{{Network: netip.MustParsePrefix("::ffff:10.0.0.0/104")}}}, "is not the first"},
		{"no network", objects.Network{Allow: []netip.Prefix{{}}}, "is not the first"},
		{"no namespace", objects.Network{From: []objects.Peer{{Namespace: "Upper"}}}, `"Upper" is not the name of a namespace`},
		{"no label", objects.Network{From: []objects.Peer{{Namespace: "slipway", Labels: map[string]string{"a b": "c"}}}}, "label a b=c"},
		{"no port", objects.Network{From: from, To: []objects.Reach{{Peer: objects.Peer{Namespace: "slipway"}}}}, "port 0"},
		{"metadata is reached", objects.Network{From: from, To: []objects.Reach{{Peer: objects.Peer{Network: netip.MustParsePrefix("169.254.169.254/32")}, Port: 80}}}, "169.254.169.254/32 is never given"},
		{"metadata is allowed", objects.Network{From: from, Allow: []netip.Prefix{netip.MustParsePrefix("169.254.169.0/24")}}, "169.254.169.0/24 is allowed, and lies"},
		{"allowed and denied", objects.Network{From: from, Allow: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}, Deny: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}, "10.9.0.0/16 is allowed, and lies"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := objects.Policy(objects.Settings{Namespace: "apps", Network: &c.network})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
	if policy, err := objects.Policy(objects.Settings{Namespace: "apps"}); policy != nil || err != nil {
		t.Errorf("without settings there is a policy %v, error %v", policy, err)
	}
}

// allowed says what a network of this one policy lets through.
func allowed(t *testing.T, p *networkingv1.NetworkPolicy, c call) bool {
	t.Helper()
	if selects(t, p, c.to) && !slices.ContainsFunc(p.Spec.Ingress, func(r networkingv1.NetworkPolicyIngressRule) bool {
		return anyPeer(t, r.From, c.from, p.Namespace) && anyPort(r.Ports, c)
	}) {
		return false
	}
	return !selects(t, p, c.from) || slices.ContainsFunc(p.Spec.Egress, func(r networkingv1.NetworkPolicyEgressRule) bool {
		return anyPeer(t, r.To, c.to, p.Namespace) && anyPort(r.Ports, c)
	})
}

func selects(t *testing.T, p *networkingv1.NetworkPolicy, who somebody) bool {
	return who.namespace == p.Namespace && matches(t, &p.Spec.PodSelector, who.labels)
}

func matches(t *testing.T, selector *metav1.LabelSelector, of map[string]string) bool {
	t.Helper()
	s, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		t.Fatal(err)
	}
	return s.Matches(labels.Set(of))
}

// anyPeer is true where there is none: that means everybody.
func anyPeer(t *testing.T, list []networkingv1.NetworkPolicyPeer, who somebody, namespace string) bool {
	t.Helper()
	return len(list) == 0 || slices.ContainsFunc(list, func(p networkingv1.NetworkPolicyPeer) bool {
		switch {
		case p.IPBlock != nil:
			// Networks may treat pods by their addresses, too.
			ip := netip.MustParseAddr(who.address)
			return netip.MustParsePrefix(p.IPBlock.CIDR).Contains(ip) && !slices.ContainsFunc(p.IPBlock.Except, func(text string) bool {
				return netip.MustParsePrefix(text).Contains(ip)
			})
		case who.namespace == "":
			return false
		case p.NamespaceSelector == nil && who.namespace != namespace,
			p.NamespaceSelector != nil && !matches(t, p.NamespaceSelector, map[string]string{corev1.LabelMetadataName: who.namespace}):
			return false
		}
		return p.PodSelector == nil || matches(t, p.PodSelector, who.labels)
	})
}

func anyPort(list []networkingv1.NetworkPolicyPort, c call) bool {
	return len(list) == 0 || slices.ContainsFunc(list, func(p networkingv1.NetworkPolicyPort) bool {
		if p.Protocol != nil && *p.Protocol != c.protocol {
			return false
		}
		switch {
		case p.Port == nil:
			return true
		case p.Port.Type == intstr.String:
			number, named := c.to.ports[p.Port.StrVal]
			return named && number == c.port
		}
		return p.Port.IntValue() == c.port
	})
}
