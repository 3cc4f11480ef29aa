package controlmodule

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/lifecycle"
)

// gathered are the values of the metrics by name and labels; of a histogram, how
// much was observed.
func gathered(t *testing.T, m *metrics) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(m); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			for _, label := range metric.GetLabel() {
				name += " " + label.GetName() + "=" + label.GetValue()
			}
			found[name] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue() + float64(metric.GetHistogram().GetSampleCount())
		}
	}
	return found
}

func TestWhatAControlPlaneCounts(t *testing.T) {
	m := newMetrics([]string{"process"})
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	start := func(launcher string, outcome lifecycle.Outcome, reason controlplane.ReasonCode, stages ...controlplane.Stage) {
		s := &lifecycle.Start{InstanceID: "an instance", Launcher: launcher, Since: began, Ended: began.Add(time.Second), Outcome: outcome, Reason: reason}
		for _, stage := range stages {
			s.Stages = append(s.Stages, lifecycle.StageTime{Stage: stage, Began: began, Took: time.Second})
		}
		m.Started(s)
	}
	start("process", lifecycle.StartReady, "", controlplane.StageQueued, controlplane.StageReady)
	start("process", lifecycle.StartFailed, controlplane.OOM, controlplane.StageQueued)
	start("process", lifecycle.StartAbandoned, "")
	start("of a newer program", lifecycle.StartFailed, "a newer reason", "a newer stage")
	m.Started(&lifecycle.Start{Launcher: "process", Ended: began, Outcome: lifecycle.StartReady}) // nobody knows since when
	m.Slept(controlplane.SleepIdle)
	m.Slept("a newer cause")
	m.Withdrawn()
	want := map[string]float64{
		"slipway_controlplane_starts_total launcher=process outcome=ready reason=":     2,
		"slipway_controlplane_starts_total launcher=process outcome=failed reason=oom": 1,
		"slipway_controlplane_starts_total launcher=process outcome=abandoned reason=": 1,
		"slipway_controlplane_starts_total launcher=other outcome=failed reason=other": 1,
		"slipway_controlplane_start_seconds launcher=process outcome=ready":            1,
		"slipway_controlplane_start_seconds launcher=process outcome=failed":           1,
		"slipway_controlplane_start_seconds launcher=process outcome=abandoned":        1,
		"slipway_controlplane_start_seconds launcher=other outcome=failed":             1,
		"slipway_controlplane_start_stage_seconds stage=queued":                        2,
		"slipway_controlplane_start_stage_seconds stage=ready":                         1,
		"slipway_controlplane_start_stage_seconds stage=other":                         1,
		"slipway_controlplane_sleeps_total cause=idle":                                 1,
		"slipway_controlplane_sleeps_total cause=other":                                1,
		"slipway_controlplane_sleep_withdrawals_total":                                 1,
		"slipway_controlplane_leads":                                                   0,
	}
	if diff := cmp.Diff(want, gathered(t, m)); diff != "" {
		t.Error(diff)
	}

	over := m.leads(1767323045678, lifecycle.New(lifecycle.Config{}))
	want["slipway_controlplane_leads"] = 1
	want["slipway_controlplane_epoch"] = 1767323045678
	want["slipway_controlplane_queued_starts"], want["slipway_controlplane_active_starts"] = 0, 0
	for _, status := range controlplane.Statuses {
		want["slipway_controlplane_instances status="+string(status)] = 0
	}
	if diff := cmp.Diff(want, gathered(t, m)); diff != "" {
		t.Error(diff)
	}
	over()
	if got := gathered(t, m); got["slipway_controlplane_leads"] != 0 || len(got) != 15 {
		t.Errorf("it leads no more: %v", got)
	}
}
