package api

import (
	"context"
	"io"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

func (s *server) registerInstances(api huma.API) {
	huma.Register(api, huma.Operation{
		OperationID: "run-app", Method: http.MethodPost, Path: "/api/v1/instances", Tags: []string{"instances"},
		Summary: "Start a new instance of an app", DefaultStatus: http.StatusAccepted,
	}, func(ctx context.Context, in *struct{ Body v1.RunRequest }) (*one[v1.Instance], error) {
		created, err := s.Service.RunAppAs(ctx, actorOf(ctx), in.Body.AppID, controlplane.Run{
			Visibility: controlplane.Visibility(value(in.Body.Visibility)), LaunchProfile: value(in.Body.LaunchProfile),
		})
		return s.oneInstance(ctx, created, err)
	})
	huma.Register(api, huma.Operation{
		OperationID: "list-instances", Method: http.MethodGet, Path: "/api/v1/instances", Tags: []string{"instances"}, Summary: "List instances",
	}, func(ctx context.Context, in *struct {
		PageQuery
		InstanceQuery
	}) (*page[v1.Instance], error) {
		p, err := in.page()
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		instances, err := s.Service.FindInstances(ctx, actorOf(ctx), in.filter(), p)
		if err != nil {
			return nil, s.fail(ctx, err)
		}
		actor := actorOf(ctx)
		return &page[v1.Instance]{listOf(instances, func(in *controlplane.Instance) v1.Instance { return s.instance(actor, in) })}, nil
	})
	huma.Register(api, huma.Operation{
		OperationID: "get-instance", Method: http.MethodGet, Path: "/api/v1/instances/{id}", Tags: []string{"instances"}, Summary: "Get an instance",
	}, func(ctx context.Context, in *ByID) (*one[v1.Instance], error) {
		found, err := s.Service.Instance(ctx, actorOf(ctx), in.ID)
		return s.oneInstance(ctx, found, err)
	})
	huma.Register(api, huma.Operation{
		OperationID: "update-instance", Method: http.MethodPatch, Path: "/api/v1/instances/{id}", Tags: []string{"instances"},
		Summary: "Change who may open an instance, whose visits wake it, and whether it sleeps",
	}, func(ctx context.Context, in *struct {
		ByID
		Body v1.InstancePatch
	}) (*one[v1.Instance], error) {
		c := controlplane.InstanceChange{
			Visibility: (*controlplane.Visibility)(in.Body.Visibility), Wake: (*controlplane.WakePolicy)(in.Body.Wake),
		}
		if sleeps := in.Body.Autosuspend; sleeps != nil {
			c.NoAutosuspend = new(!*sleeps)
		}
		changed, err := s.Service.UpdateInstance(ctx, actorOf(ctx), in.ID, c)
		return s.oneInstance(ctx, changed, err)
	})
	for _, verb := range []struct {
		name, method, path, summary string
		status                      int
		do                          func(context.Context, controlplane.Actor, string) (*controlplane.Instance, error)
	}{
		{"suspend-instance", http.MethodPost, "/suspend", "Put an instance to sleep", http.StatusOK, s.Service.SuspendInstance},
		{"resume-instance", http.MethodPost, "/resume", "Start what sleeps or failed", http.StatusOK, s.Service.ResumeInstance},
		{"restart-instance", http.MethodPost, "/restart", "Start an instance anew", http.StatusOK, s.Service.RestartInstance},
		{"redeploy-instance", http.MethodPost, "/redeploy", "Have an instance take what the settings and its app say now (admins)", http.StatusOK, s.Service.RedeployInstance},
		{"terminate-instance", http.MethodDelete, "", "Remove an instance with its volumes", http.StatusAccepted, s.Service.TerminateInstance},
	} {
		huma.Register(api, huma.Operation{
			OperationID: verb.name, Method: verb.method, Path: "/api/v1/instances/{id}" + verb.path, Tags: []string{"instances"},
			Summary: verb.summary, DefaultStatus: verb.status,
		}, func(ctx context.Context, in *ByID) (*one[v1.Instance], error) {
			changed, err := verb.do(ctx, actorOf(ctx), in.ID)
			return s.oneInstance(ctx, changed, err)
		})
	}
	huma.Register(api, huma.Operation{
		OperationID: "instance-logs", Method: http.MethodGet, Path: "/api/v1/instances/{id}/logs", Tags: []string{"instances"},
		Summary: "What the instance wrote to stdout and stderr",
		Responses: map[string]*huma.Response{"200": {Description: "OK", Content: map[string]*huma.MediaType{
			"text/plain": {Schema: &huma.Schema{Type: "string"}},
		}}},
	}, s.logs)
}

func (s *server) oneInstance(ctx context.Context, in *controlplane.Instance, err error) (*one[v1.Instance], error) {
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &one[v1.Instance]{ETag: etag(in.Revision), Revision: revision(in.Revision), Body: s.instance(actorOf(ctx), in)}, nil
}

type logsQuery struct {
	ByID
	Follow   bool `query:"follow" doc:"go on until the caller leaves"`
	Previous bool `query:"previous" doc:"of the run before the current one"`
}

func (s *server) logs(ctx context.Context, q *logsQuery) (*huma.StreamResponse, error) {
	in, err := s.Service.InstanceForLogs(ctx, actorOf(ctx), q.ID)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	l := s.Launchers[in.Launcher]
	if l == nil {
		return nil, s.fail(ctx, controlplane.Errorf(controlplane.CodeUnavailable, "launcher %q of this instance is not configured here", in.Launcher))
	}
	ctx, end := context.WithCancel(ctx)
	logs, err := l.Logs(ctx, in.ID, launcher.LogOptions{Follow: q.Follow, Previous: q.Previous})
	if err != nil {
		end()
		return nil, s.fail(ctx, err)
	}
	return &huma.StreamResponse{Body: func(hctx huma.Context) {
		defer end()
		defer logs.Close()
		r, w := humago.Unwrap(hctx)
		defer s.endWithRight(r, func(a controlplane.Actor) error {
			_, err := s.Service.InstanceForLogs(ctx, a, in.ID)
			return err
		}, end)()
		hctx.SetHeader("Content-Type", "text/plain; charset=utf-8")
		hctx.SetHeader("X-Content-Type-Options", "nosniff")
		stream(w, logs)
	}}, nil
}

// stream copies what comes as it comes. An error means that the caller left
// or the log ended; both end the answer.
func stream(w http.ResponseWriter, r io.Reader) {
	// The server wraps its writers: a controller finds the one that can flush.
	out := http.NewResponseController(w)
	_ = out.Flush() // the header, before the first line
	buf := make([]byte, 32<<10)
	for {
		n, err := r.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return
			}
			_ = out.Flush() // the next write says whether the caller left
		}
		if err != nil {
			return
		}
	}
}
