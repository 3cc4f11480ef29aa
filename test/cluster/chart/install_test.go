package chart

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/deploy/image"
)

// TestMain is the app too, whose image is this program.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "serve" {
		host, _ := os.Hostname()
		answer := func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "hello from", host) }
		fmt.Fprintln(os.Stderr, http.ListenAndServe(":"+os.Getenv("PORT"), http.HandlerFunc(answer)))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// appImage is the image of the app, in the node.
const appImage = "slipway.test/chart-app:1"

// loaded has the node know the images of the tests.
var loaded = sync.OnceValue(func() error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "chart-images")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	app, store := filepath.Join(dir, "app.tar"), filepath.Join(dir, "etcd.tar")
	for archive, of := range map[string]struct {
		reference string
		spec      image.Spec
	}{
		app: {appImage, image.Spec{
			User: image.User, Entrypoint: []string{"/app", "serve"},
			Layers: [][]image.File{{{Path: "/app", Source: self, Mode: 0o755}}},
		}},
		store: {etcdImage, image.Spec{
			User: image.User, Entrypoint: []string{"/etcd"},
			Layers: [][]image.File{{{Path: "/etcd", Source: filepath.Join(os.Getenv("LAB_BIN"), "etcd"), Mode: 0o755}}},
		}},
	} {
		made, err := image.Make(of.spec)
		if err != nil {
			return err
		}
		if err := image.Save(archive, of.reference, made); err != nil {
			return err
		}
	}
	out, err := exec.Command("../load", app, store, os.Getenv("SLIPWAY_IMAGE")).CombinedOutput()
	if err != nil {
		return fmt.Errorf("load images: %w: %s", err, out)
	}
	return nil
})

// release is an installation of the chart in a namespace of its own.
type release struct {
	t         *testing.T
	namespace string
	values    values
	binary    string
	config    string // the command line's file
	origin    string
	connect   func() string // to where the base URL's connections go
	once      sync.Once
	passes    string
}

// install installs the chart and waits until helm calls it ready.
func install(t *testing.T, namespace string, v values) *release {
	t.Helper()
	r := &release{t: t, namespace: namespace, values: v, binary: os.Getenv("SLIPWAY_BINARY"), origin: v["baseURL"].(string)}
	if r.binary == "" || os.Getenv("SLIPWAY_IMAGE") == "" {
		t.Fatal("SLIPWAY_BINARY and SLIPWAY_IMAGE name no program and no image; make image makes both")
	}
	if err := loaded(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = command(t, "helm", "uninstall", "slipway", "--namespace", namespace, "--ignore-not-found", "--wait", "--timeout", "90s")
		kubectl(t, "delete", "namespace", namespace, namespace+"-instances", "--ignore-not-found", "--wait=false")
	})
	r.helm("install", "slipway", folder, "--values", v.file(t), "--wait", "--timeout", "150s")
	return r
}

func (r *release) helm(args ...string) string {
	r.t.Helper()
	out, err := helm(r.t, append(args, "--namespace", r.namespace)...)
	if err != nil {
		pods, _ := command(r.t, "kubectl", "--namespace", r.namespace, "describe", "pods")
		logs, _ := command(r.t, "kubectl", "--namespace", r.namespace, "logs", "--selector=app.kubernetes.io/name=slipway", "--tail=40")
		r.t.Fatalf("%v\n%s\n%s", err, pods, logs)
	}
	return out
}

// slipway runs the command line on this machine, which finds every name at the
// edges.
func (r *release) slipway(input string, args ...string) string {
	r.t.Helper()
	cmd := exec.Command(r.binary, append([]string{"--config", r.config}, args...)...)
	cmd.Stdin = strings.NewReader(input)
	cmd.Env = append(os.Environ(), "HTTP_PROXY="+r.proxy())
	var faults strings.Builder
	cmd.Stderr = &faults
	out, err := cmd.Output()
	if err != nil {
		r.t.Fatalf("slipway %s: %v\n%s%s", strings.Join(args, " "), err, out, faults.String())
	}
	return strings.TrimSpace(string(out))
}

