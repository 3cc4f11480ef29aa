package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
)

type auditQuery struct {
	PageQuery
	Actor  string `query:"actor" doc:"only what this user did" maxLength:"200"`
	Object string `query:"object" doc:"only what was done to this, e.g. alias/sales; app/ is all apps" maxLength:"200"`
	Follow bool   `query:"follow" doc:"server-sent events (event audit, id the revision, data a record) of what comes, until the caller leaves"`
	LastID string `header:"Last-Event-ID" doc:"with follow: go on after this revision" pattern:"^[0-9]{0,18}$"`
}

func (s *server) registerAudit(api huma.API) {
	list := api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[v1.List[v1.AuditRecord]](), true, "ListAuditRecord")
	huma.Register(api, huma.Operation{
		OperationID: "list-audit", Method: http.MethodGet, Path: "/api/v1/audit", Tags: []string{"audit"},
		Summary: "List or follow the records of what was changed", Description: "The newest comes last.",
		Responses: map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{
			"application/json":  {Schema: list},
			"text/event-stream": {Schema: &huma.Schema{Type: "string"}},
		}}},
	}, s.audit)
}

func (s *server) audit(ctx context.Context, q *auditQuery) (*huma.StreamResponse, error) {
	filter := controlplane.AuditFilter{Actor: q.Actor, Object: q.Object}
	if q.Follow {
		return s.followAudit(ctx, q, filter)
	}
	p, err := q.page()
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	records, err := s.Service.AuditRecords(ctx, actorOf(ctx), filter, p)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	body, err := json.Marshal(listOf(records, auditView))
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		hctx.SetHeader("Content-Type", "application/json")
		_, _ = hctx.BodyWriter().Write(append(body, '\n')) // a caller who left needs no answer
	}}, nil
}

// Of a stream of events.
const (
	keepAlive    = 15 * time.Second // between two comments, by which a caller who left is noticed
	eventTimeout = 20 * time.Second // for one write
)

// followAudit sends what comes. It ends when the caller leaves or may not read
// on, and with the store's memory.
func (s *server) followAudit(ctx context.Context, q *auditQuery, filter controlplane.AuditFilter) (*huma.StreamResponse, error) {
	after := int64(0)
	if q.LastID != "" {
		var err error
		if after, err = strconv.ParseInt(q.LastID, 10, 64); err != nil {
			return nil, s.fail(ctx, controlplane.Errorf(controlplane.CodeInvalid, "Last-Event-ID %q is not a revision", q.LastID))
		}
	}
	watch, stop := context.WithCancel(ctx)
	records, ready := make(chan *controlplane.AuditRecord), make(chan struct{})
	ended, done := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(done)
		what := controlplane.AuditFollow{AuditFilter: filter, After: after, Ready: func() { close(ready) }}
		ended <- s.Service.FollowAudit(watch, actorOf(ctx), what, func(r *controlplane.AuditRecord) {
			select {
			case records <- r:
			case <-watch.Done():
			}
		})
	}()
	select {
	case <-ready:
	case err := <-ended:
		stop()
		return nil, s.fail(ctx, err)
	}
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		defer func() {
			stop()
			<-done
		}()
		r, w := humago.Unwrap(hctx)
		w.Header().Set("Content-Type", "text/event-stream")
		out := eventWriter{w, http.NewResponseController(w)}
		comments, checks := time.NewTicker(keepAlive), time.NewTicker(recheck)
		defer comments.Stop()
		defer checks.Stop()
		for err := out.write(": audit\n\n"); err == nil; {
			select {
			case record := <-records:
				err = out.audit(record)
			case <-comments.C:
				err = out.write(":\n\n")
			case <-checks.C:
				err = s.still(r, func(a controlplane.Actor) error { return s.Service.Allow(a, controlplane.SeeAudit) })
			case <-done:
				return
			case <-ctx.Done():
				return
			}
		}
	}}, nil
}

// eventWriter writes server-sent events.
type eventWriter struct {
	w http.ResponseWriter
	c *http.ResponseController
}

func (e eventWriter) write(text string) error {
	// Where there are no deadlines the server's own ones hold.
	_ = e.c.SetWriteDeadline(time.Now().Add(eventTimeout))
	if _, err := e.w.Write([]byte(text)); err != nil {
		return err
	}
	return e.c.Flush()
}

func (e eventWriter) audit(r *controlplane.AuditRecord) error {
	data, err := json.Marshal(auditView(r))
	if err != nil {
		return err
	}
	return e.write(fmt.Sprintf("event: audit\nid: %d\ndata: %s\n\n", r.Revision, data))
}

func auditView(r *controlplane.AuditRecord) v1.AuditRecord {
	return v1.AuditRecord{
		ID: r.ID, Time: r.Time, Actor: r.Actor, Action: r.Action, Object: r.Object,
		Revision: revision(r.Revision), Address: r.Address, Detail: r.Detail,
	}
}
