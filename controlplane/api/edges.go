package api

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
)

type edgesQuery struct {
	Revision string `query:"revision" doc:"a Slipway-Revision: tell which edges have applied it" pattern:"^[0-9]{0,18}$"`
	Wait     string `query:"wait" doc:"with revision: answer when all edges have it, or after this time, e.g. 5s; at most 30s" maxLength:"16"`
}

func (s *server) registerEdges(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "list-edges", Method: http.MethodGet, Path: "/api/v1/edges", Tags: []string{"edges"},
		Summary: "List the live edges, and which have applied a revision",
	}, func(ctx context.Context, in *edgesQuery) (*struct{ Body v1.EdgeList }, error) {
		revision, wait, err := in.read()
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		list, err := s.Service.AwaitEdges(ctx, actorOf(ctx), revision, wait)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &struct{ Body v1.EdgeList }{edgeList(list, in.Revision != "")}, nil
	})
}

func (q *edgesQuery) read() (revision int64, wait time.Duration, err error) {
	if q.Revision != "" {
		if revision, err = strconv.ParseInt(q.Revision, 10, 64); err != nil {
			return 0, 0, controlplane.Errorf(controlplane.CodeInvalid, "revision %q is not a number", q.Revision)
		}
	}
	if q.Wait == "" {
		return revision, 0, nil
	}
	wait, err = time.ParseDuration(q.Wait)
	switch {
	case err != nil || wait < 0:
		return 0, 0, controlplane.Errorf(controlplane.CodeInvalid, "wait %q is not a duration", q.Wait).WithHint("for example wait=5s")
	case q.Revision == "":
		return 0, 0, controlplane.Errorf(controlplane.CodeInvalid, "wait needs a revision to wait for")
	}
	return revision, wait, nil
}

// edgeList shows who has applied a revision only where one was asked for.
func edgeList(list controlplane.EdgeList, asked bool) v1.EdgeList {
	out := v1.EdgeList{List: v1.List[v1.Edge]{Items: make([]v1.Edge, len(list.Items)), Revision: revision(list.Revision)}}
	if asked {
		out.All = &list.All
	}
	for i, e := range list.Items {
		out.Items[i] = v1.Edge{
			Name: e.Name, Revision: revision(e.Revision), LagMS: e.Lag.Milliseconds(), Version: e.Version,
			Connections: e.Connections, Since: e.Since.UTC(),
		}
		if asked {
			out.Items[i].Applied = &list.Items[i].Applied
		}
	}
	return out
}
