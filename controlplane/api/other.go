package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
)

type explainQuery struct {
	URL       string `query:"url" required:"true" doc:"an absolute URL, as a client would ask for it" maxLength:"32768"`
	Method    string `query:"method" doc:"GET without one"`
	WebSocket bool   `query:"websocket" doc:"as an upgrade to a WebSocket"`
}

func (s *server) registerOther(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "explain", Method: http.MethodGet, Path: "/api/v1/explain", Summary: "What an edge answers to a request, and why",
	}, func(ctx context.Context, in *explainQuery) (*explained, error) {
		return s.explain(ctx, v1.ExplainRequest{URL: in.URL, Method: in.Method, WebSocket: in.WebSocket})
	})
	huma.Register(api, huma.Operation{
		OperationID: "explain-request", Method: http.MethodPost, Path: "/api/v1/explain",
		Summary: "What an edge answers to a request with headers, and why", Description: "It changes nothing. Headers are not taken from a query, since that is logged.",
	}, func(ctx context.Context, in *struct{ Body v1.ExplainRequest }) (*explained, error) {
		return s.explain(ctx, in.Body)
	})
}

type explained struct{ Body v1.Explanation }

func (s *server) explain(ctx context.Context, r v1.ExplainRequest) (*explained, error) {
	if err := s.Service.Allow(actorOf(ctx), controlplane.Explain); err != nil {
		return nil, s.fail(ctx, err)
	}
	e, err := s.Explain(controlplane.ExplainRequest(r))
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	out := v1.Explanation{
		URL: e.URL, Method: e.Method, Kind: e.Kind, Status: e.Status, Location: e.Location, Code: e.Code, Type: e.Type,
		Rule: e.Rule, Alias: e.Alias, Instance: e.Instance, State: e.State, Endpoint: e.Endpoint, Revision: e.Revision,
		Steps: make([]v1.ExplanationStep, len(e.Steps)), Sent: e.Sent, Dropped: e.Dropped,
	}
	for i, step := range e.Steps {
		out.Steps[i] = v1.ExplanationStep(step)
	}
	return &explained{out}, nil
}

// etag is the store's revision as an entity tag.
func etag(rev int64) string { return `"` + revision(rev) + `"` }

func revision(rev int64) string { return strconv.FormatInt(rev, 10) }

func (s *server) logFailure(p *problem, err error) {
	s.Log.Error("API call failed", zap.String("request_id", p.RequestID), zap.Int("status", p.Status), zap.Error(err))
}
