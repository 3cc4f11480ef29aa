package api

import (
	"context"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// What browsers may do with the parts of an app that are shown: they come from
// bundles, even if we have made them anew. Links of a description open beside it,
// as pages of their own.
const (
	picturePolicy     = "default-src 'none'; sandbox"
	descriptionPolicy = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox allow-popups allow-popups-to-escape-sandbox"
)

// registerShown registers the parts of an app that people see. Who may see the
// app may see them.
func (s *server) registerShown(api huma.API) {
	pictures := map[string]*huma.MediaType{"image/png": binary(), "image/jpeg": binary()}
	huma.Register(api, huma.Operation{
		OperationID: "get-app-icon", Method: http.MethodGet, Path: "/api/v1/apps/{id}/icon", Tags: []string{"apps"},
		Summary: "Get an app's icon: a PNG of at most 64 pixels a side and 8 KiB", Responses: answers(map[string]*huma.MediaType{"image/png": binary()}),
	}, func(ctx context.Context, in *ByID) (*huma.StreamResponse, error) {
		part, err := s.Service.ShowIcon(ctx, actorOf(ctx), in.ID)
		return s.shown(ctx, part, picturePolicy, err)
	})
	huma.Register(api, huma.Operation{
		OperationID: "get-app-screenshot", Method: http.MethodGet, Path: "/api/v1/apps/{id}/screenshots/{n}", Tags: []string{"apps"},
		Summary: "Get a screenshot of an app: a PNG or JPEG of at most 1600 pixels a side and 2 MiB", Responses: answers(pictures),
	}, func(ctx context.Context, in *struct {
		ByID
		N int `path:"n" doc:"from 1 on" minimum:"1" maximum:"100"`
	}) (*huma.StreamResponse, error) {
		part, err := s.Service.ShowScreenshot(ctx, actorOf(ctx), in.ID, in.N)
		return s.shown(ctx, part, picturePolicy, err)
	})
	huma.Register(api, huma.Operation{
		OperationID: "get-app-description", Method: http.MethodGet, Path: "/api/v1/apps/{id}/description", Tags: []string{"apps"},
		Summary:   "Get an app's long description: a fragment of HTML without scripts, styles and pictures",
		Responses: answers(map[string]*huma.MediaType{"text/html": {Schema: &huma.Schema{Type: "string"}}}),
	}, func(ctx context.Context, in *ByID) (*huma.StreamResponse, error) {
		part, err := s.Service.ShowDescription(ctx, actorOf(ctx), in.ID)
		return s.shown(ctx, part, descriptionPolicy, err)
	})
}

func binary() *huma.MediaType {
	return &huma.MediaType{Schema: &huma.Schema{Type: "string", Format: "binary"}}
}

func answers(content map[string]*huma.MediaType) map[string]*huma.Response {
	return map[string]*huma.Response{"200": {Description: "OK", Content: content}}
}

// shown streams a part. Its entity tag is its digest; a browser that keeps it
// asks each time, since the right to see it may end.
func (s *server) shown(ctx context.Context, part *controlplane.Shown, policy string, err error) (*huma.StreamResponse, error) {
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		defer part.Close()
		r, w := humago.Unwrap(hctx)
		h := w.Header()
		h.Set("Cache-Control", "private, no-cache")
		h.Set("Content-Security-Policy", policy)
		h.Set("Content-Type", part.Type)
		h.Set("ETag", `"`+part.Digest+`"`)
		http.ServeContent(w, r, "", part.App.CreatedAt, io.NewSectionReader(part, 0, part.Size()))
	}}, nil
}
