package api

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// registerSleep registers what tells why an instance is awake or asleep, and
// what an instance says of itself.
func (s *server) registerSleep(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "instance-status", Method: http.MethodGet, Path: "/api/v1/instances/{id}/status", Tags: []string{"instances"},
		Summary: "How far an instance is",
	}, func(ctx context.Context, in *ByID) (*one[v1.InstanceStatus], error) {
		found, progress, err := s.Service.InstanceProgress(ctx, actorOf(ctx), in.ID)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		out := v1.InstanceStatus{ID: found.ID, Status: string(found.Status), Stage: optional(string(found.Stage)), RetryAt: optional(found.RetryAfter)}
		if progress != nil {
			out.Percent, out.Text = progress.Percent, optional(progress.Text)
		}
		if found.Reason != nil {
			r := reason(*found.Reason)
			out.Reason = &r
		}
		return &one[v1.InstanceStatus]{ETag: etag(found.Revision), Revision: revision(found.Revision), Body: out}, nil
	})
	huma.Register(api, huma.Operation{
		OperationID: "why-instance", Method: http.MethodGet, Path: "/api/v1/instances/{id}/why", Tags: []string{"instances"},
		Summary: "Why an instance is awake or asleep",
	}, func(ctx context.Context, in *ByID) (*struct{ Body v1.Why }, error) {
		why, err := s.Service.Why(ctx, actorOf(ctx), in.ID)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		return &struct{ Body v1.Why }{whyView(why)}, nil
	})
	huma.Register(api, huma.Operation{
		OperationID: "instance-events", Method: http.MethodGet, Path: "/api/v1/instances/{id}/events", Tags: []string{"instances"},
		Summary: "What happened to an instance", Description: "The newest comes last; the last 64 are kept.",
		Responses: map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{
			"application/json":  {Schema: &huma.Schema{Type: "object"}},
			"text/event-stream": {Schema: &huma.Schema{Type: "string"}},
		}}},
	}, s.events)
	huma.Register(api, huma.Operation{
		OperationID: "set-busy", Method: http.MethodPut, Path: "/api/v1/instance/busy", Tags: []string{"instances"},
		Summary: "Keep the calling instance awake, with its own token", DefaultStatus: http.StatusOK,
	}, func(ctx context.Context, in *struct{ Body v1.BusyRequest }) (*struct{ Body v1.Busy }, error) {
		how, err := time.ParseDuration(in.Body.For)
		if err != nil {
			return nil, s.fail(ctx, controlplane.Errorf(controlplane.CodeInvalid, "for is not a duration: %q", in.Body.For).WithHint("like 30s, 10m or 2h; 0s takes it back"))
		}
		changed, err := s.Service.SetBusy(ctx, actorOf(ctx), how, value(in.Body.Reason))
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		out := &struct{ Body v1.Busy }{}
		if changed.Busy != nil {
			out.Body = busyView(changed.Busy)
		}
		return out, nil
	})
	huma.Register(api, huma.Operation{
		OperationID: "set-progress", Method: http.MethodPut, Path: "/api/v1/instance/progress", Tags: []string{"instances"},
		Summary: "Tell the waiting page how far the calling instance's start is, with its own token", DefaultStatus: http.StatusNoContent,
	}, func(ctx context.Context, in *struct{ Body v1.ProgressRequest }) (*struct{}, error) {
		if _, err := s.Service.SetProgress(ctx, actorOf(ctx), in.Body.Percent, value(in.Body.Text)); err != nil {
			return nil, s.fail(ctx, err)
		}
		return nil, nil
	})
}

func whyView(w controlplane.Why) v1.Why {
	out := v1.Why{
		Status: string(w.Status), Awake: w.Awake, Because: w.Because, Since: w.Since, SleepsAt: optional(w.SleepsAt),
		ExtendedAt: optional(w.ExtendedAt), ExtendedBy: optional(w.ExtendedBy), RetryAt: optional(w.RetryAt),
	}
	if b := w.Begun; b != nil {
		out.Begun = &v1.Beginning{At: b.At, Cause: b.Cause, User: optional(b.User), Kind: optional(b.Kind), Edge: optional(b.Edge), ReadyAt: optional(b.ReadyAt), Warnings: append([]string{}, b.Warnings...)}
	}
	if b := w.Busy; b != nil {
		busy := busyView(b)
		out.Busy = &busy
	}
	if s := w.Sleep; s != nil {
		out.Sleep = &v1.Sleep{At: s.At, Cause: s.Cause, By: optional(s.By)}
	}
	if r := w.Reason; r != nil {
		view := reason(*r)
		out.Reason = &view
	}
	return out
}

