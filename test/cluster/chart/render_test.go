package chart

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/caddymodule/certtest"
)

// everything is production with all that can be switched on.
var everything = production.with(values{
	"consoleHost": "console.example.org", "trustedProxies": []string{"10.0.0.0/8"},
	"image":      values{"repository": repository, "digest": "sha256:" + strings.Repeat("0", 64), "pullSecrets": []string{"pull"}},
	"tls":        values{"secretName": "wildcard"},
	"oidc":       values{"issuer": "https://auth.example.com/realms/main", "clientID": "slipway", "clientSecret": values{"secretName": "oidc"}},
	"secretKeys": values{"secretName": "keys"},
	"settings": values{
		"fullAccessRole": "full access", "baseURLSharing": true, "allowedImages": []string{`registry\.example\.com/.*`, `quay\.io/a:.+`},
		"runtimeVersions": values{"py312": values{"image": "registry.example.com/python:3.12", "python": "3.12", "default": true}},
	},
	"extraSettings": "starts_at_once 5\nlaunch_profile large {\n\tmemory_limit 8Gi\n}",
	"etcd":          values{"username": "slipway", "passwordSecret": values{"name": "etcd-password"}},
	"kubernetes":    values{"bundles": values{"binaryImage": "registry.example.com/base:1"}, "namespace": "instances", "storageClass": "fast", "pullSecrets": []string{"a", "b"}},
	"manual":        values{"allow": []string{"10.9.0.0/16"}},
	"edge": values{
		"replicas": 3, "nodeSelector": values{"pool": "edge"}, "tolerations": []any{values{"key": "edge", "operator": "Exists"}},
		"affinity": values{"podAntiAffinity": values{}}, "priorityClassName": "high", "podAnnotations": values{"a": "b"},
	},
	"controlPlane": values{"replicas": 2, "storage": values{"accessMode": "ReadWriteMany", "storageClass": "shared"}},
	"service":      values{"type": "LoadBalancer", "externalTrafficPolicy": "Local", "loadBalancerSourceRanges": []string{"192.0.2.0/24"}},
	"gateway":      values{"enabled": true, "mode": "passthrough", "parentRefs": []any{values{"name": "public", "namespace": "gateways"}}},
	"networkPolicy": values{
		"metrics":       []any{values{"namespaceSelector": values{"matchLabels": values{"kubernetes.io/metadata.name": "monitoring"}}}},
		"edgeEgress":    []any{values{"to": []any{values{"ipBlock": values{"cidr": "192.0.2.0/24"}}}}},
		"instanceAllow": []string{"10.5.0.0/16"}, "instanceDeny": []string{"192.0.2.0/24"},
	},
	"metrics": values{"serviceMonitor": values{"enabled": true, "labels": values{"prometheus": "main"}}, "rules": values{"enabled": true}},
})

// profiles are the values that every test of what is rendered goes through.
var profiles = map[string]values{
	"trial":            trial,
	"trial by a name":  trial.with(values{"baseURL": "http://apps.test:18080", "kubernetes": values{"enabled": false}, "trial": values{"sample": true}}),
	"production":       production,
	"everything":       everything,
	"an Ingress":       production.with(values{"ingress": values{"enabled": true, "className": "nginx", "tlsSecretName": "wildcard"}}),
	"a Gateway":        production.with(values{"gateway": values{"enabled": true, "parentRefs": []any{values{"name": "public"}}}}),
	"own certificates": production.with(values{"internalTLS": values{"controlPlaneSecret": "a", "edgeSecret": "b"}}),
	"no policies":      production.with(values{"networkPolicy": values{"enabled": false}, "kubernetes": values{"createNamespace": false}}),
}