// proxy is the address of a proxy that passes every request on to the edges: a
// machine of the tests has no name server that knows of them.
func (r *release) proxy() string {
	r.once.Do(func() {
		pass := &httputil.ReverseProxy{
			Rewrite: func(p *httputil.ProxyRequest) {
				p.Out.URL.Scheme, p.Out.URL.Host, p.Out.Host = "http", r.connect(), p.In.Host
			},
			FlushInterval: -1,
		}
		server := httptest.NewServer(pass)
		r.t.Cleanup(server.Close)
		r.passes = server.URL
	})
	return r.passes
}

// client sends every request to the edges.
func (r *release) client() *http.Client {
	return &http.Client{Timeout: 90 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, r.connect())
		},
	}}
}

// visit asks for a URL, and says what the app said.
func (r *release) visit(client *http.Client, url string) (string, error) {
	resp, err := client.Get(url)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.300s", url, resp.Status, text)
	}
	return string(text), err
}

// run imports the app in a mode and starts an instance, and returns its ID and
// URL.
func (r *release) run(mode string) (id, url string) {
	r.t.Helper()
	return r.start(mode, map[string]string{"app.toml": fmt.Sprintf(
		"[App]\nName = \"hello-%s\"\nVersion = \"1.0.0\"\n\n[Runtime]\nAppMode = \"container\"\nCustomImage = %q\nRoutingMode = %q\nMemoryLimit = \"64Mi\"\nMemoryReservation = \"32Mi\"\n",
		strings.ReplaceAll(strings.ToLower(mode), "_", "-"), appImage, mode)})
}

// load visits URLs all the time until it is stopped, and counts.
func (r *release) load(urls ...string) (stop func() (good int64, faults []string)) {
	ctx, cancel := context.WithCancel(context.Background())
	var good atomic.Int64
	var lock sync.Mutex
	var faults []string
	var running sync.WaitGroup
	for _, url := range urls {
		running.Go(func() {
			client := r.client()
			for ctx.Err() == nil {
				if _, err := r.visit(client, url); err != nil {
					lock.Lock()
					faults = append(faults, time.Now().Format("15:04:05.000 ")+err.Error())
					lock.Unlock()
				} else {
					good.Add(1)
				}
				time.Sleep(5 * time.Millisecond)
			}
		})
	}
	return func() (int64, []string) {
		cancel()
		running.Wait()
		return good.Load(), faults
	}
}

// instancePods are the UIDs of the pods of instances.
func (r *release) instancePods() string {
	return kubectl(r.t, "--namespace", r.namespace+"-instances", "get", "pods", "-o", "jsonpath={.items[*].metadata.uid}")
}

// refusals are what the API server has refused the release's service accounts, as
// its audit log tells: there is to be nothing that the chart's Role lacks.
func (r *release) refusals() {
	r.t.Helper()
	log, err := os.ReadFile(filepath.Join(os.Getenv("LAB"), "logs", "audit.json"))
	if err != nil {
		r.t.Logf("what was asked of the API server is not looked at: %v", err)
		return
	}
	asked := map[string]int{}
	for line := range strings.SplitSeq(string(log), "\n") {
		var event struct {
			Verb           string
			User           struct{ Username string }
			ObjectRef      struct{ Resource, Subresource, Name, Namespace string }
			ResponseStatus struct{ Code int }
		}
		if json.Unmarshal([]byte(line), &event) != nil || !strings.HasPrefix(event.User.Username, "system:serviceaccount:"+r.namespace+":") {
			continue
		}
		asked[event.Verb+" "+event.ObjectRef.Resource]++
		if event.ResponseStatus.Code == http.StatusForbidden {
			r.t.Errorf("the API server refused: %s", line)
		}
	}
	r.t.Logf("the API server was asked: %v", asked)
}

// left is every object of every kind in a namespace, less what each namespace
// has by itself.
func left(t *testing.T, namespace string) (all []string) {
	t.Helper()
	for kind := range strings.FieldsSeq(kubectl(t, "api-resources", "--namespaced", "--verbs=list,delete", "-o", "name")) {
		if kind == "events" || kind == "events.events.k8s.io" {
			continue // they go by themselves
		}
		for name := range strings.FieldsSeq(kubectl(t, "--namespace", namespace, "get", kind, "-o", "name", "--ignore-not-found")) {
			if name != "configmap/kube-root-ca.crt" && name != "serviceaccount/default" {
				all = append(all, name)
			}
		}
	}
	return all
}
