package caddymodule_test

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// edgeMetrics are the edge's series and their values.
func edgeMetrics(t *testing.T) map[string]float64 {
	t.Helper()
	ctx := caddy.ActiveContext()
	families, err := ctx.GetMetricsRegistry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := map[string]float64{}
	for _, family := range families {
		if !strings.HasPrefix(family.GetName(), "slipway_edge_") {
			continue
		}
		for _, m := range family.GetMetric() {
			name := strings.TrimPrefix(family.GetName(), "slipway_edge_")
			for _, label := range m.GetLabel() {
				name += " " + label.GetValue()
			}
			series[name] = valueOf(m)
			if m.Histogram != nil {
				series[name+" sum"] = m.Histogram.GetSampleSum()
			}
		}
	}
	return series
}

func valueOf(m *dto.Metric) float64 {
	if m.Counter != nil {
		return m.Counter.GetValue()
	}
	if m.Histogram != nil {
		return float64(m.Histogram.GetSampleCount())
	}
	return m.Gauge.GetValue()
}

func TestRequestsAreCountedByWhatBecameOfThem(t *testing.T) {
	e := startEdge(t, settings{"hold": 200_000_000})
	in, gone, asleep := instance(1, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/missing" {
			w.WriteHeader(404)
		}
	})), instance(2, dead), instance(3, "")
	asleep.Status = controlplane.Suspended
	in.PrimaryAlias = "first"
	e.put(in, gone, asleep, alias(1, "first", in.ID), alias(2, "other", in.ID), alias(3, "idle", ""))
	for range 2 { // a reload keeps the counts
		e.do("GET", "http://first."+base+"/")
		e.do("GET", "http://first."+base+"/missing")
		e.do("GET", "http://other."+base+"/")
		e.do("POST", "http://other."+base+"/")
		e.do("GET", "http://"+base+"/instance/"+in.ID+"/")
		e.do("GET", "http://idle."+base+"/")
		e.do("GET", "http://nobody."+base+"/")
		e.do("TRACE", "http://nobody."+base+"/")
		e.do("GET", urlOf(gone)+"/")
		e.do("GET", urlOf(asleep)+"/")
		e.do("GET", "http://"+base+"/livez") // not an instance's
		e.load()
	}
	got := map[string]float64{}
	for name, value := range edgeMetrics(t) {
		if labels, ok := strings.CutPrefix(name, "requests_total "); ok {
			got[labels] = value
		}
	}
	// Labels are in the order of their names: class and outcome.
	want := map[string]float64{
		"2xx proxied": 2, "4xx proxied": 2, "3xx redirect_alias": 4, "3xx redirect_mode": 2, "4xx alias_inactive": 2,
		"4xx no_route": 2, "4xx denied": 2, "5xx upstream_error": 2, "5xx unavailable": 2,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestNoVisitorCanMakeANewSeries(t *testing.T) {
	e := startEdge(t, nil)
	e.do("GET", "http://nobody."+base+"/")
	before := slices.Sorted(maps.Keys(edgeMetrics(t)))
	for i := range 10_000 {
		r, err := http.NewRequestWithContext(t.Context(), "GET", fmt.Sprintf("http://%s/path-%d", base, i), nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = fmt.Sprintf("host-%d.%s", i, base) // all over one connection
		resp, err := e.http.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
	}
	after := edgeMetrics(t)
	if diff := cmp.Diff(before, slices.Sorted(maps.Keys(after))); diff != "" {
		t.Error(diff)
	}
	if got := after["requests_total 4xx no_route"]; got != 10_001 {
		t.Errorf("%v were counted", got)
	}
}

func TestTheTableAndTheStreamsAreMeasured(t *testing.T) {
	e := startEdge(t, nil)
	in := instance(1, serve(t, echo))
	e.put(in, alias(1, "a", in.ID), alias(2, "b", in.ID))
	e.talk(e.dial(urlOf(in)+"/ws"), "hello")
	got := edgeMetrics(t)
	for name, want := range map[string]float64{
		"routes instance": 1, "routes alias": 2, "open_streams h1": 1, "open_streams h2": 0, "open_streams h3": 0, "held_requests": 0, "refused_records": 0,
		"refused_records_total": 0, "held_removals": 0, "strangers_total": 0, "drift_records_total": 0,
		"applied_revision": float64(e.table().Table().Revision()),
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if stale := got["stale_seconds"]; stale < 0 || stale > 60 {
		t.Errorf("the store was heard %v s ago", stale)
	}
}

// What an app, a visitor or a start takes is not the edge's time.
func TestTheOverheadIsTheEdgesAlone(t *testing.T) {
	e := startEdge(t, nil)
	const long = 700 * time.Millisecond
	in, asleep := instance(1, serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/head":
			time.Sleep(long)
		case "/body":
			w.(http.Flusher).Flush()
			time.Sleep(long)
		case "/upload":
			io.Copy(io.Discard, r.Body)
		}
		io.WriteString(w, "done")
	})), instance(2, "")
	asleep.Status = controlplane.Suspended
	e.put(in, asleep)
	var visits sync.WaitGroup
	for _, path := range []string{"/head", "/body"} {
		visits.Go(func() { e.do("GET", urlOf(in)+path) })
	}
	for _, length := range []int64{4, -1} { // sent before the answer is read, and beside it
		visits.Go(func() {
			body, pen := io.Pipe()
			r, err := http.NewRequestWithContext(t.Context(), "POST", urlOf(in)+"/upload", body)
			if err != nil {
				t.Error(err)
				return
			}
			r.ContentLength = length
			time.AfterFunc(long, func() { io.WriteString(pen, "body"); pen.Close() })
			resp, err := e.http.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			resp.Body.Close()
		})
	}
	visits.Go(func() { e.do("GET", urlOf(asleep)+"/") })
	eventually(t, "the visitor waits", func() bool { return edgeMetrics(t)["held_requests"] == 1 })
	time.Sleep(long)
	asleep.Status, asleep.Endpoint, asleep.Generation = controlplane.Deployed, in.Endpoint, 2
	e.put(asleep)
	visits.Wait()
	m := edgeMetrics(t)
	if m["overhead_seconds proxied"] != 4 || m["overhead_seconds held"] != 1 || m["hold_seconds served"] != 1 {
		t.Errorf("counted %v", m)
	}
	for _, name := range []string{"overhead_seconds proxied sum", "overhead_seconds held sum"} {
		if took := m[name]; took <= 0 || took >= long.Seconds() {
			t.Errorf("%s is %v s", name, took)
		}
	}
	if held := m["hold_seconds served sum"]; held < long.Seconds() {
		t.Errorf("held for %v s", held)
	}
}
