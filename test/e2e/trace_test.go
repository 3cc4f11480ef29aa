package e2e

import (
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// receiver takes spans as OTLP over HTTP, from any number of processes.
type receiver struct {
	*httptest.Server
	mu    sync.Mutex
	spans []*trace.Span
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		raw, err := io.ReadAll(req.Body)
		var export collector.ExportTraceServiceRequest
		if err == nil {
			err = proto.Unmarshal(raw, &export)
		}
		if err != nil || req.URL.Path != "/v1/traces" {
			http.Error(w, fmt.Sprint("not spans: ", err), http.StatusBadRequest)
			return
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, resource := range export.GetResourceSpans() {
			for _, scope := range resource.GetScopeSpans() {
				r.spans = append(r.spans, scope.GetSpans()...)
			}
		}
		w.Header().Set("Content-Type", "application/x-protobuf")
	}))
	t.Cleanup(r.Close)
	return r
}

// env has a process send its spans here, soon.
func (r *receiver) env() []string {
	return []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=" + r.URL, "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "OTEL_BSP_SCHEDULE_DELAY=50",
	}
}

// of are the spans of a trace, by name.
func (r *receiver) of(traceID string) map[string]*trace.Span {
	r.mu.Lock()
	defer r.mu.Unlock()
	found := map[string]*trace.Span{}
	for _, s := range r.spans {
		if hex.EncodeToString(s.GetTraceId()) == traceID {
			found[s.GetName()] = s
		}
	}
	return found
}

// await waits for these spans of a trace, and wants each below the one that it
// names: one of them, or the identifier of a span that is not waited for.
func (r *receiver) await(t *testing.T, traceID string, below map[string]string) map[string]*trace.Span {
	t.Helper()
	var got map[string]*trace.Span
	names := slices.Sorted(maps.Keys(below))
	eventually(t, "the spans "+strings.Join(names, ", ")+" have come", func() bool {
		got = r.of(traceID)
		return !slices.ContainsFunc(names, func(name string) bool { return got[name] == nil })
	})
	for name, parent := range below {
		want := parent
		if s := got[parent]; s != nil {
			want = hex.EncodeToString(s.GetSpanId())
		}
		if id := hex.EncodeToString(got[name].GetParentSpanId()); id != want {
			t.Errorf("%s is below %s, want %s %s", name, id, parent, want)
		}
	}
	return got
}

func attribute(s *trace.Span, key string) string {
	for _, a := range s.GetAttributes() {
		if a.GetKey() == key {
			if a.GetValue().GetStringValue() != "" {
				return a.GetValue().GetStringValue()
			}
			return fmt.Sprint(a.GetValue().GetIntValue())
		}
	}
	return ""
}

const visitorSpan = "00f067aa0ba902b7"

func traceparent(traceID string) string {
	return "traceparent: 00-" + traceID + "-" + visitorSpan + "-01"
}

