package chart

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// TestTrial installs the trial as its notes tell to, uses it, upgrades it and
// takes it away.
func TestTrial(t *testing.T) {
	needs(t)
	space := fmt.Sprintf("chart-trial-%d", os.Getpid())
	port := slipwaytest.FreePort(t)
	v := trial.with(values{
		"baseURL":          "http://localhost:" + port,
		"fullnameOverride": space,
		"settings":         values{"allowedImages": []string{`slipway\.test/.*`}, "baseURLSharing": true, "runtimeVersions": runtimes(t)},
	})
	kubectl(t, "create", "namespace", space)
	kubectl(t, "label", "namespace", space, "pod-security.kubernetes.io/enforce=restricted")
	serveNames(t)
	r := install(t, space, v)
	r.helm("test", "slipway", "--timeout", "90s")

	end := r.forward(port)
	r.connect = func() string { return "127.0.0.1:" + port }
	r.signIn("exec", space+"-0")
	if who := r.slipway("", "whoami"); !strings.Contains(who, "admin") {
		t.Errorf("the one who signed in is %q", who)
	}
	_, byHost := r.run("DOMAIN")
	id, byPath := r.run("BASE_URL")
	r.bundle()
	pods := r.instancePods()

	// An upgrade with another setting: the pod is another one, the instances' are
	// not, and answer.
	end()
	before := kubectl(t, "--namespace", space, "get", "pod", space+"-0", "-o", "jsonpath={.metadata.uid}")
	r.helm("upgrade", "slipway", folder, "--values", v.with(values{"settings": values{"hold": "61s"}}).file(t), "--wait", "--timeout", "150s")
	if after := kubectl(t, "--namespace", space, "get", "pod", space+"-0", "-o", "jsonpath={.metadata.uid}"); after == before {
		t.Error("the changed setting replaced no pod")
	}
	defer r.forward(port)()
	for _, url := range []string{byHost, byPath} {
		if _, err := r.visit(r.client(), url); err != nil {
			t.Error(err)
		}
	}
	if now := r.instancePods(); now != pods {
		t.Errorf("the instances' pods are %s, and were %s", now, pods)
	}

	// Asleep, and awake by a visit.
	r.slipway("", "instance", "suspend", id, "--wait")
	if now := r.instancePods(); strings.Contains(now, " ") {
		t.Errorf("after a suspend there are the pods %s", now)
	}
	if _, err := r.visit(r.client(), byPath); err != nil {
		t.Errorf("a visit to the sleeping instance: %v", err)
	}

	r.refusals()
	r.helm("uninstall", "slipway", "--wait", "--timeout", "120s")
	eventually(t, 60*time.Second, "the namespace of the instances is gone", func() error {
		if out := kubectl(t, "get", "namespace", space+"-instances", "--ignore-not-found"); out != "" {
			return fmt.Errorf("it is there: %s", out)
		}
		return nil
	})
	eventually(t, 30*time.Second, "nothing is left", func() error {
		if all := left(t, space); len(all) > 0 {
			return fmt.Errorf("there are %v", all)
		}
		return nil
	})
}

// signIn makes a token in a pod, and a context of it here.
func (r *release) signIn(exec ...string) {
	r.t.Helper()
	args := append([]string{"--namespace", r.namespace}, exec...)
	token := kubectl(r.t, append(args, "--", "slipway", "token", "create", "chart", "--scopes", "read,write,open,admin")...)
	r.config = filepath.Join(r.t.TempDir(), "cli.toml")
	r.slipway(token, "login", "--token", r.origin)
}

// forward brings a port of the trial's pod here, until the end of it.
func (r *release) forward(port string) (end func()) {
	r.t.Helper()
	cmd := exec.Command("kubectl", "--namespace", r.namespace, "port-forward", "statefulset/"+r.namespace, port)
	out, err := cmd.StdoutPipe()
	if err != nil {
		r.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); !strings.HasPrefix(line, "Forwarding") {
		r.t.Fatalf("kubectl says %q, %v", line, err)
	}
	return func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
}

func eventually(t *testing.T, within time.Duration, what string, try func() error) {
	t.Helper()
	var err error
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(500 * time.Millisecond) {
		if err = try(); err == nil {
			return
		}
	}
	t.Errorf("%s: not after %s: %v", what, within, err)
}
