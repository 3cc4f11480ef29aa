package caddymodule

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/seed-dbc68772/slipway/caddymodule/hold"
	"github.com/seed-dbc68772/slipway/routing"
)

var waits, _ = routing.ParseID("0b5ab1de-3a5e-4f0c-9d0f-5a0c0f6c1a01")

// A request that nobody traces pays nothing for it.
func TestWithoutTracingAWaitAllocatesNoSpan(t *testing.T) {
	ctx, v, in := context.WithValue(t.Context(), hold.Visit{}, 1), &hold.Visit{Instance: waits}, &routing.Instance{ID: waits}
	unsampled := sdktrace.NewTracerProvider(sdktrace.WithSampler(sdktrace.NeverSample()))
	notChosen, span := unsampled.Tracer("").Start(ctx, "request")
	defer span.End()
	for name, ctx := range map[string]context.Context{"not traced": ctx, "not sampled": notChosen} {
		if n := testing.AllocsPerRun(100, func() { traceWait(ctx, v).end(v, in, nil) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
		if v.Trace != "" {
			t.Errorf("%s: the visit carries %q", name, v.Trace)
		}
	}
}

func TestTheSpansOfAWait(t *testing.T) {
	for name, c := range map[string]struct {
		kind    kind
		began   time.Duration
		in      *routing.Instance
		err     error
		outcome string
		spans   []string // in the order of their ends
		status  codes.Code
	}{
		"served": {
			kindPage, 5 * time.Millisecond, &routing.Instance{ID: waits, Generation: 7}, nil, "served",
			[]string{"slipway.wake.queued", "slipway.wake.start", "slipway.wake"}, codes.Unset,
		},
		"a page has waited its while": {kindPage, 0, nil, hold.ErrTimeout, "timeout", []string{"slipway.wake.queued", "slipway.wake"}, codes.Unset},
		"no start was seen":           {kindRequest, 0, nil, hold.ErrTimeout, "timeout", []string{"slipway.wake.queued", "slipway.wake"}, codes.Error},
		"the start failed": {
			kindPage, time.Millisecond, nil, hold.ErrFailed, "start_failed",
			[]string{"slipway.wake.queued", "slipway.wake.start", "slipway.wake"}, codes.Error,
		},
		"the visitor left": {kindRequest, 0, nil, context.Canceled, "client_left", []string{"slipway.wake.queued", "slipway.wake"}, codes.Unset},
		"no store": {
			kindRequest, 0, nil, errors.Join(hold.ErrNoWaking, errors.New("away")), "wake_unavailable",
			[]string{"slipway.wake.queued", "slipway.wake"}, codes.Error,
		},
	} {
		t.Run(name, func(t *testing.T) {
			kept := tracetest.NewSpanRecorder()
			provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(kept))
			ctx, request := provider.Tracer("").Start(t.Context(), "request")
			v := &hold.Visit{Instance: waits, Kind: c.kind.String()}
			s := traceWait(ctx, v)
			v.Began = c.began
			s.end(v, c.in, c.err)
			var names []string
			for _, span := range kept.Ended() {
				names = append(names, span.Name())
			}
			if !slices.Equal(names, c.spans) {
				t.Fatalf("the spans are %v", names)
			}
			ended := kept.Ended()
			wake := ended[len(ended)-1]
			if wake.Parent().SpanID() != request.SpanContext().SpanID() || wake.Status().Code != c.status {
				t.Errorf("below %s, status %v", wake.Parent().SpanID(), wake.Status())
			}
			if parts := strings.Split(v.Trace, "-"); len(parts) != 4 || parts[1] != wake.SpanContext().TraceID().String() || parts[2] != wake.SpanContext().SpanID().String() {
				t.Errorf("the visit carries %q, and the span is %s", v.Trace, wake.SpanContext().SpanID())
			}
			attributes := map[string]string{}
			for _, a := range wake.Attributes() {
				attributes[string(a.Key)] = a.Value.String()
			}
			if attributes["slipway.wake.outcome"] != c.outcome || attributes["slipway.instance.id"] != waits.String() || attributes["slipway.wake.kind"] != c.kind.String() ||
				(attributes["slipway.instance.generation"] == "7") != (c.in != nil) {
				t.Errorf("the attributes are %v", attributes)
			}
			for i, child := range ended[:len(ended)-1] {
				if child.Parent().SpanID() != wake.SpanContext().SpanID() {
					t.Errorf("%s is below %s", child.Name(), child.Parent().SpanID())
				}
				begins := wake.StartTime()
				if i > 0 {
					begins = begins.Add(c.began)
				}
				if !child.StartTime().Equal(begins) {
					t.Errorf("%s begins %s after the wake", child.Name(), child.StartTime().Sub(wake.StartTime()))
				}
			}
		})
	}
}