// TestAWakeIsOneTrace: of the visitor's request, the wait at an edge that is a
// process of its own, and the start by the control plane.
func TestAWakeIsOneTrace(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	s := newSlipway(t, "--no-sample")
	s.env = append(s.env, r.env()...)
	s.start()
	in := s.run(app{Name: "traced", Env: map[string]string{"START_DELAY": "200ms"}})
	port := freePort(t)
	s.edgeOf(port, "http://:"+port+" {\n\ttracing {\n\t\tspan visit\n\t}\n\tslipway\n}")
	edge := &slipway{t: t, port: port}

	const woken = "4bf92f3577b34da6a3ce929d0e0e4736"
	s.sleep(in.ID)
	visit := request{method: "POST", body: strings.Repeat("x", 1<<20), target: "/", host: s.host(in.ID), header: []string{traceparent(woken)}}
	got := edge.send(t, visit)
	if got.status != 200 || !strings.Contains(got.header.Get("Server-Timing"), "slipway-wake-start") {
		t.Fatalf("%d %v %.200s", got.status, got.header, got.body)
	}
	spans := r.await(t, woken, map[string]string{
		"visit": visitorSpan, "slipway.wake": "visit", "slipway.wake.queued": "slipway.wake", "slipway.wake.start": "slipway.wake",
		"slipway.start": "slipway.wake", "slipway.start.queued": "slipway.start", "slipway.start.starting": "slipway.start",
		"slipway.start.ready": "slipway.start",
	})
	wake, start := spans["slipway.wake"], spans["slipway.start"]
	for _, c := range []struct {
		span      *trace.Span
		key, want string
	}{
		{wake, "slipway.instance.id", in.ID},
		{wake, "slipway.instance.generation", "2"},
		{wake, "slipway.wake.kind", "request"},
		{wake, "slipway.wake.outcome", "served"},
		{start, "slipway.instance.id", in.ID},
		{start, "slipway.instance.generation", "2"},
		{start, "slipway.launcher", "process"},
		{start, "slipway.start.cause", "visit"},
		{start, "slipway.start.outcome", "ready"},
	} {
		if got := attribute(c.span, c.key); got != c.want {
			t.Errorf("%s has %s %q, want %q", c.span.GetName(), c.key, got, c.want)
		}
	}
	if took := start.GetEndTimeUnixNano() - start.GetStartTimeUnixNano(); took < 200e6 {
		t.Errorf("the start took %d ns by its span, and 200 ms in truth", took)
	}
	// The app's spans come below the request's.
	want := "00-" + woken + "-" + hex.EncodeToString(spans["visit"].GetSpanId()) + "-01"
	if got := got.echo(t).Header.Get("Traceparent"); got != want {
		t.Errorf("the app gets traceparent %q, want %q", got, want)
	}

	t.Run("who need not wait has no span of a wake", func(t *testing.T) {
		const awake = "4bf92f3577b34da6a3ce929d0e0e4737"
		visit.header = []string{traceparent(awake)}
		edge.send(t, visit).echo(t)
		if spans := r.await(t, awake, map[string]string{"visit": visitorSpan}); len(spans) != 1 {
			t.Errorf("the spans are %v", slices.Sorted(maps.Keys(spans)))
		}
	})
	t.Run("a start by hand is a trace of its own", func(t *testing.T) {
		s.sleep(in.ID)
		s.must("instance", "resume", in.ID, "--wait")
		eventually(t, "its span has come", func() bool {
			r.mu.Lock()
			defer r.mu.Unlock()
			return slices.ContainsFunc(r.spans, func(s *trace.Span) bool {
				return s.GetName() == "slipway.start" && len(s.GetParentSpanId()) == 0 &&
					attribute(s, "slipway.start.cause") == "resume" && attribute(s, "slipway.instance.generation") == "3"
			})
		})
	})
	t.Run("a WebSocket opens", func(t *testing.T) {
		const opened = "4bf92f3577b34da6a3ce929d0e0e4738"
		s.sleep(in.ID)
		a := edge.upgrade(t, s.host(in.ID), traceparent(opened))
		if a.status != http.StatusSwitchingProtocols {
			t.Fatalf("%d %s", a.status, a.body)
		}
		spans := r.await(t, opened, map[string]string{"visit": visitorSpan, "slipway.wake": "visit", "slipway.start": "slipway.wake"})
		if got := attribute(spans["slipway.wake"], "slipway.wake.kind"); got != "websocket" {
			t.Errorf("its kind is %s", got)
		}
	})
}

// upgrade asks for a WebSocket and returns the answer's head.
func (s *slipway) upgrade(t *testing.T, host string, header ...string) answer {
	t.Helper()
	return s.send(t, request{target: "/ws", host: host, header: append([]string{
		"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
	}, header...)})
}

// Where nothing asks for traces there are none: an app gets what the visitor
// sends, and the intent carries nothing.
func TestWithoutTracingAVisitorsTraceGoesToTheAppAsItIs(t *testing.T) {
	t.Parallel()
	s := up(t)
	in := s.run(app{Name: "plain"})
	s.sleep(in.ID)
	const traceID = "4bf92f3577b34da6a3ce929d0e0e4739"
	a := s.send(t, request{target: "/", host: s.host(in.ID), header: []string{traceparent(traceID)}})
	if got := a.echo(t).Header.Get("Traceparent"); "traceparent: "+got != traceparent(traceID) {
		t.Errorf("the app gets %q", got)
	}
}
