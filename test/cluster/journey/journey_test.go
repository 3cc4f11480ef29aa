package journey

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// rare are rights of the Role that this test does not use, each with its reason.
var rare = func() map[string]string {
	why := map[string]string{
		"update configmaps/finalizers":             "where the API server has the admission plugin OwnerReferencesPermissionEnforcement, it asks for it at every object with an owner",
		"get deployments.apps":                     "one that has changed since it was seen is read anew, which depends on how fast Kubernetes is",
		"create services":                          "an apply of what is not there is asked for as patch, and needs this right too",
		"patch persistentvolumeclaims":             "a volume grows when its app asks for more",
		"create networkpolicies.networking.k8s.io": "an apply of what is not there is asked for as patch, and needs this right too",
	}
	for _, r := range []string{"configmaps", "deployments.apps", "pods", "services", "persistentvolumeclaims", "events", "networkpolicies.networking.k8s.io slipway-instances"} {
		why["list "+r] = "informers list where the API server does not send what there is as a watch"
	}
	return why
}()

// TestFromImportToEnd is what an owner and visitors do with apps on a cluster,
// by an account that may do what the chart's Role says: nothing of it is refused,
// nothing of the Role is left over, and in the end nothing is left of the apps.
func TestFromImportToEnd(t *testing.T) {
	h := newHarbour(t, 1)
	p, pods := h.planes[0], h.watchPods(t)
	before := h.everything()

	for _, mode := range []string{"DOMAIN", "BASE_URL"} {
		t.Run(mode, func(t *testing.T) {
			h := h.in(t)
			began := time.Now()
			in := h.run(h.imports("app-"+strings.ToLower(strings.ReplaceAll(mode, "_", "-")), mode, "", nil))
			figure(t, "%s: from the request to run to DEPLOYED %s", mode, time.Since(began).Round(time.Millisecond))
			first := p.visit(in.URL).said(t)
			if first.Instance != in.ID {
				t.Errorf("%s answers for %s", first.Instance, in.ID)
			}
			if there := strings.Contains(in.URL, "/instance/"); there != (mode == "BASE_URL") {
				t.Errorf("the URL is %s", in.URL)
			}
			h.suspend(in.ID)
			if left := h.pods(); len(left) > 0 {
				t.Errorf("it is SUSPENDED and there are the pods %q", left)
			}
			began = time.Now()
			second := p.visit(in.URL).said(t)
			figure(t, "%s: a visit that wakes it %s", mode, time.Since(began).Round(time.Millisecond))
			if second.Instance != in.ID || second.Listening == first.Listening {
				t.Errorf("%+v answers after %+v was suspended", second, first)
			}
			h.suspend(in.ID)
			if a := p.browse(in.URL); a.status != http.StatusOK && (a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "") {
				t.Errorf("a page of what sleeps: %d %v", a.status, a.header)
			}
			eventually(t, "the page is there", func() bool { return p.browse(in.URL).status == http.StatusOK })
			h.terminate(in.ID)
			if n := pods.runs(in.ID); n != 3 {
				t.Errorf("there were %d pods, want 3: of the start and of two wakes", n)
			}
		})
	}
	t.Run("an alias moves between two versions under load", func(t *testing.T) { h.in(t).movesAliases() })
	t.Run("started anew, and its volume stays", func(t *testing.T) { h.in(t).startsAnew() })
	t.Run("another control plane takes over", func(t *testing.T) {
		h := h.in(t)
		in := h.run(h.imports("kept", "DOMAIN", "", nil))
		was := p.visit(in.URL).said(t)
		p.Stop(t)
		p.start()
		h.leader()
		if now := p.visit(in.URL).said(t); now != was || pods.runs(in.ID) != 1 {
			t.Errorf("%+v answers, was %+v; %d pods", now, was, pods.runs(in.ID))
		}
		h.terminate(in.ID)
	})
	t.Run("no policy", func(t *testing.T) { h.in(t).switchesPolicy() })

	h.wantsAsBefore(before)
	h.wantsAllUsed(rare)
}

