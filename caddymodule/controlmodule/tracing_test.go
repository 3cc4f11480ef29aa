package controlmodule

import (
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/lifecycle"
)

func TestWhetherTheEnvironmentAsksForTraces(t *testing.T) {
	const endpoint, traces1 = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"
	const exporter, disabled = "OTEL_TRACES_EXPORTER", "OTEL_SDK_DISABLED"
	for name, c := range map[string]struct {
		env  map[string]string
		want bool
	}{
		"nothing":                      {nil, false},
		"an endpoint":                  {map[string]string{endpoint: "http://127.0.0.1:4318"}, true},
		"an endpoint of traces":        {map[string]string{traces1: "http://127.0.0.1:4318/v1/traces"}, true},
		"an exporter":                  {map[string]string{exporter: "console"}, true},
		"an endpoint, and no exporter": {map[string]string{endpoint: "http://127.0.0.1:4318", exporter: "none"}, false},
		"an endpoint, and no SDK":      {map[string]string{endpoint: "http://127.0.0.1:4318", disabled: "TRUE"}, false},
	} {
		if got := traces(func(name string) string { return c.env[name] }); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestAnExporterThatNobodyKnowsIsAnError(t *testing.T) {
	t.Setenv("OTEL_TRACES_EXPORTER", "carrier-pigeon")
	if tr, err := newTracer(t.Context()); tr != nil || err == nil {
		t.Errorf("%v, %v", tr, err)
	}
	t.Setenv("OTEL_TRACES_EXPORTER", "none")
	tr, err := newTracer(t.Context())
	if tr != nil || err != nil || tr.close() != nil {
		t.Errorf("%v, %v", tr, err)
	}
}

func TestTheSpansOfAStart(t *testing.T) {
	const visit = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	stages := []lifecycle.StageTime{
		{Stage: controlplane.StageQueued, Began: began, Took: time.Second},
		{Stage: controlplane.StageHealth, Began: began.Add(time.Second), Took: 2 * time.Second},
	}
	for name, c := range map[string]struct {
		start  lifecycle.Start
		parent string // span ID
		begins time.Time
		spans  int
		status codes.Code
	}{
		"of a traced visit": {
			lifecycle.Start{Since: began, Stages: stages, Begun: controlplane.Beginning{Trace: visit}}, "00f067aa0ba902b7", began, 3, codes.Unset,
		},
		"of nobody's trace":             {lifecycle.Start{Since: began, Stages: stages}, "0000000000000000", began, 3, codes.Unset},
		"of a trace that is none":       {lifecycle.Start{Since: began, Begun: controlplane.Beginning{Trace: "00-x-y-01"}}, "0000000000000000", began, 1, codes.Unset},
		"nobody knows since when":       {lifecycle.Start{Stages: stages[1:]}, "0000000000000000", began.Add(time.Second), 2, codes.Unset},
		"nor of a stage":                {lifecycle.Start{}, "0000000000000000", began.Add(3 * time.Second), 1, codes.Unset},
		"it failed":                     {lifecycle.Start{Since: began, Outcome: lifecycle.StartFailed, Reason: controlplane.OOM}, "0000000000000000", began, 1, codes.Error},
		"of a visit that is not chosen": {lifecycle.Start{Since: began, Begun: controlplane.Beginning{Trace: visit[:len(visit)-1] + "0"}}, "", began, 0, codes.Unset},
	} {
		t.Run(name, func(t *testing.T) {
			kept := tracetest.NewSpanRecorder()
			provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(kept))
			tr := &tracer{provider, provider.Tracer("")}
			o := observer{newMetrics(nil), tr}
			c.start.Ended = began.Add(3 * time.Second)
			o.Started(&c.start)
			if err := tr.close(); err != nil {
				t.Error(err)
			}
			ended := kept.Ended()
			if len(ended) != c.spans {
				t.Fatalf("%d spans, want %d", len(ended), c.spans)
			}
			if c.spans == 0 {
				return
			}
			start := ended[len(ended)-1]
			if start.Name() != "slipway.start" || start.Parent().SpanID().String() != c.parent || start.Status().Code != c.status ||
				!start.StartTime().Equal(c.begins) || !start.EndTime().Equal(c.start.Ended) {
				t.Errorf("%s below %s from %s to %s, %v", start.Name(), start.Parent().SpanID(), start.StartTime(), start.EndTime(), start.Status())
			}
			for i, stage := range c.start.Stages {
				span := ended[i]
				if span.Name() != "slipway.start."+string(stage.Stage) || span.Parent().SpanID() != start.SpanContext().SpanID() ||
					!span.StartTime().Equal(stage.Began) || span.EndTime().Sub(span.StartTime()) != stage.Took {
					t.Errorf("%s from %s to %s", span.Name(), span.StartTime(), span.EndTime())
				}
			}
		})
	}
}
