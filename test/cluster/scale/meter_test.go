package scale

import (
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientapi "k8s.io/client-go/tools/clientcmd/api"
)

// meter is a way to the API server that counts what is asked.
type meter struct {
	kubeconfig string // whoever uses it is the admin

	mu    sync.Mutex
	asked map[string]int // by verb and resource, as the audit log calls them
}

// newMeter opens a way over TLS and HTTP/2, as the API server's own is.
func newMeter(t testing.TB, config *rest.Config) *meter {
	t.Helper()
	m := &meter{asked: map[string]int{}}
	target, err := url.Parse(config.Host)
	if err != nil {
		t.Fatal(err)
	}
	transport, err := rest.TransportFor(config)
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Transport: transport, FlushInterval: -1, ErrorLog: log.New(io.Discard, "", 0),
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.count(r)
		proxy.ServeHTTP(w, r)
	}))
	server.EnableHTTP2 = true
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(func() {
		server.CloseClientConnections() // watches last as long as they may
		server.Close()
	})
	authority := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	m.kubeconfig = filepath.Join(t.TempDir(), "kubeconfig")
	file := clientapi.NewConfig()
	file.Clusters["meter"] = &clientapi.Cluster{Server: server.URL, CertificateAuthorityData: authority}
	file.Contexts["meter"] = &clientapi.Context{Cluster: "meter"}
	file.CurrentContext = "meter"
	if err := clientcmd.WriteToFile(*file, m.kubeconfig); err != nil {
		t.Fatal(err)
	}
	return m
}

// count counts a request by its method and path.
func (m *meter) count(r *http.Request) {
	verb := map[string]string{
		http.MethodPost: "create", http.MethodPut: "update", http.MethodPatch: "patch", http.MethodDelete: "delete", http.MethodGet: "get",
	}[r.Method]
	_, inside, _ := strings.Cut(r.URL.Path, "/namespaces/")
	parts := strings.Split(inside, "/") // its name, the resource, the object's name, the subresource
	resource := "namespaces"
	if len(parts) > 1 {
		resource = parts[1]
	}
	if len(parts) > 3 {
		resource += "/" + parts[3]
	}
	if verb == "get" && len(parts) == 2 {
		verb = "list"
		// A watch that begins with all there is is a list, too.
		if q := r.URL.Query(); q.Get("watch") != "" && q.Get("sendInitialEvents") != "true" {
			verb = "watch"
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked[verb+" "+resource]++
}

// take returns what was asked since the last call.
func (m *meter) take() asked {
	m.mu.Lock()
	defer m.mu.Unlock()
	taken := m.asked
	m.asked = map[string]int{}
	return taken
}

// asked are requests by verb and resource.
type asked map[string]int

func (a asked) sum() (n int) {
	for _, each := range a {
		n += each
	}
	return n
}

// lists is how many of them ask for whole lists. Watches end after some minutes,
// and go on from where they were: they are none.
func (a asked) lists() (n int) {
	for name, each := range a {
		if strings.HasPrefix(name, "list ") {
			n += each
		}
	}
	return n
}

func (a asked) String() string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(a)) {
		all = append(all, fmt.Sprintf("%d %s", a[name], name))
	}
	return strings.Join(all, ", ")
}

// memory reads a figure of a process from /proc, in MB (10⁶ bytes): VmRSS is
// what is resident now, VmHWM the most that ever was.
func memory(t testing.TB, pid int, figure string) float64 {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(raw)) {
		var kib float64
		if n, _ := fmt.Sscanf(line, figure+": %f kB", &kib); n == 1 {
			return kib * 1024 / 1e6
		}
	}
	t.Fatalf("%s is not in /proc/%d/status", figure, pid)
	return 0
}