// TestPods holds every pod to what all pods have.
func TestPods(t *testing.T) {
	needs(t)
	for name, v := range profiles {
		t.Run(name, func(t *testing.T) {
			pods := 0
			for _, o := range render(t, v) {
				spec, _ := o.at("spec", "template", "spec").(map[string]any)
				if o.kind() == "Pod" {
					spec, _ = o.at("spec").(map[string]any)
				}
				if spec == nil {
					continue
				}
				pods++
				pod, who := object(spec), o.kind()+" "+o.name()
				container := object(pod.at("containers", 0).(map[string]any))
				for what, good := range map[string]bool{
					"runs as root":          pod.at("securityContext", "runAsNonRoot") == true && pod.at("securityContext", "runAsUser") == 65532.0,
					"has no seccomp":        pod.at("securityContext", "seccompProfile", "type") == "RuntimeDefault",
					"writes its root":       container.at("securityContext", "readOnlyRootFilesystem") == true,
					"may get more rights":   container.at("securityContext", "allowPrivilegeEscalation") == false,
					"has capabilities":      fmt.Sprint(container.at("securityContext", "capabilities", "drop")) == "[ALL]",
					"says no token or none": pod.at("automountServiceAccountToken") != nil,
				} {
					if !good {
						t.Errorf("%s %s", who, what)
					}
				}
				if o.kind() == "Pod" {
					continue // helm test's
				}
				for _, probe := range []string{"startupProbe", "readinessProbe", "livenessProbe"} {
					if container.at(probe, "httpGet", "port") != "health" {
						t.Errorf("%s has no %s", who, probe)
					}
				}
				if container.at("resources", "requests", "memory") == nil || container.at("resources", "limits", "memory") == nil {
					t.Errorf("%s has no bounds of memory", who)
				}
				mounted := map[string]bool{}
				for _, m := range container.at("volumeMounts").([]any) {
					mounted[m.(map[string]any)["name"].(string)] = true
				}
				have := 0
				for _, volume := range pod.at("volumes").([]any) {
					have++
					if !mounted[volume.(map[string]any)["name"].(string)] {
						t.Errorf("%s has the volume %s for nothing", who, volume)
					}
				}
				if o.kind() == "StatefulSet" {
					have++
				}
				if len(mounted) != have {
					t.Errorf("%s mounts %v of %d volumes", who, mounted, have)
				}
			}
			if want := map[bool]int{true: 3, false: 2}[v["profile"] == "production"]; pods != want {
				t.Errorf("%d pods, wanted %d", pods, want)
			}
		})
	}
}

// TestRights holds the rights to one Role in the instances' namespace, and
// whatever has none to no token.
func TestRights(t *testing.T) {
	needs(t)
	for name, v := range profiles {
		t.Run(name, func(t *testing.T) {
			all := render(t, v)
			if all.count("ClusterRole")+all.count("ClusterRoleBinding") > 0 {
				t.Error("it has rights in all of the cluster")
			}
			for _, o := range all {
				spec, _ := o.at("spec", "template", "spec").(map[string]any)
				if spec != nil && spec["automountServiceAccountToken"] == true && !strings.Contains(spec["serviceAccountName"].(string), "control-plane") {
					t.Errorf("%s has a token", o.name())
				}
				if o.kind() != "Role" {
					continue
				}
				if o.at("metadata", "namespace") == "apps" {
					t.Error("its rights are in its own namespace")
				}
				for _, rule := range o.at("rules").([]any) {
					for _, x := range []string{"verbs", "resources", "apiGroups"} {
						if strings.Contains(fmt.Sprint(rule.(map[string]any)[x]), "*") {
							t.Errorf("the rule %v allows everything", rule)
						}
					}
				}
			}
			if want := map[bool]int{true: 0, false: 1}[name == "trial by a name"]; all.count("Role") != want {
				t.Errorf("it has %d roles, wanted %d", all.count("Role"), want)
			}
		})
	}
}

