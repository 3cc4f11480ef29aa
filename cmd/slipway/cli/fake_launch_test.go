package cli

import (
	"net/http"
	"slices"
	"strings"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

func (f *fakeAPI) handleLaunch(handle func(pattern string, status int, h func(r *http.Request) (any, error))) {
	handle("GET /api/v1/runtime-versions", 200, func(*http.Request) (any, error) {
		if f.guide != nil {
			return v1.Items[v1.RuntimeVersion]{Items: []v1.RuntimeVersion{{Name: "deb11_py310_wlatest", Status: "default"}, {Name: "ub2004_cuda114_cudnn8_py38_wlatest", Status: "available"}}}, nil
		}
		return v1.Items[v1.RuntimeVersion]{Items: []v1.RuntimeVersion{
			{Name: "deb11_py38_wlatest", Status: "deprecated", Python: new("3.8")},
			{Name: "deb11_py310_wlatest", Status: "default", Python: new("3.10"), Image: new("registry.example.com/py310:1")},
			{Name: "any", Status: "available"},
		}}, nil
	})
	handle("GET /api/v1/launch-profiles", 200, func(*http.Request) (any, error) {
		return v1.Items[v1.LaunchProfile]{Items: []v1.LaunchProfile{
			{Name: "small", Resources: v1.Resources{MemoryLimit: "256Mi"}},
			{Name: "large", Resources: v1.Resources{MemoryLimit: "8Gi", MemoryReservation: "4Gi", CPULimit: "4", CPUReservation: "500m", GPUCount: 1, GPUType: "a100"}},
		}}, nil
	})
	handle("GET /api/v1/apps/{id}/meta", 200, func(r *http.Request) (any, error) {
		a, err := f.app(r.PathValue("id"))
		if err != nil {
			return nil, err
		}
		return v1.AppMeta{
			App: "[App]\nName = \"" + a.Name + "\"\n", Requirements: new("h2o-wave==1.1.2\n\x1b[31m# evil"),
			Files: []v1.BundleFile{{Path: "app.toml", Size: 26}, {Path: "static/icon.png", Size: 1024}},
		}, nil
	})
	handle("POST /api/v1/apps/{id}/preconditions", 200, func(r *http.Request) (any, error) { return f.app(r.PathValue("id")) })
	handle("POST /api/v1/preconditions", 200, func(r *http.Request) (any, error) {
		if !admin(r) {
			return nil, controlplane.Errorf(controlplane.CodeForbidden, "this is for admins").WithHint("ask an admin")
		}
		return v1.Refreshed{Checked: len(f.apps), Changed: 1}, nil
	})
	handle("POST /api/v1/instances/{id}/redeploy", 200, func(r *http.Request) (any, error) {
		in, err := f.instance(r.PathValue("id"))
		if err == nil && in.Status == "DEPLOYED" {
			in.Status, in.Stage = "RESUMING", new("queued")
		}
		return in, err
	})
}

// listApps picks as the server does, as far as scripts ask for it.
func (f *fakeAPI) listApps(r *http.Request) (any, error) {
	q := r.URL.Query()
	if v := q.Get("visibility"); v != "" && !controlplane.Visibility(v).Valid() {
		return nil, controlplane.Errorf(controlplane.CodeInvalid, "visibility %q does not exist", v)
	}
	return page(r, picked(f.apps, func(a *v1.App) bool {
		text := strings.ToLower(a.Name + " " + a.Title + " " + a.Description)
		return (q.Get("mine") == "" || a.Owner == f.caller(r).user) && (q.Get("name") == "" || q.Get("name") == a.Name) &&
			(q.Get("owner") == "" || q.Get("owner") == a.Owner) && (q.Get("tag") == "" || slices.Contains(a.Tags, q.Get("tag"))) &&
			(q.Get("visibility") == "" || q.Get("visibility") == a.Visibility) && strings.Contains(text, strings.ToLower(q.Get("q")))
	}))
}

func (f *fakeAPI) listInstances(r *http.Request) (any, error) {
	q := r.URL.Query()
	return page(r, picked(f.instances, func(in *v1.Instance) bool {
		return (q.Get("mine") == "" || in.Owner == f.caller(r).user) && (q.Get("app") == "" || q.Get("app") == in.AppName || strings.HasPrefix(in.AppID, q.Get("app"))) &&
			(q.Get("status") == "" || q.Get("status") == in.Status) && (q.Get("owner") == "" || q.Get("owner") == in.Owner)
	}))
}

func picked[T any](list []*T, has func(*T) bool) []*T {
	return slices.DeleteFunc(slices.Clone(list), func(item *T) bool { return !has(item) })
}
