package controlmodule

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/exporters/autoexport"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed-dbc68772/slipway/controlplane/lifecycle"
)

// tracer makes a span of each start that is over, with one for each of its
// stages. The span of a start that a traced visit began is part of the visit's
// trace: the edge's span slipway.wake is its parent.
type tracer struct {
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
}

// traceLimit bounds how long the end of the process waits for the last spans.
const traceLimit = 2 * time.Second

// newTracer makes the tracer that OpenTelemetry's environment variables ask for,
// as Caddy's handler `tracing` does; nil where they name no exporter: then there
// are no spans.
func newTracer(ctx context.Context) (*tracer, error) {
	if !traces(os.Getenv) {
		return nil, nil
	}
	exporter, err := autoexport.NewSpanExporter(ctx)
	if err != nil {
		return nil, err
	}
	provider := sdktrace.NewTracerProvider(sdktrace.WithBatcher(exporter))
	return &tracer{provider, provider.Tracer("github.com/seed-dbc68772/slipway/controlplane")}, nil
}

// traces reports whether the environment asks for traces.
func traces(env func(string) string) bool {
	if strings.EqualFold(env("OTEL_SDK_DISABLED"), "true") {
		return false
	}
	if chosen := env("OTEL_TRACES_EXPORTER"); chosen != "" {
		return chosen != "none"
	}
	return env("OTEL_EXPORTER_OTLP_ENDPOINT") != "" || env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") != ""
}

// started makes the spans of a start. It blocks on nothing: spans that find no
// room are dropped.
func (t *tracer) started(s *lifecycle.Start) {
	ctx := propagation.TraceContext{}.Extract(context.Background(), propagation.MapCarrier{"traceparent": s.Begun.Trace})
	since := s.Since
	if since.IsZero() {
		since = s.Ended
		if len(s.Stages) > 0 {
			since = s.Stages[0].Began
		}
	}
	ctx, span := t.tracer.Start(ctx, "slipway.start", trace.WithTimestamp(since), trace.WithAttributes(
		attribute.String("slipway.instance.id", s.InstanceID),
		attribute.Int64("slipway.instance.generation", s.Generation),
		attribute.String("slipway.launcher", s.Launcher),
		attribute.String("slipway.start.cause", s.Begun.Cause),
		attribute.String("slipway.start.outcome", string(s.Outcome)),
	))
	for _, stage := range s.Stages {
		_, part := t.tracer.Start(ctx, "slipway.start."+string(stage.Stage), trace.WithTimestamp(stage.Began))
		part.End(trace.WithTimestamp(stage.Began.Add(stage.Took)))
	}
	if s.Outcome == lifecycle.StartFailed {
		span.SetAttributes(attribute.String("slipway.start.reason", string(s.Reason)))
		span.SetStatus(codes.Error, string(s.Reason))
	}
	span.End(trace.WithTimestamp(s.Ended))
}

// close sends what there is, if that takes no longer than traceLimit.
func (t *tracer) close() error {
	if t == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), traceLimit)
	defer cancel()
	if err := t.provider.Shutdown(ctx); err != nil {
		return fmt.Errorf("send the last spans: %w", err)
	}
	return nil
}

// observer is whom a manager tells what becomes of starts and of sleep.
type observer struct {
	*metrics
	tracer *tracer // nil: nothing is traced
}

// Started implements lifecycle.Observer.
func (o observer) Started(s *lifecycle.Start) {
	o.metrics.Started(s)
	if o.tracer != nil {
		o.tracer.started(s)
	}
}
