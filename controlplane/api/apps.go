package api

import (
	"context"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// one is an answer with one object and the revision that it was read or
// changed at.
type one[T any] struct {
	ETag     string `header:"ETag"`
	Revision string `header:"Slipway-Revision"`
	Body     T
}

type page[T any] struct {
	Body v1.List[T]
}

// none is an answer without a body, to a change.
type none struct {
	Revision string `header:"Slipway-Revision"`
}

// ByID is the path of one object. It is exported, as are the other parts of
// requests: huma reads no field of an embedded struct that is not.
type ByID struct {
	ID string `path:"id" doc:"an ID, or at least the first 6 characters of one" maxLength:"64"`
}

// upload hands the body on unread, so that a bundle is never in memory.
type upload struct {
	Visibility    string `query:"visibility" doc:"PRIVATE (default), ALL_USERS or PUBLIC"`
	Image         string `query:"image" doc:"of a container app, in place of the manifest's; the admins' to give" maxLength:"512"`
	LaunchProfile string `query:"launch_profile" doc:"of instances that are started without one"`
	body          io.Reader
	mediaType     string
}

// Resolve implements huma.Resolver.
func (u *upload) Resolve(ctx huma.Context) []error {
	u.body = ctx.BodyReader()
	u.mediaType = ctx.Header("Content-Type")
	return nil
}

func (s *server) registerApps(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "import-bundle", Method: http.MethodPost, Path: "/api/v1/bundles", Tags: []string{"apps"},
		Summary: "Import a bundle", DefaultStatus: http.StatusCreated,
		RequestBody: &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
			"application/zip": {Schema: &huma.Schema{Type: "string", Format: "binary"}},
		}},
	}, func(ctx context.Context, in *upload) (*one[v1.App], error) {
		if kind, _, _ := mime.ParseMediaType(in.mediaType); kind != "application/zip" && kind != "application/octet-stream" {
			return nil, s.fail(ctx, controlplane.Errorf(controlplane.CodeInvalid, "a bundle is sent as application/zip, not %q", in.mediaType).
				WithHint("slipway bundle import FILE sends it right"))
		}
		app, warnings, err := s.Service.ImportAppAs(ctx, actorOf(ctx), in.body, controlplane.Import{
			Visibility: controlplane.Visibility(in.Visibility), Image: in.Image, LaunchProfile: in.LaunchProfile,
		})
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		view, err := s.app(ctx, app)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		for _, w := range warnings {
			view.Warnings = append(view.Warnings, v1.Fault(w))
		}
		return &one[v1.App]{ETag: etag(app.Revision), Revision: revision(app.Revision), Body: view}, nil
	})
	huma.Register(api, huma.Operation{
		OperationID: "list-apps", Method: http.MethodGet, Path: "/api/v1/apps", Tags: []string{"apps"}, Summary: "List apps",
	}, func(ctx context.Context, in *struct {
		PageQuery
		AppQuery
	}) (*page[v1.App], error) {
		p, err := in.page()
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		apps, err := s.Service.FindApps(ctx, actorOf(ctx), in.filter(), p)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		views, err := s.apps(ctx, apps)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &page[v1.App]{views}, nil
	})
	huma.Register(api, huma.Operation{
		OperationID: "get-app", Method: http.MethodGet, Path: "/api/v1/apps/{id}", Tags: []string{"apps"}, Summary: "Get an app",
	}, func(ctx context.Context, in *ByID) (*one[v1.App], error) {
		app, err := s.Service.App(ctx, actorOf(ctx), in.ID)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		view, err := s.app(ctx, app)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &one[v1.App]{ETag: etag(app.Revision), Body: view}, nil
	})
	huma.Register(api, huma.Operation{
		OperationID: "update-app", Method: http.MethodPatch, Path: "/api/v1/apps/{id}", Tags: []string{"apps"},
		Summary: "Change an app's visibility, tags, image or launch profile", Description: "The image is of container apps, and the admins' to set. " +
			"Tags are all that the app is to have; who has one of a tag's admin roles may give and take that tag whoever owns the app.",
	}, func(ctx context.Context, in *struct {
		ByID
		Body v1.AppPatch
	}) (*one[v1.App], error) {
		app, err := s.Service.UpdateApp(ctx, actorOf(ctx), in.ID, controlplane.AppChange{
			Visibility: (*controlplane.Visibility)(in.Body.Visibility), Tags: in.Body.Tags, Image: in.Body.Image, LaunchProfile: in.Body.LaunchProfile,
		})
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		view, err := s.app(ctx, app)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &one[v1.App]{ETag: etag(app.Revision), Revision: revision(app.Revision), Body: view}, nil
	})
	huma.Register(api, huma.Operation{
		OperationID: "download-bundle", Method: http.MethodGet, Path: "/api/v1/apps/{id}/bundle", Tags: []string{"apps"},
		Summary: "Download the bundle that an app was imported from",
		Responses: map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{
			"application/zip": {Schema: &huma.Schema{Type: "string", Format: "binary"}},
		}}},
	}, s.bundle)
	huma.Register(api, huma.Operation{
		OperationID: "delete-app", Method: http.MethodDelete, Path: "/api/v1/apps/{id}", Tags: []string{"apps"},
		Summary: "Delete an app that has no instances",
	}, func(ctx context.Context, in *struct {
		ByID
		Force bool `query:"force" doc:"admins: terminate its instances first; repeat until it is gone"`
	}) (*none, error) {
		rev, err := s.Service.DeleteApp(ctx, actorOf(ctx), in.ID, in.Force)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &none{revision(rev)}, nil
	})
}

// bundle streams an archive. Its entity tag is its digest.
func (s *server) bundle(ctx context.Context, in *ByID) (*huma.StreamResponse, error) {
	app, blob, err := s.Service.OpenBundle(ctx, actorOf(ctx), in.ID)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return archive(app, blob), nil
}

// archive streams a blob, or the range of it that is asked for, and closes it.
func archive(app *controlplane.App, blob controlplane.Blob) *huma.StreamResponse {
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		defer blob.Close()
		r, w := humago.Unwrap(hctx)
		h := w.Header()
		h.Set("Content-Type", "application/zip")
		h.Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": fileName(app)}))
		h.Set("ETag", `"`+app.Bundle+`"`)
		http.ServeContent(w, r, "", app.CreatedAt, io.NewSectionReader(blob, 0, blob.Size()))
	}}
}

// fileName is what slipway bundle calls the file, of characters that are
// harmless everywhere.
func fileName(app *controlplane.App) string {
	return strings.Map(func(c rune) rune {
		if c < 0x80 && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("._-", c)) {
			return c
		}
		return '_'
	}, app.Name+"."+app.Version+".wave")
}
