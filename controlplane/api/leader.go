package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

func (s *server) registerLeader(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "get-leader", Method: http.MethodGet, Path: "/api/v1/leader", Tags: []string{"edges"},
		Summary: "Show which control plane leads", Description: "It alone starts, stops and removes instances. 503 while none leads.",
	}, func(ctx context.Context, _ *struct{}) (*struct{ Body v1.Leader }, error) {
		l, err := s.Service.Leading(ctx, actorOf(ctx))
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &struct{ Body v1.Leader }{v1.Leader{
			Name: l.Name, Address: optional(l.Address), Since: l.Since.UTC(), Epoch: l.Epoch,
		}}, nil
	})
}
