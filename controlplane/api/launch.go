package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/lifecycle"
)

// redirect is an answer that leads elsewhere.
type redirect struct {
	Location string `header:"Location"`
}

// registerLaunch registers what tells what apps can ask for, and what of that
// they are.
func (s *server) registerLaunch(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "list-runtime-versions", Method: http.MethodGet, Path: "/api/v1/runtime-versions", Tags: []string{"apps"},
		Summary: "List the runtime versions that app.toml can name",
	}, func(ctx context.Context, _ *struct{}) (*struct{ Body v1.Items[v1.RuntimeVersion] }, error) {
		list, err := s.Service.RuntimeVersions(actorOf(ctx))
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		out := v1.Items[v1.RuntimeVersion]{Items: make([]v1.RuntimeVersion, len(list))}
		for i, r := range list {
			out.Items[i] = runtimeVersion(r)
		}
		return &struct {
			Body v1.Items[v1.RuntimeVersion]
		}{out}, nil
	})
	huma.Register(api, huma.Operation{
		OperationID: "list-launch-profiles", Method: http.MethodGet, Path: "/api/v1/launch-profiles", Tags: []string{"apps"},
		Summary: "List the launch profiles that apps can have and instances can be started with",
	}, func(ctx context.Context, _ *struct{}) (*struct{ Body v1.Items[v1.LaunchProfile] }, error) {
		list, err := s.Service.LaunchProfiles(actorOf(ctx))
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		out := v1.Items[v1.LaunchProfile]{Items: make([]v1.LaunchProfile, len(list))}
		for i, p := range list {
			out.Items[i] = v1.LaunchProfile{Name: p.Name, Resources: v1.Resources(p.Resources)}
		}
		return &struct {
			Body v1.Items[v1.LaunchProfile]
		}{out}, nil
	})
	huma.Register(api, huma.Operation{
		OperationID: "app-meta", Method: http.MethodGet, Path: "/api/v1/apps/{id}/meta", Tags: []string{"apps"},
		Summary: "Show what the bundle of an app says of itself",
	}, func(ctx context.Context, in *ByID) (*struct{ Body v1.AppMeta }, error) {
		meta, err := s.Service.AppMeta(ctx, actorOf(ctx), in.ID)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		out := v1.AppMeta{App: meta.App, Requirements: meta.Requirements, Packages: meta.Packages, Files: make([]v1.BundleFile, len(meta.Files))}
		for i, f := range meta.Files {
			out.Files[i] = v1.BundleFile(f)
		}
		return &struct{ Body v1.AppMeta }{out}, nil
	})
	huma.Register(api, huma.Operation{
		OperationID: "visit-app", Method: http.MethodGet, Path: "/api/v1/apps/{id}/visit", Tags: []string{"apps"},
		Summary: "Go to an app", DefaultStatus: http.StatusFound,
		Description: "A link leads to its address. Otherwise it is the newest instance that the caller may open, their own before others'; 409 where there is none.",
	}, func(ctx context.Context, in *ByID) (*redirect, error) {
		link, instance, err := s.Service.Visit(ctx, actorOf(ctx), in.ID)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		if instance != nil {
			link = lifecycle.CanonicalURL(s.Site, instance)
		}
		return &redirect{link}, nil
	})
	huma.Register(api, huma.Operation{
		OperationID: "refresh-app", Method: http.MethodPost, Path: "/api/v1/apps/{id}/preconditions", Tags: []string{"apps"},
		Summary: "Check at once whether an app can be run", DefaultStatus: http.StatusOK,
	}, func(ctx context.Context, in *ByID) (*one[v1.App], error) {
		app, err := s.Service.RefreshApp(ctx, actorOf(ctx), in.ID)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		body, err := s.app(ctx, app)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &one[v1.App]{ETag: etag(app.Revision), Revision: revision(app.Revision), Body: body}, nil
	})
	huma.Register(api, huma.Operation{
		OperationID: "refresh-apps", Method: http.MethodPost, Path: "/api/v1/preconditions", Tags: []string{"apps"},
		Summary: "Check at once whether each app can be run (admins)", DefaultStatus: http.StatusOK,
		Description: "The leading control plane does so every ten minutes. What has changed is in the audit.",
	}, func(ctx context.Context, _ *struct{}) (*struct{ Body v1.Refreshed }, error) {
		checked, changed, err := s.Service.RefreshApps(ctx, actorOf(ctx))
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &struct{ Body v1.Refreshed }{v1.Refreshed{Checked: checked, Changed: changed}}, nil
	})
}

func runtimeVersion(r controlplane.RuntimeVersion) v1.RuntimeVersion {
	out := v1.RuntimeVersion{Name: r.Name, Status: "available", Python: optional(r.Python), Image: optional(r.Image)}
	switch {
	case r.Default:
		out.Status = "default"
	case r.Deprecated:
		out.Status = "deprecated"
	}
	return out
}
