package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// BundleTarget is path and query of a signed link to a bundle.
func BundleTarget(l controlplane.BundleLink, signature string) string {
	query := url.Values{
		"instance": {l.Instance}, "generation": {strconv.FormatInt(l.Generation, 10)},
		"expires": {strconv.FormatInt(l.Expires.Unix(), 10)}, "signature": {signature},
	}
	return "/api/v1/bundles/" + l.Digest + "?" + query.Encode()
}

// linkQuery is what BundleTarget writes.
type linkQuery struct {
	Digest     string `path:"digest" doc:"SHA-256 of the bundle, hexadecimal" maxLength:"64"`
	Instance   string `query:"instance" required:"true" doc:"whose start it is for" maxLength:"64"`
	Generation int64  `query:"generation" required:"true" doc:"which start of it"`
	Expires    int64  `query:"expires" required:"true" doc:"when the link ends, in seconds since 1970"`
	Signature  string `query:"signature" required:"true" doc:"of all the others; it begins with slw_b_" maxLength:"128"`
}

func (s *server) registerBundleLinks(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "fetch-bundle", Method: http.MethodGet, Path: "/api/v1/bundles/{digest}", Tags: []string{"apps"}, Security: nobody,
		Summary:     "For launchers: fetch the bundle of an instance that starts, by the signed link of that start",
		Description: "403 for a link that is not signed here, 410 for one that is over. It takes Range, and its ETag is the digest.",
		Responses: map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{
			"application/zip": {Schema: &huma.Schema{Type: "string", Format: "binary"}},
		}}},
	}, func(ctx context.Context, in *linkQuery) (*huma.StreamResponse, error) {
		app, blob, err := s.Service.OpenLinkedBundle(ctx, controlplane.BundleLink{
			Digest: in.Digest, Instance: in.Instance, Generation: in.Generation, Expires: time.Unix(in.Expires, 0).UTC(),
		}, in.Signature)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return archive(app, blob), nil
	})
}
