package controlmodule

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/objects"
)

// readPodSettings reads the block of a launcher that has these settings alone.
func readPodSettings(t *testing.T, text string) (k KubernetesPods, err error) {
	t.Helper()
	d := caddyfile.NewTestDispenser("kubernetes {\n" + text + "\n}")
	d.Next()
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		known, err := k.setting(d)
		if err != nil {
			return k, err
		}
		if !known {
			t.Fatalf("%s is not known", d.Val())
		}
	}
	err = k.validate("apps")
	return k, err
}

func TestPodsOfACaddyfile(t *testing.T) {
	affinity := filepath.Join(t.TempDir(), "affinity.yaml")
	const text = "nodeAffinity:\n  preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1, preference: {matchExpressions: [{key: zone, operator: In, values: [a]}]}}]\n"
	if err := os.WriteFile(affinity, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := readPodSettings(t, `
		service_account instances
		pull_secret one two
		pull_secret three
		user 1000
		group 2000
		read_only_root
		storage_class fast
		access_mode ReadWriteOncePod
		shm 1Gi
		scratch 512Mi
		pods {
			node_selector kubernetes.io/arch amd64
			runtime_class gvisor
		}
		gpu a100 {
			resource example.com/a100
			toleration gpu
		}
		runtime py312 {
			node_selector cpu new
		}
		profile large {
			node_selector pool large
			node_selector zone a
			toleration dedicated=apps:NoSchedule
			toleration example.com/spot:NoExecute
			toleration *
			affinity `+affinity+`
		}
		network {
			from 192.0.2.0/24 2001:db8::/32
			from_pods slipway app.kubernetes.io/name=slipway tier=edge
			to 443 10.0.5.0/24
			to_pods 8443 slipway app.kubernetes.io/name=slipway
			dns 169.254.20.10/32
			dns_pods openshift-dns
			allow 10.9.0.0/16
			deny 203.0.113.7/32
		}`)
	if err != nil {
		t.Fatal(err)
	}
	again := KubernetesPods{} // by way of JSON, as Caddy does it
	if text, err := json.Marshal(k); err != nil {
		t.Fatal(err)
	} else if err := json.Unmarshal(text, &again); err != nil {
		t.Fatal(err)
	}
	slipway := map[string]string{"app.kubernetes.io/name": "slipway"}
	want := objects.Settings{
		Namespace: "apps", ServiceAccount: "instances", PullSecrets: []string{"one", "two", "three"}, User: 1000, Group: 2000, ReadOnlyRoot: true,
		StorageClass: "fast", AccessMode: corev1.ReadWriteOncePod, SharedMemory: resource.MustParse("1Gi"), Scratch: resource.MustParse("512Mi"),
		Every: objects.Placement{NodeSelector: map[string]string{"kubernetes.io/arch": "amd64"}, RuntimeClass: "gvisor"},
		GPUs: map[string]objects.Placement{"a100": {
			GPU: "example.com/a100", Tolerations: []corev1.Toleration{{Key: "gpu", Operator: corev1.TolerationOpExists}},
		}},
		Runtimes: map[string]objects.Placement{"py312": {NodeSelector: map[string]string{"cpu": "new"}}},
		Profiles: map[string]objects.Placement{"large": {
			NodeSelector: map[string]string{"pool": "large", "zone": "a"},
			Tolerations: []corev1.Toleration{
				{Key: "dedicated", Operator: corev1.TolerationOpEqual, Value: "apps", Effect: corev1.TaintEffectNoSchedule},
				{Key: "example.com/spot", Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute},
				{Operator: corev1.TolerationOpExists},
			},
			Affinity: &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{
				Weight: 1, Preference: corev1.NodeSelectorTerm{MatchExpressions: []corev1.NodeSelectorRequirement{
					{Key: "zone", Operator: corev1.NodeSelectorOpIn, Values: []string{"a"}},
				}},
			}}}},
		}},
		Network: &objects.Network{
			From: []objects.Peer{
				{Network: netip.MustParsePrefix("192.0.2.0/24")}, {Network: netip.MustParsePrefix("2001:db8::/32")},
				{Namespace: "slipway", Labels: map[string]string{"app.kubernetes.io/name": "slipway", "tier": "edge"}},
			},
			To: []objects.Reach{
				{Peer: objects.Peer{Network: netip.MustParsePrefix("10.0.5.0/24")}, Port: 443},
				{Peer: objects.Peer{Namespace: "slipway", Labels: slipway}, Port: 8443},
			},
			DNS:   []objects.Peer{{Network: netip.MustParsePrefix("169.254.20.10/32")}, {Namespace: "openshift-dns"}},
			Allow: []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}, Deny: []netip.Prefix{netip.MustParsePrefix("203.0.113.7/32")},
		},
	}
	if diff := cmp.Diff(want, again.objects("apps"), cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
		t.Error(diff)
	}
}