// TestRendered asks for what single values lead to.
func TestRendered(t *testing.T) {
	needs(t)
	for name, tc := range map[string]struct {
		values     values
		kind, name string
		path       []any
		want       string
	}{
		"a trial's volume goes with it":        {trial, "StatefulSet", "slipway", []any{"spec", "persistentVolumeClaimRetentionPolicy", "whenDeleted"}, "Delete"},
		"instances' volumes stay":              {production, "Namespace", "slipway-instances", []any{"metadata", "annotations"}, "map[helm.sh/resource-policy:keep]"},
		"a trial's do not":                     {trial, "Namespace", "slipway-instances", []any{"metadata", "annotations"}, "<nil>"},
		"instances are held to a standard":     {trial, "Namespace", "slipway-instances", []any{"metadata", "labels", "pod-security.kubernetes.io/enforce"}, "restricted"},
		"bundles stay":                         {production, "PersistentVolumeClaim", "slipway-control-plane", []any{"metadata", "annotations"}, "map[helm.sh/resource-policy:keep]"},
		"a volume of one node":                 {production, "Deployment", "slipway-control-plane", []any{"spec", "strategy", "type"}, "Recreate"},
		"a shared volume":                      {everything, "Deployment", "slipway-control-plane", []any{"spec", "strategy", "rollingUpdate", "maxUnavailable"}, "0"},
		"edges roll without a gap":             {production, "Deployment", "slipway-edge", []any{"spec", "strategy", "rollingUpdate"}, "map[maxSurge:1 maxUnavailable:0]"},
		"edges drain":                          {production.with(values{"edge": values{"drainSeconds": 100}}), "Deployment", "slipway-edge", []any{"spec", "template", "spec", "terminationGracePeriodSeconds"}, "115"},
		"edges are spread":                     {production, "Deployment", "slipway-edge", []any{"spec", "template", "spec", "topologySpreadConstraints", 1, "topologyKey"}, "kubernetes.io/hostname"},
		"edges where they belong":              {everything, "Deployment", "slipway-edge", []any{"spec", "template", "spec", "nodeSelector"}, "map[pool:edge]"},
		"some edges are always there":          {production, "PodDisruptionBudget", "slipway-edge", []any{"spec", "maxUnavailable"}, "1"},
		"an image by its digest":               {everything, "Deployment", "slipway-edge", []any{"spec", "template", "spec", "containers", 0, "image"}, repository + "@sha256:" + strings.Repeat("0", 64)},
		"a load balancer":                      {everything, "Service", "slipway", []any{"spec", "loadBalancerSourceRanges"}, "[192.0.2.0/24]"},
		"a route of TLS":                       {everything, "TLSRoute", "slipway", []any{"spec", "rules", 0, "backendRefs", 0, "port"}, "443"},
		"a route of HTTP":                      {profiles["a Gateway"], "HTTPRoute", "slipway", []any{"spec", "rules", 0, "backendRefs", 0, "port"}, "8080"},
		"every host":                           {everything, "TLSRoute", "slipway", []any{"spec", "hostnames"}, "[apps.example.com *.apps.example.com console.example.org]"},
		"an Ingress's certificate":             {profiles["an Ingress"], "Ingress", "slipway", []any{"spec", "tls", 0, "secretName"}, "wildcard"},
		"a provider's secret":                  {everything, "Deployment", "slipway-control-plane", []any{"spec", "template", "spec", "containers", 0, "volumeMounts", 7, "mountPath"}, "/etc/slipway/oidc"},
		"the Prometheus that is meant":         {everything, "ServiceMonitor", "slipway", []any{"metadata", "labels", "prometheus"}, "main"},
		"the base URL's name inside the pod":   {profiles["trial by a name"], "StatefulSet", "slipway", []any{"spec", "template", "spec", "hostAliases", 0, "hostnames"}, "[apps.test console.apps.test]"},
		"the base URL's port inside the pod":   {profiles["trial by a name"], "StatefulSet", "slipway", []any{"spec", "template", "spec", "containers", 0, "ports", 0, "containerPort"}, "18080"},
		"a port that not everybody may open":   {trial.with(values{"baseURL": "http://apps.test"}), "StatefulSet", "slipway", []any{"spec", "template", "spec", "containers", 0, "ports", 0, "containerPort"}, "8080"},
		"edges reach instances alone":          {production, "NetworkPolicy", "slipway-edge", []any{"spec", "egress", 3, "to", 0, "podSelector"}, "map[matchExpressions:[map[key:slipway/instance operator:Exists]]]"},
		"edges reach every port of etcd":       {production, "NetworkPolicy", "slipway-edge", []any{"spec", "egress", 1, "ports"}, "[map[port:2379] map[port:2380]]"},
		"the internal certificate's own words": {profiles["own certificates"], "Deployment", "slipway-edge", []any{"spec", "template", "spec", "volumes", 1, "secret", "secretName"}, "b"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := fmt.Sprint(render(t, tc.values).get(t, tc.kind, tc.name).at(tc.path...)); got != tc.want {
				t.Errorf("%v is %s, wanted %s", tc.path, got, tc.want)
			}
		})
	}
}

