package api

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"go.uber.org/zap"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/routing"
)

type explainQuery struct {
	URL       string `query:"url" required:"true" doc:"an absolute URL, as a client would ask for it" maxLength:"32768"`
	Method    string `query:"method" default:"GET"`
	WebSocket bool   `query:"websocket" doc:"as an upgrade to a WebSocket"`
}

func (s *server) registerOther(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "me", Method: http.MethodGet, Path: "/api/v1/me", Summary: "Who the caller is",
	}, func(ctx context.Context, _ *struct{}) (*struct{ Body v1.Me }, error) {
		actor := actorOf(ctx)
		return &struct{ Body v1.Me }{v1.Me{User: actor.User, Admin: actor.Admin}}, nil
	})
	huma.Register(api, huma.Operation{
		OperationID: "explain", Method: http.MethodGet, Path: "/api/v1/explain", Summary: "What an edge answers to a request, and why",
	}, func(ctx context.Context, in *explainQuery) (*struct{ Body v1.Explanation }, error) {
		e, err := s.explain(in)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &struct{ Body v1.Explanation }{*e}, nil
	})
}

// explain asks the route table exactly as the edge does.
func (s *server) explain(q *explainQuery) (*v1.Explanation, error) {
	host, target, err := splitURL(q.URL)
	if err != nil {
		return nil, err
	}
	table := s.Table()
	d := table.Decide(s.Site, routing.Request{Method: q.Method, Host: host, Target: target, Upgrade: q.WebSocket})
	e := &v1.Explanation{
		URL: q.URL, Method: q.Method, Kind: d.Kind.String(), Status: d.Status, Location: d.Location,
		Rule: d.Rule.String(), Revision: strconv.FormatInt(table.Revision(), 10),
	}
	if d.Alias != nil {
		e.Alias = &d.Alias.Name
	}
	if d.Instance != nil {
		id := d.Instance.ID.String()
		e.Instance, e.State = &id, d.Instance.Status.String()
		if d.Kind == routing.Serve {
			e.Endpoint = d.Instance.Endpoint.String()
		}
	}
	return e, nil
}

// splitURL takes a URL apart by hand: a parser would tidy up what is asked.
func splitURL(raw string) (host, target string, err error) {
	scheme, rest, found := strings.Cut(raw, "://")
	if !found || !strings.EqualFold(scheme, "http") && !strings.EqualFold(scheme, "https") {
		return "", "", controlplane.Errorf(controlplane.CodeInvalid, "%q is not an absolute http or https URL", raw).
			WithHint("for example %s", (&url.URL{Scheme: "https", Host: "sales.apps.example.com", Path: "/"}).String())
	}
	rest, _, _ = strings.Cut(rest, "#")
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		return rest, "/", nil
	}
	host, target = rest[:end], rest[end:]
	if target[0] == '?' {
		target = "/" + target
	}
	return host, target, nil
}

// etag is the store's revision as an entity tag.
func etag(rev int64) string { return `"` + revision(rev) + `"` }

func revision(rev int64) string { return strconv.FormatInt(rev, 10) }

func (s *server) logFailure(p *problem, err error) {
	s.Log.Error("API call failed", zap.String("request_id", p.RequestID), zap.Int("status", p.Status), zap.Error(err))
}
