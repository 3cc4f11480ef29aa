package objects

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/validation"
)

// PolicyName is the name of the one policy of a namespace's instances.
const PolicyName = "slipway-instances"

// Network says whom instances may talk to. Who reaches them reaches the app's
// port alone; instances do not reach each other. The zero value is good where all
// of Slipway runs in the cluster and bundles do not come from it.
type Network struct {
	// From are the edges and the control planes; empty is all pods of the cluster
	// that are no instances. Those that run outside of the cluster have to be named.
	From []Peer
	// To is what instances reach although it lies in a network that they do not:
	// the control plane, where bundles come from it, and the edges, where apps call
	// others by their URLs.
	To []Reach
	// DNS are the name servers; empty is the pods of kube-system that are labelled
	// k8s-app=kube-dns.
	DNS []Peer
	// Allow are networks among [Private] that instances reach, such as that of a
	// database.
	Allow []netip.Prefix
	// Deny are further networks that they do not: addresses of the API server, of
	// etcd, of nodes, of pods and Services where these are not among [Private]. It
	// goes before Allow.
	Deny []netip.Prefix
}

// Peer is pods, or a network.
type Peer struct {
	Namespace string            // of the pods; empty with Labels: the instances' own
	Labels    map[string]string // of the pods; empty: all of the namespace
	Network   netip.Prefix      // instead
}

// Reach is a port of a peer.
type Reach struct {
	Peer
	Port int // that of the pod, not of its Service
}

// Private are the networks that clusters are made of and that nothing outside
// can be in: RFC 1918, RFC 6598, RFC 4193; those of benchmarks and of class E (RFC
// 2544, RFC 1112), which clouds give to pods and nodes; and who translates to IPv4
// in networks of its own (RFC 8215).
var Private = prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "198.18.0.0/15", "240.0.0.0/4",
	"fc00::/7", "64:ff9b:1::/48")

// never are what no setting gives to instances: the node itself, and what clouds
// tell and give to their machines at, as Amazon, Google, Microsoft, Oracle and
// Alibaba document it.
var never = translated(prefixes("127.0.0.0/8", "169.254.0.0/16", "168.63.129.16/32", "192.0.0.192/32", "100.100.100.200/32",
	"::1/128", "fe80::/10", "fd00:ec2::/32", "fd20:ce::/32"))

// translated are these networks, and those of IPv4 as IPv6 reaches them by NAT64
// too (RFC 6052): some clouds' translators reach private networks.
func translated(all []netip.Prefix) []netip.Prefix {
	both := slices.Clone(all)
	for _, p := range all {
		if !p.Addr().Is4() {
			continue
		}
		four, six := p.Addr().As4(), netip.MustParseAddr("64:ff9b::").As16()
		copy(six[12:], four[:])
		both = append(both, netip.PrefixFrom(netip.AddrFrom16(six), 96+p.Bits()))
	}
	return both
}

// dnsPorts are those of name servers' pods; the second is OpenShift's.
var dnsPorts = []int{53, 5353}

// Policy is the policy of all instances in the namespace; nil where Settings.Network
// is: then whatever reaches pods of the cluster reaches instances, and they
// reach all that pods do.
//
// It is one for all of them, so that a thousand instances cost the network's
// controllers no more than one does: what differs, the app's port, has one name
// in all pods.
func Policy(s Settings) (*networkingv1.NetworkPolicy, error) {
	n := s.Network
	if n == nil {
		return nil, nil
	}
	if err := n.Check(s.Namespace); err != nil {
		return nil, err
	}
	policy := &networkingv1.NetworkPolicy{
		TypeMeta: kind("networking.k8s.io/v1", "NetworkPolicy"),
		ObjectMeta: metav1.ObjectMeta{
			Name: PolicyName, Namespace: s.Namespace, Labels: map[string]string{LabelManagedBy: Manager},
		},
		Spec: networkingv1.NetworkPolicySpec{
			PodSelector: *instances(metav1.LabelSelectorOpExists),
			PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
			Ingress:     n.ingress(),
		},
	}
	policy.Spec.Egress = slices.Concat(n.names(), n.reached(), n.world())
	return policy, nil
}

// Check finds what is wrong with the settings, where instances live in this
// namespace; the error names every fault.
func (n *Network) Check(namespace string) error {
	var errs []error
	for _, p := range slices.Concat(n.Allow, n.Deny) {
		errs = append(errs, checkNetwork(p))
	}
	for _, p := range n.peers() {
		if p.Network.IsValid() {
			errs = append(errs, checkNetwork(p.Network))
		}
		if p.Namespace != "" && len(validation.IsDNS1123Label(p.Namespace)) > 0 {
			errs = append(errs, fmt.Errorf("network: %q is not the name of a namespace", p.Namespace))
		}
		for label, value := range p.Labels {
			if faults := append(validation.IsQualifiedName(label), validation.IsValidLabelValue(value)...); len(faults) > 0 {
				errs = append(errs, fmt.Errorf("network: label %s=%s: %s", label, value, faults[0]))
			}
		}
		if !p.Network.IsValid() && len(p.Labels) == 0 && (p.Namespace == "" || p.Namespace == namespace) {
			errs = append(errs, errors.New("network: pods of the instances' own namespace need labels, or instances would reach each other"))
		}
	}
	for _, r := range n.To {
		if r.Port < 1 || r.Port > 65535 {
			errs = append(errs, fmt.Errorf("network: port %d is not from 1 to 65535", r.Port))
		}
		if r.Network.IsValid() && covered(r.Network, never) {
			errs = append(errs, fmt.Errorf("network: %s is never given to instances", r.Network))
		}
	}
	for _, p := range n.Allow {
		if covered(p, append(slices.Clone(n.Deny), never...)) {
			errs = append(errs, fmt.Errorf("network: %s is allowed, and lies in a network that is denied", p))
		}
	}
	return errors.Join(errs...)
}

