package caddymodule

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"github.com/seed-dbc68772/slipway/caddymodule/hold"
	"github.com/seed-dbc68772/slipway/routing"
)

// tracerName is the instrumentation scope of the edge's spans.
const tracerName = "github.com/seed-dbc68772/slipway/caddymodule"

// wakeSpan is the span slipway.wake of one wait for an instance, below the
// request's, with a child for the time until the start began and one for the
// start. The zero value is of a request that nobody traces (Caddy's handler
// `tracing` does), and costs nothing.
type wakeSpan struct {
	span   trace.Span // nil: not traced
	parent context.Context
	began  time.Time
}

// traceWait begins the span, and has the visit carry it to who starts the
// instance.
func traceWait(ctx context.Context, v *hold.Visit) wakeSpan {
	request := trace.SpanFromContext(ctx)
	if !request.IsRecording() {
		return wakeSpan{}
	}
	s := wakeSpan{began: time.Now()}
	s.parent, s.span = tracerOf(request).Start(ctx, "slipway.wake", trace.WithTimestamp(s.began), trace.WithAttributes(
		attribute.String("slipway.instance.id", v.Instance.String()), attribute.String("slipway.wake.kind", v.Kind),
	))
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(s.parent, carrier)
	v.Trace = carrier["traceparent"]
	return s
}

func tracerOf(s trace.Span) trace.Tracer { return s.TracerProvider().Tracer(tracerName) }

// end ends the span of a wait that ended so; in is the instance that runs, nil
// if none does.
func (s wakeSpan) end(v *hold.Visit, in *routing.Instance, err error) {
	if s.span == nil {
		return
	}
	now := time.Now()
	started := now
	if v.Began > 0 {
		started = s.began.Add(v.Began)
	}
	s.child("slipway.wake.queued", s.began, started)
	if v.Began > 0 {
		s.child("slipway.wake.start", started, now)
	}
	result := holdResultOf(err)
	s.span.SetAttributes(attribute.String("slipway.wake.outcome", holdResultNames[result]))
	if in != nil {
		s.span.SetAttributes(attribute.Int64("slipway.instance.generation", in.Generation))
	}
	switch {
	case result == holdServed, result == holdAccepted, result == holdLeft:
	case result == holdTimeout && v.Kind == kindPage.String(): // it gets the waiting page
	default:
		s.span.SetStatus(codes.Error, err.Error())
	}
	s.span.End(trace.WithTimestamp(now))
}

func (s wakeSpan) child(name string, from, to time.Time) {
	_, span := tracerOf(s.span).Start(s.parent, name, trace.WithTimestamp(from))
	span.End(trace.WithTimestamp(to))
}