// wantsAsBefore wants that nothing is left of the apps, pods first.
func (h *harbour) wantsAsBefore(before []string) {
	h.t.Helper()
	if left := h.pods(); len(left) > 0 {
		h.t.Errorf("there are the pods %q", left)
	}
	var diff string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if diff = cmp.Diff(before, h.everything()); diff == "" {
			return
		}
	}
	h.t.Errorf("the namespace is not as it was before the first app (-before +after):\n%s", diff)
}

// movesAliases moves an alias to and fro while visitors come by it.
func (h *harbour) movesAliases() {
	t, api, p := h.t, h.api(), h.planes[0]
	ctx := t.Context()
	one := h.run(h.imports("version", "DOMAIN", "", map[string]string{"VERSION": "1"}))
	two := h.run(h.imports("version-two", "DOMAIN", "", map[string]string{"VERSION": "2"}))
	yes := true
	alias, err := api.CreateAlias(ctx, v1.AliasRequest{Name: "shop", InstanceID: &one.ID, Primary: &yes})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the alias leads there", func() bool { return p.visit(alias.URL).status == http.StatusOK })
	l := p.visitors(8, alias.URL, nil)
	targets := []*v1.Instance{two, one}
	for i := range 20 {
		to := targets[i%2]
		if _, err := api.AssignAlias(ctx, "shop", v1.AssignRequest{InstanceID: &to.ID, Primary: &yes}); err != nil {
			t.Fatal(err)
		}
		eventually(t, "visitors are served by the other", func() bool { s := l.last.Load(); return s != nil && s.Instance == to.ID || t.Failed() })
		l.more(20)
	}
	l.stop()
	figure(t, "%d visitors by an alias that moved 20 times, none with an error; the longest took %s", l.served.Load(), time.Duration(l.longest.Load()).Round(time.Millisecond))
	if err := api.DeleteAlias(ctx, "shop"); err != nil {
		t.Fatal(err)
	}
	h.terminate(one.ID)
	h.terminate(two.ID)
}

// startsAnew restarts and redeploys an instance with a volume, and reads its log.
func (h *harbour) startsAnew() {
	t, p, ctx := h.t, h.planes[0], h.t.Context()
	in := h.run(h.imports("volume", "DOMAIN", "VolumeMount = \"/data\"\nVolumeSize = \"16Mi\"", map[string]string{"START_LOG": "/data/starts"}))
	was := p.visit(in.URL).said(t)
	for what, again := range map[string]func(context.Context, string) (*v1.Instance, error){"restart": h.api().Restart, "redeploy": h.api().Redeploy} {
		if _, err := again(ctx, in.ID); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		eventually(t, "another pod answers after a "+what, func() bool {
			a := p.visit(in.URL)
			return a.status == http.StatusOK && a.said(t).Listening != was.Listening
		})
		was = p.visit(in.URL).said(t)
		h.await(in.ID, "DEPLOYED")
	}
	a := p.visit(strings.TrimSuffix(in.URL, "/") + "/read?/data/starts")
	if n := bytes.Count(a.body, []byte(in.ID)); a.status != http.StatusOK || n < 3 {
		t.Errorf("its volume knows of %d starts (%d), want 3: %s", n, a.status, a.body)
	}
	for _, previous := range []bool{false, true} {
		eventually(t, "its log is there", func() bool {
			log, err := h.api().InstanceLogs(ctx, in.ID, client.Logs{Previous: previous})
			if err != nil {
				return false
			}
			defer log.Close()
			text, err := io.ReadAll(log)
			return err == nil && bytes.Contains(text, []byte("testapp listens"))
		})
	}
	if left := slices.DeleteFunc(h.everything(), func(o string) bool { return !strings.HasPrefix(o, "persistentvolumeclaims.") }); len(left) != 1 {
		t.Errorf("there are the claims %q, want one", left)
	}
	h.terminate(in.ID)
}

// switchesPolicy has the control plane begin without a network policy, and with
// one again.
func (h *harbour) switchesPolicy() {
	t, p := h.t, h.planes[0]
	there := func() bool {
		return slices.ContainsFunc(h.everything(), func(o string) bool { return strings.HasPrefix(o, "networkpolicies.") })
	}
	for _, on := range []bool{false, true} {
		p.Stop(t)
		if p.network = "network off"; on {
			p.network = ""
		}
		p.start()
		eventually(t, "the policy is as the settings say", func() bool { return there() == on })
	}
}
