package caddymodule

import (
	"errors"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-dbc68772/slipway/caddymodule/upstream"
	"github.com/seed-dbc68772/slipway/routing"
)

// outcome is what became of a request. Requests for the control plane and the
// console have none: they are not an instance's.
type outcome uint8

const (
	outProxied       outcome = iota // the app answered
	outHeld                         // the app answered a request that waited for it
	outRedirectAlias                // to the canonical name
	outRedirectMode                 // to the right mode, or spelling
	outNoRoute                      // nothing has this name
	outAliasInactive
	outDenied        // the request breaks the rules of HTTP, of routing.md or of access.md
	outSignIn        // to a sign-in, or back from one
	outUnavailable   // the instance did not start in time, or this edge knows nothing yet
	outUpstreamError // the app gave no answer
	outTimeout       // nor in time
	outLeft          // the visitor went away first
	outWaiting       // the waiting page and its events, or the word that the instance is being woken
	outAsleep        // the instance does not run, and the request wakes nobody
	outcomes
)

var outcomeNames = [outcomes]string{
	"proxied", "held", "redirect_alias", "redirect_mode", "no_route", "alias_inactive", "denied", "sign_in",
	"unavailable", "upstream_error", "timeout", "client_left",
	"waiting", "asleep",
}

// codeClasses are the labels of the first digits of a status.
var codeClasses = [...]string{"", "1xx", "2xx", "3xx", "4xx", "5xx"}

// outcomeOf is what becomes of a request that the decision ends.
func outcomeOf(d routing.Decision) outcome {
	switch d.Rule {
	case routing.RuleIDToPrimary, routing.RulePathToPrimary, routing.RuleOtherAlias:
		return outRedirectAlias
	case routing.RuleInactiveAlias:
		return outAliasInactive
	}
	switch d.Kind {
	case routing.Redirect:
		return outRedirectMode
	case routing.NotFound, routing.Own:
		return outNoRoute
	}
	return outDenied
}

// outcomeOfFailure is what becomes of a request that the app did not answer.
func outcomeOfFailure(err error) outcome {
	switch {
	case errors.Is(err, upstream.ErrLeft):
		return outLeft
	case errors.Is(err, upstream.ErrRequestBody), errors.Is(err, upstream.ErrRequest):
		return outDenied
	case errors.Is(err, upstream.ErrTimeout):
		return outTimeout
	}
	return outUpstreamError
}

// metrics counts requests. No label is a name that a visitor can choose.
type metrics struct {
	requests    [outcomes][len(codeClasses)]atomic.Uint64
	overhead    [outcomes]histogram
	holds       [holdResults]histogram
	wakes       wakeCounts
	propagation histogram
	runtime     *Runtime
}

// wakeResults are what becomes of an intent.
var wakeResults = [...]string{"registered", "failed"}

// wakeCounts are intents by the visit's kind and by result.
type wakeCounts [5][len(wakeResults)]atomic.Uint64

func (c *wakeCounts) count(kind string, err error) {
	if i := slices.Index(wakeKinds, kind); i >= 0 {
		failed := 0
		if err != nil {
			failed = 1
		}
		c[i][failed].Add(1)
	}
}

// prepare makes the histograms.
func (m *metrics) prepare(rt *Runtime) {
	m.runtime, m.propagation = rt, newHistogram(propagationBounds)
	for o := range m.overhead {
		m.overhead[o] = newHistogram(overheadBounds)
	}
	for r := range m.holds {
		m.holds[r] = newHistogram(holdBounds)
	}
}

// count takes a request, and how long the edge itself took for it.
func (m *metrics) count(o outcome, status int, took time.Duration) {
	class := status / 100
	if class < 1 || class >= len(codeClasses) {
		class = 0
	}
	m.requests[o][class].Add(1)
	m.overhead[o].observe(took)
}

// controlMetrics are what the control plane of this process counts. It describes
// nothing, for a pure edge has none.
type controlMetrics struct{ runtime *Runtime }

// Describe implements prometheus.Collector.
func (controlMetrics) Describe(chan<- *prometheus.Desc) {}

