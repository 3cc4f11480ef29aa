package controlmodule

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/yaml"

	"github.com/seed-dbc68772/slipway/caddymodule"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// KubernetesPlacement says on which nodes pods may run.
type KubernetesPlacement struct {
	// Labels that the node has. Default: any.
	NodeSelector map[string]string `json:"node_selector,omitempty"`
	// Taints that the node may have, as Kubernetes writes them. Default: none.
	Tolerations []corev1.Toleration `json:"tolerations,omitempty"`
	// Affinity as Kubernetes writes it. Default: none.
	Affinity *corev1.Affinity `json:"affinity,omitempty"`
	// A RuntimeClass of the cluster, such as one of gVisor. Default: the nodes' own.
	RuntimeClass string `json:"runtime_class,omitempty"`
	// The resource that GPUs are counted by. Default: nvidia.com/gpu.
	Resource corev1.ResourceName `json:"resource,omitempty"`
}

// readPlacement reads the block of a setting:
//
//	{
//		node_selector LABEL VALUE
//		toleration KEY[=VALUE][:EFFECT]    # or * for all
//		affinity FILE                      # JSON or YAML, of a pod's field affinity
//		runtime_class NAME
//		resource NAME
//	}
func readPlacement(d *caddyfile.Dispenser, of string) (p KubernetesPlacement, err error) {
	given := caddymodule.Given{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		if err := given.Once(d, d.Val(), "node_selector", "toleration"); err != nil {
			return p, err
		}
		switch d.Val() {
		case "node_selector":
			var label, value string
			if !d.Args(&label, &value) || d.NextArg() {
				return p, d.ArgErr()
			}
			if p.NodeSelector == nil {
				p.NodeSelector = map[string]string{}
			}
			p.NodeSelector[label] = value
		case "toleration":
			var text string
			if err := word(d, &text); err != nil {
				return p, err
			}
			p.Tolerations = append(p.Tolerations, toleration(text))
		case "affinity":
			var file string
			if err := word(d, &file); err != nil {
				return p, err
			}
			if p.Affinity, err = readAffinity(d.File(), file); err != nil {
				return p, d.WrapErr(err)
			}
		case "runtime_class":
			err = word(d, &p.RuntimeClass)
		case "resource":
			err = word(d, (*string)(&p.Resource))
		default:
			return p, d.Errf("%s has no setting %q; there are node_selector, toleration, affinity, runtime_class and resource", of, d.Val())
		}
		if err != nil {
			return p, err
		}
	}
	return p, nil
}

func namedPlacement(d *caddyfile.Dispenser, into *map[string]KubernetesPlacement) error {
	setting := d.Val()
	var name string
	if err := word(d, &name); err != nil {
		return err
	}
	if _, given := (*into)[name]; given {
		return d.Errf("%s %s is given twice", setting, name)
	}
	p, err := readPlacement(d, setting+" "+name)
	if *into == nil {
		*into = map[string]KubernetesPlacement{}
	}
	(*into)[name] = p
	return err
}

// toleration is the short form of one: of a taint with this value, or with any.
func toleration(text string) (t corev1.Toleration) {
	t.Operator = corev1.TolerationOpExists
	if text == "*" {
		return t
	}
	text, effect, _ := strings.Cut(text, ":")
	t.Effect = corev1.TaintEffect(effect)
	key, value, given := strings.Cut(text, "=")
	if t.Key = key; given {
		t.Operator, t.Value = corev1.TolerationOpEqual, value
	}
	return t
}

// readAffinity reads a file that is named relative to the Caddyfile.
func readAffinity(caddyfile, file string) (*corev1.Affinity, error) {
	if !filepath.IsAbs(file) {
		file = filepath.Join(filepath.Dir(caddyfile), file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read affinity: %w", err)
	}
	a := new(corev1.Affinity)
	if err := yaml.UnmarshalStrict(text, a); err != nil {
		return nil, fmt.Errorf("read affinity: %s: %w", file, err)
	}
	if *a == (corev1.Affinity{}) {
		return nil, fmt.Errorf("read affinity: %s has none of nodeAffinity, podAffinity and podAntiAffinity", file)
	}
	return a, nil
}

var taintEffects = []corev1.TaintEffect{"", corev1.TaintEffectNoSchedule, corev1.TaintEffectPreferNoSchedule, corev1.TaintEffectNoExecute}

// validate finds what Kubernetes would refuse at each start.
func (p *KubernetesPlacement) validate(of string) error {
	var errs []error
	add := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("launcher kubernetes: "+of+": "+format, args...))
	}
	for _, label := range slices.Sorted(maps.Keys(p.NodeSelector)) {
		if faults := append(validation.IsQualifiedName(label), validation.IsValidLabelValue(p.NodeSelector[label])...); len(faults) > 0 {
			add("node_selector %s %s: %s", label, p.NodeSelector[label], faults[0])
		}
	}
	for _, t := range p.Tolerations {
		switch {
		case t.Key == "" && t.Operator != corev1.TolerationOpExists, t.Key != "" && len(validation.IsQualifiedName(t.Key)) > 0:
			add("toleration: %q is no name of a taint, such as dedicated or example.com/dedicated", t.Key)
		case len(validation.IsValidLabelValue(t.Value)) > 0:
			add("toleration %s: %q is no value of a taint", t.Key, t.Value)
		case !slices.Contains(taintEffects, t.Effect):
			add("toleration %s: %s is none of NoSchedule, PreferNoSchedule and NoExecute", t.Key, t.Effect)
		}
	}
	if c := p.RuntimeClass; c != "" && len(validation.IsDNS1123Subdomain(c)) > 0 {
		add("runtime_class %q "+noName, c)
	}
	if r := string(p.Resource); r != "" && (len(validation.IsQualifiedName(r)) > 0 || !strings.Contains(r, "/")) {
		add("resource %q is not one of a device, such as nvidia.com/gpu", r)
	}
	return errors.Join(errs...)
}

func (p KubernetesPlacement) objects() objects.Placement {
	return objects.Placement{
		NodeSelector: p.NodeSelector, Tolerations: p.Tolerations, Affinity: p.Affinity, RuntimeClass: p.RuntimeClass, GPU: p.Resource,
	}
}

func placements(all map[string]KubernetesPlacement) map[string]objects.Placement {
	out := map[string]objects.Placement{}
	for name, p := range all {
		out[name] = p.objects()
	}
	return out
}