// checkNetwork refuses what Kubernetes would read as another network, or as none.
func checkNetwork(p netip.Prefix) error {
	if !p.IsValid() || p.Addr().Is4In6() || p != p.Masked() {
		return fmt.Errorf("network: %s is not the first address of a network and its length, such as 10.0.0.0/8", p)
	}
	return nil
}

// peers are all that it names.
func (n *Network) peers() []Peer {
	all := slices.Concat(n.From, n.DNS)
	for _, r := range n.To {
		all = append(all, r.Peer)
	}
	return all
}

func (n *Network) ingress() []networkingv1.NetworkPolicyIngressRule {
	port := intstr.FromString(PortName)
	rule := networkingv1.NetworkPolicyIngressRule{
		From:  peers(n.From),
		Ports: []networkingv1.NetworkPolicyPort{{Protocol: new(corev1.ProtocolTCP), Port: &port}},
	}
	if len(n.From) == 0 { // a rule without peers would let in everybody
		rule.From = []networkingv1.NetworkPolicyPeer{{
			NamespaceSelector: &metav1.LabelSelector{},
			PodSelector:       instances(metav1.LabelSelectorOpDoesNotExist),
		}}
	}
	return []networkingv1.NetworkPolicyIngressRule{rule}
}

// instances selects pods by whether they are ones.
func instances(operator metav1.LabelSelectorOperator) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{{Key: LabelInstance, Operator: operator}}}
}

func (n *Network) names() []networkingv1.NetworkPolicyEgressRule {
	servers := n.DNS
	if len(servers) == 0 {
		servers = []Peer{{Namespace: "kube-system", Labels: map[string]string{"k8s-app": "kube-dns"}}}
	}
	rule := networkingv1.NetworkPolicyEgressRule{To: peers(servers)}
	for _, number := range dnsPorts {
		port := intstr.FromInt(number)
		for _, protocol := range []corev1.Protocol{corev1.ProtocolUDP, corev1.ProtocolTCP} {
			rule.Ports = append(rule.Ports, networkingv1.NetworkPolicyPort{Protocol: &protocol, Port: &port})
		}
	}
	return []networkingv1.NetworkPolicyEgressRule{rule}
}

func (n *Network) reached() (rules []networkingv1.NetworkPolicyEgressRule) {
	for _, r := range n.To {
		port := intstr.FromInt(r.Port)
		rules = append(rules, networkingv1.NetworkPolicyEgressRule{
			To:    peers([]Peer{r.Peer}, never...),
			Ports: []networkingv1.NetworkPolicyPort{{Protocol: new(corev1.ProtocolTCP), Port: &port}},
		})
	}
	return rules
}

// world is the internet, and what is allowed besides.
func (n *Network) world() []networkingv1.NetworkPolicyEgressRule {
	denied := append(slices.Clone(never), translated(n.Deny)...)
	var to []networkingv1.NetworkPolicyPeer
	for _, all := range prefixes("0.0.0.0/0", "::/0") {
		to = append(to, block(all, append(slices.Clone(denied), translated(Private)...)))
	}
	for _, p := range n.Allow {
		to = append(to, block(p, denied))
	}
	return []networkingv1.NetworkPolicyEgressRule{{To: to}}
}

// block is a network less what of the others lies in it. Kubernetes refuses an
// exception that does not.
func block(p netip.Prefix, less []netip.Prefix) networkingv1.NetworkPolicyPeer {
	b := &networkingv1.IPBlock{CIDR: p.String()}
	for i, l := range less {
		others := slices.Delete(slices.Clone(less), i, i+1)
		twice := slices.Contains(less[:i], l)
		wider := slices.ContainsFunc(others, func(o netip.Prefix) bool { return o != l && covered(l, []netip.Prefix{o}) })
		if !twice && !wider && l != p && covered(l, []netip.Prefix{p}) {
			b.Except = append(b.Except, l.String())
		}
	}
	return networkingv1.NetworkPolicyPeer{IPBlock: b}
}

// covered reports whether all of p lies in one of them.
func covered(p netip.Prefix, by []netip.Prefix) bool {
	return slices.ContainsFunc(by, func(b netip.Prefix) bool {
		return b.Bits() <= p.Bits() && b.Contains(p.Addr())
	})
}

// peers are these, less what of the others lies in their networks.
func peers(list []Peer, less ...netip.Prefix) (out []networkingv1.NetworkPolicyPeer) {
	for _, p := range list {
		if p.Network.IsValid() {
			out = append(out, block(p.Network, less))
			continue
		}
		peer := networkingv1.NetworkPolicyPeer{PodSelector: &metav1.LabelSelector{MatchLabels: p.Labels}}
		if p.Namespace != "" {
			peer.NamespaceSelector = &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: p.Namespace}}
		}
		out = append(out, peer)
	}
	return out
}

func prefixes(texts ...string) (out []netip.Prefix) {
	for _, text := range texts {
		out = append(out, netip.MustParsePrefix(text))
	}
	return out
}