// TestChangesRoll has a changed setting replace the pods that read it.
func TestChangesRoll(t *testing.T) {
	needs(t)
	sum := func(v values, kind, name string) string {
		return render(t, v).get(t, kind, name).at("spec", "template", "metadata", "annotations", "checksum/config").(string)
	}
	changed := values{"settings": values{"hold": "61s"}}
	for _, of := range []struct {
		values     values
		kind, name string
	}{{trial, "StatefulSet", "slipway"}, {production, "Deployment", "slipway-edge"}, {production, "Deployment", "slipway-control-plane"}} {
		before, again, after := sum(of.values, of.kind, of.name), sum(of.values, of.kind, of.name), sum(of.values.with(changed), of.kind, of.name)
		if before != again || before == after {
			t.Errorf("%s: %s, again %s, with another setting %s", of.name, before, again, after)
		}
	}
}

// TestCaddyfiles has slipway itself check every file that is rendered.
func TestCaddyfiles(t *testing.T) {
	needs(t)
	binary := os.Getenv("SLIPWAY_BINARY")
	if binary == "" {
		t.Fatal("SLIPWAY_BINARY names no slipway; make build makes one")
	}
	cert, key := certtest.SelfSigned(t, "apps.example.com").Write(t, filepath.Join(t.TempDir(), "site"))
	for name, v := range profiles {
		t.Run(name, func(t *testing.T) {
			for _, o := range render(t, v) {
				text, is := o.at("data", "Caddyfile").(string)
				if !is {
					continue
				}
				if v["profile"] != "production" { // the block alone; slipway up says where its store is
					text = "{\n" + strings.Replace(text, "slipway {", "slipway {\netcd http://127.0.0.1:2379\ncontrol_plane", 1) + "}\nhttp:// {\nslipway\n}\n"
				}
				// What is configured opens nothing, but for certificates of sites.
				text = strings.NewReplacer("/etc/slipway/tls/tls.crt", cert, "/etc/slipway/tls/tls.key", key).Replace(text)
				file := filepath.Join(t.TempDir(), "Caddyfile")
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				cmd := exec.Command(binary, "validate", "--config", file, "--adapter", "caddyfile")
				cmd.Env = append(os.Environ(), "POD_NAME=pod-0", "POD_IP=198.18.0.9")
				var said bytes.Buffer
				cmd.Stdout, cmd.Stderr = &said, &said
				if err := cmd.Run(); err != nil {
					t.Errorf("%s: %v\n%s\n%s", o.name(), err, said.String(), text)
				}
			}
		})
	}
}

// TestAlerts holds the names in the alerts to docs/metrics.md, and the names of
// the documentation's metrics are those of the code by a test of its own.
func TestAlerts(t *testing.T) {
	needs(t)
	documented, err := os.ReadFile("../../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, rule := range render(t, everything).get(t, "PrometheusRule", "slipway").at("spec", "groups", 0, "rules").([]any) {
		names = append(names, regexp.MustCompile(`slipway_\w+`).FindAllString(fmt.Sprint(rule.(map[string]any)["expr"]), -1)...)
	}
	slices.Sort(names)
	if names = slices.Compact(names); len(names) < 5 {
		t.Errorf("the alerts are about %v alone", names)
	}
	for _, name := range names {
		if !strings.Contains(string(documented), "`"+name) {
			t.Errorf("docs/metrics.md has no %s", name)
		}
	}
}