// Collect implements prometheus.Collector.
func (m controlMetrics) Collect(out chan<- prometheus.Metric) {
	if control := m.runtime.control.Load(); control != nil {
		(*control).Collect(out)
	}
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("slipway_edge_"+name, help, labels, nil)
}

var (
	descRequests = describe("requests_total", "Requests for instances and unknown names, by what became of them.", "outcome", "code_class")
	descOverhead = describe("overhead_seconds", "Time that the edge itself took until it had handed the answer's head on.", "outcome")
	descHold     = describe("hold_seconds", "Waits of requests for an instance, by how they ended.", "result")
	descSpread   = describe("propagation_seconds", "From a change's arrival at the edge until requests saw it.")
	descRoutes   = describe("routes", "Routes in the table.", "kind")
	descRevision = describe("applied_revision", "The store's revision up to which changes are in the table.")
	descStale    = describe("stale_seconds", "Time since the store was heard last, or since what it says cannot be applied; -1: never heard.")
	descRestarts = describe("apply_restarts_total", "Times that the loop which applies route changes was started anew, since it panicked or stood still.")
	descRefused  = describe("refused_records", "Keys whose newest record is not valid: the last good one counts.")
	descRefusals = describe("refused_records_total", "Records that were refused.")
	descRemovals = describe("held_removals", "Removals of routes that wait since there are too many at once.")
	descDrift    = describe("drift_records_total", "Records that a comparison with the store found wrong.")
	descHeld     = describe("held_requests", "Requests that wait for an instance.")
	descWakes    = describe("wakes_total", "Intents to wake instances, by what visited and whether the store took them.", "kind", "result")
	descStreams  = describe("open_streams", "Open WebSockets.", "proto")
	descStranger = describe("strangers_total", "Connections that another program than the instance answered.")
)

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descRequests, descOverhead, descHold, descSpread, descRoutes, descRevision, descStale, descRestarts, descRefused, descRefusals,
		descRemovals, descDrift, descHeld, descWakes, descStreams, descStranger} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	counter := func(d *prometheus.Desc, n float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, n, labels...)
	}
	gauge := func(d *prometheus.Desc, n float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, n, labels...)
	}
	for o := range m.requests {
		for class := range m.requests[o] {
			if n := m.requests[o][class].Load(); n > 0 {
				counter(descRequests, float64(n), outcomeNames[o], codeClasses[class])
			}
		}
	}
	timed := func(d *prometheus.Desc, h *histogram, labels ...string) {
		if metric := h.metric(d, labels...); metric != nil {
			out <- metric
		}
	}
	for o := range m.overhead {
		timed(descOverhead, &m.overhead[o], outcomeNames[o])
	}
	for r := range m.holds {
		timed(descHold, &m.holds[r], holdResultNames[r])
	}
	timed(descSpread, &m.propagation)
	s := m.runtime.live.Status()
	gauge(descRoutes, float64(s.Instances), "instance")
	gauge(descRoutes, float64(s.Aliases), "alias")
	gauge(descRevision, float64(s.Revision))
	stale := s.Silence.Seconds()
	if s.Silence < 0 {
		stale = -1
	}
	gauge(descStale, stale)
	counter(descRestarts, float64(s.Restarts))
	gauge(descRefused, float64(s.RefusedNow))
	counter(descRefusals, float64(s.RefusedTotal))
	gauge(descRemovals, float64(s.Held))
	counter(descDrift, float64(s.Drift))
	gauge(descHeld, float64(m.runtime.room.Waiters()))
	for i, kind := range wakeKinds {
		for j := range m.wakes[i] {
			if n := m.wakes[i][j].Load(); n > 0 {
				counter(descWakes, float64(n), kind, wakeResults[j])
			}
		}
	}
	for major, open := range m.runtime.upstream.Streams() {
		if major > 0 {
			gauge(descStreams, float64(open), "h"+strconv.Itoa(major))
		}
	}
	counter(descStranger, float64(m.runtime.checker.Refused()))
}
