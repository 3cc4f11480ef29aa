package controlmodule

import (
	"slices"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/lifecycle"
)

// metrics are what a control plane counts (docs/metrics.md). No label is a name
// that somebody chooses: launchers are those of the configuration. What is counted
// is what this control plane saw while it led; a gauge of instances is there while
// it leads alone, so that a sum over all control planes counts none twice.
type metrics struct {
	launchers []string

	starts    *prometheus.CounterVec
	took      *prometheus.HistogramVec
	stages    *prometheus.HistogramVec
	slept     *prometheus.CounterVec
	withdrawn prometheus.Counter

	term atomic.Pointer[term] // nil: another leads, or nobody
}

// term is a leadership of this control plane.
type term struct {
	epoch   int64
	manager *lifecycle.Manager
}

// The bounds of the histograms, in seconds.
var (
	startBounds = []float64{.1, .2, .5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600}
	stageBounds = []float64{.01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 20, 30, 60, 120, 300}
)

// other is the label of what is none of those that are known.
const other = "other"

func newMetrics(launchers []string) *metrics {
	opts := func(name, help string) prometheus.Opts {
		return prometheus.Opts{Namespace: "slipway", Subsystem: "controlplane", Name: name, Help: help}
	}
	histogram := func(name, help string, bounds []float64, labels ...string) *prometheus.HistogramVec {
		return prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Namespace: "slipway", Subsystem: "controlplane", Name: name, Help: help, Buckets: bounds,
		}, labels)
	}
	return &metrics{
		launchers: launchers,
		starts: prometheus.NewCounterVec(prometheus.CounterOpts(opts("starts_total",
			"Starts of instances that are over, by how they ended.")), []string{"launcher", "outcome", "reason"}),
		took: histogram("start_seconds", "From when a start was asked for, less a back-off, until it was over.",
			startBounds, "launcher", "outcome"),
		stages: histogram("start_stage_seconds", "Time that starts spent in each of their stages.", stageBounds, "stage"),
		slept: prometheus.NewCounterVec(prometheus.CounterOpts(opts("sleeps_total",
			"Instances that went to sleep, by why.")), []string{"cause"}),
		withdrawn: prometheus.NewCounter(prometheus.CounterOpts(opts("sleep_withdrawals_total",
			"Instances that were about to sleep and ran on, since they were used after all."))),
	}
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("slipway_controlplane_"+name, help, labels, nil)
}

var (
	descLeads     = describe("leads", "Whether this control plane leads.")
	descEpoch     = describe("epoch", "The epoch in which this control plane leads.")
	descInstances = describe("instances", "Instances that have a record.", "status")
	descQueued    = describe("queued_starts", "Starts that wait for their turn (starts_at_once).")
	descActive    = describe("active_starts", "Starts that are under way.")
)

// Describe implements prometheus.Collector.
func (m *metrics) Describe(out chan<- *prometheus.Desc) {
	for _, c := range m.counted() {
		c.Describe(out)
	}
	for _, d := range []*prometheus.Desc{descLeads, descEpoch, descInstances, descQueued, descActive} {
		out <- d
	}
}

func (m *metrics) counted() []prometheus.Collector {
	return []prometheus.Collector{m.starts, m.took, m.stages, m.slept, m.withdrawn}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(out chan<- prometheus.Metric) {
	for _, c := range m.counted() {
		c.Collect(out)
	}
	gauge := func(d *prometheus.Desc, n float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, n, labels...)
	}
	now := m.term.Load()
	if now == nil {
		gauge(descLeads, 0)
		return
	}
	gauge(descLeads, 1)
	gauge(descEpoch, float64(now.epoch))
	census := now.manager.Census()
	for _, status := range controlplane.Statuses {
		gauge(descInstances, float64(census.Instances[status]), string(status))
	}
	gauge(descQueued, float64(census.Queued))
	gauge(descActive, float64(census.Starting))
}

// leads is called when this control plane begins to lead; the result when it
// leads no more.
func (m *metrics) leads(epoch int64, manager *lifecycle.Manager) (over func()) {
	m.term.Store(&term{epoch, manager})
	return func() { m.term.Store(nil) }
}

// Started implements lifecycle.Observer.
func (m *metrics) Started(s *lifecycle.Start) {
	launcher, reason := among(m.launchers, s.Launcher), ""
	if s.Outcome == lifecycle.StartFailed {
		reason = string(among(controlplane.ReasonCodes, s.Reason))
	}
	m.starts.WithLabelValues(launcher, string(s.Outcome), reason).Inc()
	if !s.Since.IsZero() {
		m.took.WithLabelValues(launcher, string(s.Outcome)).Observe(max(0, s.Ended.Sub(s.Since).Seconds()))
	}
	for _, stage := range s.Stages {
		m.stages.WithLabelValues(string(among(controlplane.Stages, stage.Stage))).Observe(stage.Took.Seconds())
	}
}

// Slept implements lifecycle.Observer.
func (m *metrics) Slept(cause string) {
	m.slept.WithLabelValues(among([]string{controlplane.SleepIdle, controlplane.SleepAsked}, cause)).Inc()
}

// Withdrawn implements lifecycle.Observer.
func (m *metrics) Withdrawn() { m.withdrawn.Inc() }

// among is the label of what may come from a newer program's record.
func among[T ~string](known []T, label T) T {
	if slices.Contains(known, label) {
		return label
	}
	return other
}

var (
	_ lifecycle.Observer   = (*metrics)(nil)
	_ prometheus.Collector = (*metrics)(nil)
)
