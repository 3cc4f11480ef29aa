package controlmodule

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// KubernetesNetwork says whom instances may talk to, by a NetworkPolicy. It takes
// a network plugin that obeys those.
type KubernetesNetwork struct {
	// Whether there is no such policy. Default: there is.
	Off bool `json:"off,omitempty"`
	// The edges and the control planes, which reach the app's port. Default: all
	// pods of the cluster that are no instances.
	From []KubernetesPeer `json:"from,omitempty"`
	// What instances reach though it is in a private network: the port of the
	// control plane, where bundles come from, and of edges. Default: nothing.
	To []KubernetesReach `json:"to,omitempty"`
	// Name servers. Default: the pods of kube-system labelled k8s-app=kube-dns.
	DNS []KubernetesPeer `json:"dns,omitempty"`
	// Private networks that instances reach, such as that of a database. Default:
	// none.
	Allow []netip.Prefix `json:"allow,omitempty"`
	// Further networks that they do not reach: public addresses of the API server
	// and of nodes. It goes before allow. Default: none.
	Deny []netip.Prefix `json:"deny,omitempty"`
}

// KubernetesPeer is pods, or a network.
type KubernetesPeer struct {
	// Of the pods. Default: that of the instances, if there are labels.
	Namespace string `json:"namespace,omitempty"`
	// Of the pods. Default: any.
	Labels map[string]string `json:"labels,omitempty"`
	// Instead of pods.
	Network netip.Prefix `json:"network,omitzero"`
}

// KubernetesReach is a port of pods or of a network.
type KubernetesReach struct {
	KubernetesPeer
	// That of the pod, not of its Service.
	Port int `json:"port"`
}

// network reads:
//
//	network off
//	network {
//		from NETWORK …
//		from_pods NAMESPACE [LABEL=VALUE …]
//		to PORT NETWORK …
//		to_pods PORT NAMESPACE [LABEL=VALUE …]
//		dns NETWORK …
//		dns_pods NAMESPACE [LABEL=VALUE …]
//		allow NETWORK …
//		deny NETWORK …
//	}
func (k *KubernetesPods) network(d *caddyfile.Dispenser) error {
	n := &KubernetesNetwork{}
	k.Network = n
	if d.NextArg() {
		if n.Off = d.Val() == "off"; !n.Off || d.NextArg() {
			return d.Err("network has a block, or off")
		}
		return nil
	}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		setting, port := d.Val(), 0
		if !slices.Contains(networkSettings, setting) {
			return d.Errf("network has no setting %q; there are %s", setting, strings.Join(networkSettings, ", "))
		}
		args := d.RemainingArgs()
		if setting == "to" || setting == "to_pods" {
			if len(args) == 0 {
				return d.ArgErr()
			}
			var err error
			if port, err = strconv.Atoi(args[0]); err != nil {
				return d.Errf("%s begins with a port, not %q", setting, args[0])
			}
			args = args[1:]
		}
		if len(args) == 0 {
			return d.ArgErr()
		}
		var peers []KubernetesPeer
		var err error
		if strings.HasSuffix(setting, "_pods") {
			peers, err = readPods(d, args)
		} else {
			peers, err = readNetworks(d, args)
		}
		switch setting {
		case "from", "from_pods":
			n.From = append(n.From, peers...)
		case "dns", "dns_pods":
			n.DNS = append(n.DNS, peers...)
		case "to", "to_pods":
			for _, p := range peers {
				n.To = append(n.To, KubernetesReach{p, port})
			}
		case "allow":
			n.Allow = append(n.Allow, networks(peers)...)
		case "deny":
			n.Deny = append(n.Deny, networks(peers)...)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

var networkSettings = []string{"from", "from_pods", "to", "to_pods", "dns", "dns_pods", "allow", "deny"}

func readPods(d *caddyfile.Dispenser, args []string) ([]KubernetesPeer, error) {
	p := KubernetesPeer{Namespace: args[0]}
	for _, arg := range args[1:] {
		label, value, ok := strings.Cut(arg, "=")
		if !ok {
			return nil, d.Errf("%q is no label, such as app.kubernetes.io/name=slipway", arg)
		}
		if p.Labels == nil {
			p.Labels = map[string]string{}
		}
		p.Labels[label] = value
	}
	return []KubernetesPeer{p}, nil
}

func readNetworks(d *caddyfile.Dispenser, args []string) (out []KubernetesPeer, err error) {
	for _, arg := range args {
		n, err := netip.ParsePrefix(arg)
		if err != nil {
			return nil, d.Errf("%q is not a network such as 10.0.0.0/8", arg)
		}
		out = append(out, KubernetesPeer{Network: n})
	}
	return out, nil
}

func networks(peers []KubernetesPeer) (out []netip.Prefix) {
	for _, p := range peers {
		out = append(out, p.Network)
	}
	return out
}

// objects is nil where there is to be no policy.
func (n *KubernetesNetwork) objects() *objects.Network {
	switch {
	case n == nil:
		return &objects.Network{}
	case n.Off:
		return nil
	}
	out := &objects.Network{Allow: n.Allow, Deny: n.Deny}
	for _, p := range n.From {
		out.From = append(out.From, objects.Peer(p))
	}
	for _, p := range n.DNS {
		out.DNS = append(out.DNS, objects.Peer(p))
	}
	for _, r := range n.To {
		out.To = append(out.To, objects.Reach{Peer: objects.Peer(r.KubernetesPeer), Port: r.Port})
	}
	return out
}