func busyView(b *controlplane.Busy) v1.Busy {
	return v1.Busy{Until: &b.Until, Reason: optional(b.Reason)}
}

func eventView(e controlplane.Event) v1.Event {
	return v1.Event{Time: e.Time, Type: string(e.Type), Stage: optional(string(e.Stage)), Reason: optional(string(e.Reason)), Text: e.Text}
}

type eventsQuery struct {
	ByID
	Follow bool   `query:"follow" doc:"server-sent events (event instance, id the time, data an event) of what there is and what comes, until the caller leaves or the instance is gone"`
	LastID string `header:"Last-Event-ID" doc:"with follow: only what is later than this time" maxLength:"40"`
}

func (s *server) events(ctx context.Context, q *eventsQuery) (*huma.StreamResponse, error) {
	if q.Follow {
		return s.followEvents(ctx, q)
	}
	found, err := s.Service.InstanceEvents(ctx, actorOf(ctx), q.ID)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	body, err := json.Marshal(v1.Events{Items: eventViews(found)})
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		hctx.SetHeader("Content-Type", "application/json")
		_, _ = hctx.BodyWriter().Write(append(body, '\n')) // a caller who left needs no answer
	}}, nil
}

func eventViews(list []controlplane.Event) []v1.Event {
	out := make([]v1.Event, len(list))
	for i, e := range list {
		out[i] = eventView(e)
	}
	return out
}

// followEvents sends what there is and what comes. It ends when the caller
// leaves or may not read on, and with the instance.
func (s *server) followEvents(ctx context.Context, q *eventsQuery) (*huma.StreamResponse, error) {
	var last time.Time
	if q.LastID != "" {
		var err error
		if last, err = time.Parse(time.RFC3339Nano, q.LastID); err != nil {
			return nil, s.fail(ctx, controlplane.Errorf(controlplane.CodeInvalid, "Last-Event-ID %q is not a time", q.LastID))
		}
	}
	in, err := s.Service.InstanceForLogs(ctx, actorOf(ctx), q.ID)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		ctx, end := context.WithCancel(ctx)
		defer end()
		r, w := humago.Unwrap(hctx)
		defer s.endWithRight(r, func(a controlplane.Actor) error {
			_, err := s.Service.InstanceForLogs(ctx, a, in.ID)
			return err
		}, end)()
		w.Header().Set("Content-Type", "text/event-stream")
		out := eventWriter{w, http.NewResponseController(w)}
		lists, done := make(chan []controlplane.Event), make(chan struct{})
		go func() {
			defer close(done)
			// Whatever ends it, the caller asks again what became of the instance.
			_ = s.Service.WatchInstanceEvents(ctx, actorOf(ctx), in.ID, func(list []controlplane.Event) {
				select {
				case lists <- list:
				case <-ctx.Done():
				}
			})
		}()
		defer func() {
			end()
			<-done
		}()
		comments := time.NewTicker(keepAlive)
		defer comments.Stop()
		for err := out.write(": events\n\n"); err == nil; {
			select {
			case list := <-lists:
				last, err = out.instance(list, last)
			case <-comments.C:
				err = out.write(":\n\n")
			case <-done:
				return
			case <-ctx.Done():
				return
			}
		}
	}}, nil
}

// instance writes the events that are later than last, and returns the time of
// the last one.
func (e eventWriter) instance(list []controlplane.Event, last time.Time) (time.Time, error) {
	for _, event := range list {
		if !event.Time.After(last) {
			continue
		}
		data, err := json.Marshal(eventView(event))
		if err == nil {
			err = e.write(fmt.Sprintf("event: instance\nid: %s\ndata: %s\n\n", event.Time.UTC().Format(time.RFC3339Nano), data))
		}
		if err != nil {
			return last, err
		}
		last = event.Time
	}
	return last, nil
}
