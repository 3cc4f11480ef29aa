package journey

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	authv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/yaml"

	"github.com/seed-dbc68772/slipway/test/internal/clustertest"
)

const chart = "../../../deploy/helm/slipway"

// space is a namespace of instances, and the account of the control planes,
// which may do what the chart's Role says and nothing else.
type space struct {
	t       *testing.T
	name    string
	admin   *kubernetes.Clientset // the test's own, which may do everything
	rest    *rest.Config
	role    *rbacv1.Role
	account string // the name of the user that the API server sees
	file    string // its kubeconfig

	left, back time.Time // of the API server, where the test has restarted it
}

// newSpace makes both; they go with the test.
func newSpace(t *testing.T) *space {
	t.Helper()
	config := clustertest.Config(t)
	config.WarningHandler = rest.NoWarnings{} // that some kinds are old
	s := &space{t: t, rest: config, file: filepath.Join(t.TempDir(), "kubeconfig")}
	var err error
	if s.admin, err = kubernetes.NewForConfig(config); err != nil {
		t.Fatal(err)
	}
	s.name = clustertest.Namespace(t, s.admin.CoreV1(), "journey-")
	s.install()
	s.writeKubeconfig()
	t.Cleanup(func() { s.wantsNothingRefused() })
	return s
}

// install creates what the chart has in rbac.yaml.
func (s *space) install() {
	s.t.Helper()
	ctx := s.t.Context()
	out, err := exec.CommandContext(ctx, "helm", "template", "slipway", chart, "--namespace", s.name, "--show-only", "templates/rbac.yaml",
		"--set", "image.repository=slipway.test/slipway,image.tag=none",
		"--set", "kubernetes.namespace="+s.name+",kubernetes.createNamespace=false").CombinedOutput()
	if err != nil {
		s.t.Fatalf("render the chart: %v\n%s", err, out)
	}
	for part := range strings.SplitSeq(string(out), "\n---") {
		var kind metav1.TypeMeta
		s.decode(part, &kind)
		switch kind.Kind {
		case "ServiceAccount":
			var account corev1.ServiceAccount
			s.decode(part, &account)
			s.account = account.Name
			_, err = s.admin.CoreV1().ServiceAccounts(s.name).Create(ctx, &account, metav1.CreateOptions{})
		case "Role":
			s.role = new(rbacv1.Role)
			s.decode(part, s.role)
			_, err = s.admin.RbacV1().Roles(s.name).Create(ctx, s.role, metav1.CreateOptions{})
		case "RoleBinding":
			var binding rbacv1.RoleBinding
			s.decode(part, &binding)
			_, err = s.admin.RbacV1().RoleBindings(s.name).Create(ctx, &binding, metav1.CreateOptions{})
		}
		if err != nil {
			s.t.Fatalf("create the %s of the chart: %v", kind.Kind, err)
		}
	}
	if s.role == nil || s.account == "" {
		s.t.Fatalf("the chart has no Role or no ServiceAccount:\n%s", out)
	}
}

func (s *space) decode(text string, into any) {
	s.t.Helper()
	if err := yaml.Unmarshal([]byte(text), into); err != nil {
		s.t.Fatalf("%v in\n%s", err, text)
	}
}

// writeKubeconfig writes the account's.
func (s *space) writeKubeconfig() {
	s.t.Helper()
	lasts := int64(7200)
	token, err := s.admin.CoreV1().ServiceAccounts(s.name).CreateToken(s.t.Context(), s.account,
		&authv1.TokenRequest{Spec: authv1.TokenRequestSpec{ExpirationSeconds: &lasts}}, metav1.CreateOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	s.account = "system:serviceaccount:" + s.name + ":" + s.account
	file := clientcmdapi.NewConfig()
	file.Clusters["c"] = &clientcmdapi.Cluster{Server: s.rest.Host, CertificateAuthority: s.rest.CAFile, CertificateAuthorityData: s.rest.CAData}
	file.AuthInfos["u"] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	file.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u", Namespace: s.name}
	file.CurrentContext = "x"
	if err := clientcmd.WriteToFile(*file, s.file); err != nil {
		s.t.Fatal(err)
	}
}

// everything is all objects in the namespace, of every kind that the API server
// knows and can list, but for events: as kind.group/name.
func (s *space) everything() []string {
	s.t.Helper()
	known, err := discovery.NewDiscoveryClientForConfigOrDie(s.rest).ServerPreferredNamespacedResources()
	if err != nil {
		s.t.Fatal(err)
	}
	client := metadata.NewForConfigOrDie(s.rest)
	var found []string
	kinds := 0
	for _, group := range known {
		version, err := schema.ParseGroupVersion(group.GroupVersion)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, r := range group.APIResources {
			if r.Kind == "Event" || !slices.Contains(r.Verbs, "list") {
				continue
			}
			kinds++
			list, err := client.Resource(version.WithResource(r.Name)).Namespace(s.name).List(s.t.Context(), metav1.ListOptions{})
			if apierrors.IsMethodNotSupported(err) {
				continue
			}
			if err != nil {
				s.t.Fatalf("list %s: %v", r.Name, err)
			}
			for _, o := range list.Items {
				found = append(found, r.Name+"."+version.Group+"/"+o.Name)
			}
		}
	}
	if kinds < 20 {
		s.t.Fatalf("the API server knows %d kinds only", kinds)
	}
	slices.Sort(found)
	return found
}

// pods are the names of all pods there.
func (s *space) pods() (names []string) {
	s.t.Helper()
	list, err := s.admin.CoreV1().Pods(s.name).List(s.t.Context(), metav1.ListOptions{})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, p := range list.Items {
		names = append(names, p.Name)
	}
	return names
}

// wantsOnePod waits until there is one pod there.
func (s *space) wantsOnePod() {
	s.t.Helper()
	eventually(s.t, "there is one pod", func() bool { return len(s.pods()) == 1 })
}