func TestNetworksOfACaddyfile(t *testing.T) {
	for text, want := range map[string]*objects.Network{"": {}, "network off": nil, "network {\n}": {}} {
		k, err := readPodSettings(t, text)
		if got := k.objects("apps").Network; err != nil || !cmp.Equal(got, want) {
			t.Errorf("%q: %+v, error %v", text, got, err)
		}
	}
}

func TestPodSettingsThatCannotBe(t *testing.T) {
	folder := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(folder, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for text, want := range map[string]string{
		"service_account":                                "wrong argument count",
		"service_account A_B":                            `service_account "A_B" is not a name`,
		"storage_class A_B":                              `storage_class "A_B" is not a name`,
		"pull_secret a B":                                `pull_secret "B" is not a name`,
		"pull_secret":                                    "wrong argument count",
		"user nobody":                                    `"nobody" is not the number of a user`,
		"user 0":                                         "root is not allowed",
		"group 99999999999":                              "is not the number of a group",
		"read_only_root yes":                             "wrong argument count",
		"access_mode ReadOnlyAll":                        "access_mode ReadOnlyAll is none of ReadWriteOnce",
		"shm big":                                        "big",
		"pods a {\n}":                                    "wrong argument count",
		"profile {\n}":                                   "wrong argument count",
		"profile a {\n}\nprofile a {\n}":                 "profile a is given twice",
		"profile a {\n node a b\n}":                      `profile a has no setting "node"; there are node_selector, toleration, affinity, runtime_class and resource`,
		"profile a {\n node_selector a\n}":               "wrong argument count",
		"profile a {\n node_selector /x b\n}":            "profile a: node_selector /x b",
		"gpu a {\n toleration /=b\n}":                    `gpu a: toleration: "/" is no name of a taint`,
		"gpu a {\n toleration =b\n}":                     `toleration: "" is no name of a taint`,
		"gpu a {\n toleration a=b%\n}":                   `toleration a: "b%" is no value`,
		"gpu a {\n toleration a:Never\n}":                "Never is none of NoSchedule",
		"gpu a {\n resource cpu\n}":                      `resource "cpu" is not one of a device`,
		"runtime a {\n runtime_class A_B\n}":             `runtime_class "A_B"`,
		"pods {\n affinity " + folder + "/none.json\n}":  "read affinity",
		"pods {\n affinity " + file("a", "{}") + "\n}":   "has none of nodeAffinity",
		"pods {\n affinity " + file("b", "x: 1") + "\n}": "unknown field",
		"network on":                                     "network has a block, or off",
		"network {\n by 10.0.0.0/8\n}":                   `network has no setting "by"; there are from, from_pods`,
		"network {\n from\n}":                            "wrong argument count",
		"network {\n from 10.0.0.1\n}":                   `"10.0.0.1" is not a network`,
		"network {\n from_pods slipway edge\n}":          `"edge" is no label`,
		"network {\n from_pods apps\n}":                  "instances would reach each other",
		"network {\n to 10.0.0.0/8\n}":                   `to begins with a port, not "10.0.0.0/8"`,
		"network {\n to 443\n}":                          "wrong argument count",
		"network {\n to 0 10.0.5.0/24\n}":                "port 0",
		"network {\n allow 169.254.0.0/16\n}":            "169.254.0.0/16 is allowed, and lies",
	} {
		if _, err := readPodSettings(t, text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: error %v, want one with %q", text, err, want)
		}
	}
}

func TestUsersOfJSONAreChecked(t *testing.T) {
	k := KubernetesPods{User: -1, Group: 1 << 40, SHM: -1}
	err := k.validate("apps")
	for _, want := range []string{"user -1", "group 1099511627776", "shm -1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
