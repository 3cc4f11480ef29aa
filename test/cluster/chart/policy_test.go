package chart

import (
	"encoding/json"
	"slices"
	"testing"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// shown reads what kubectl shows.
func shown(t *testing.T, into any, args ...string) {
	t.Helper()
	if err := json.Unmarshal([]byte(kubectl(t, append(args, "-o", "json")...)), into); err != nil {
		t.Fatal(err)
	}
}

// wantsBundlesPass wants that the policies that are there let the pod of an
// instance reach the control plane where it fetches bundles, and not where edges
// do. The network of these tests enforces none: so it is they that are looked at.
func (r *release) wantsBundlesPass(id string) {
	r.t.Helper()
	part := "control-plane"
	if r.values["profile"] != "production" {
		part = "trial"
	}
	var instances, planes corev1.PodList
	shown(r.t, &instances, "get", "pods", "--namespace", r.namespace+"-instances", "-l", "slipway/instance="+id)
	shown(r.t, &planes, "get", "pods", "--namespace", r.namespace, "-l", "app.kubernetes.io/component="+part)
	if len(instances.Items) != 1 || len(planes.Items) != 1 {
		r.t.Fatalf("there are %d pods of the instance and %d control planes, want one each", len(instances.Items), len(planes.Items))
	}
	seen := map[string]bool{}
	for _, port := range planes.Items[0].Spec.Containers[0].Ports {
		seen[port.Name] = true
		out := passes(r.t, networkingv1.PolicyTypeEgress, instances.Items[0], planes.Items[0], port)
		in := passes(r.t, networkingv1.PolicyTypeIngress, planes.Items[0], instances.Items[0], port)
		if want := port.Name == "http"; out != want || port.Name != "metrics" && port.Name != "health" && in != want {
			r.t.Errorf("port %s of the control plane: an instance may ask it: %t, it may answer one: %t; want both %t", port.Name, out, in, want)
		}
	}
	if !seen["http"] || part == "control-plane" && !seen["control"] {
		r.t.Errorf("the control plane has the ports %v", seen)
	}
}

// passes reports whether the policies of a pod let it have connections to
// another's port, or from another to its own port, as Kubernetes documents it:
// one rule of one policy is enough, and where no policy is about it all is let.
func passes(t *testing.T, direction networkingv1.PolicyType, of, peer corev1.Pod, port corev1.ContainerPort) bool {
	t.Helper()
	var policies networkingv1.NetworkPolicyList
	shown(t, &policies, "get", "networkpolicies", "--namespace", of.Namespace)
	bound := false
	for _, p := range policies.Items {
		if !slices.Contains(p.Spec.PolicyTypes, direction) || !selects(t, &p.Spec.PodSelector, of.Labels) {
			continue
		}
		bound = true
		if direction == networkingv1.PolicyTypeEgress {
			for _, rule := range p.Spec.Egress {
				if at(rule.Ports, port) && is(t, rule.To, p.Namespace, peer) {
					return true
				}
			}
			continue
		}
		for _, rule := range p.Spec.Ingress {
			if at(rule.Ports, port) && is(t, rule.From, p.Namespace, peer) {
				return true
			}
		}
	}
	return !bound
}

// at reports whether a port is among those of a rule.
func at(ports []networkingv1.NetworkPolicyPort, port corev1.ContainerPort) bool {
	return len(ports) == 0 || slices.ContainsFunc(ports, func(p networkingv1.NetworkPolicyPort) bool {
		tcp := p.Protocol == nil || *p.Protocol == corev1.ProtocolTCP
		return tcp && (p.Port == nil || *p.Port == intstr.FromString(port.Name) || *p.Port == intstr.FromInt32(port.ContainerPort))
	})
}

// is reports whether a pod is among the peers of a rule in a namespace. Networks
// are no way to pods here: theirs are private.
func is(t *testing.T, peers []networkingv1.NetworkPolicyPeer, namespace string, pod corev1.Pod) bool {
	t.Helper()
	return len(peers) == 0 || slices.ContainsFunc(peers, func(p networkingv1.NetworkPolicyPeer) bool {
		if p.IPBlock != nil {
			return false
		}
		home := pod.Namespace == namespace
		if p.NamespaceSelector != nil {
			home = selects(t, p.NamespaceSelector, map[string]string{corev1.LabelMetadataName: pod.Namespace})
		}
		return home && (p.PodSelector == nil || selects(t, p.PodSelector, pod.Labels))
	})
}

func selects(t *testing.T, s *metav1.LabelSelector, of map[string]string) bool {
	t.Helper()
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		t.Fatal(err)
	}
	return selector.Matches(labels.Set(of))
}
