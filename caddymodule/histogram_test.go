package caddymodule

import (
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
)

func TestHistogramCountsBelowItsBounds(t *testing.T) {
	h := newHistogram(overheadBounds)
	desc := describe("test_seconds", "")
	if h.metric(desc) != nil {
		t.Error("an empty one is shown")
	}
	for _, d := range []time.Duration{-1, 0, 50 * time.Microsecond, 50*time.Microsecond + 1, 10 * time.Millisecond, time.Second} {
		h.observe(d)
	}
	var m dto.Metric
	if err := h.metric(desc).Write(&m); err != nil {
		t.Fatal(err)
	}
	got := map[float64]uint64{}
	for _, b := range m.Histogram.Bucket {
		got[b.GetUpperBound()] = b.GetCumulativeCount()
	}
	for bound, want := range map[float64]uint64{50e-6: 3, 100e-6: 4, 5e-3: 4, 10e-3: 5, 50e-3: 5} {
		if got[bound] != want {
			t.Errorf("%d below %v, want %d", got[bound], bound, want)
		}
	}
	if n := m.Histogram.GetSampleCount(); n != 6 {
		t.Errorf("%d in all", n)
	}
	if sum := m.Histogram.GetSampleSum(); sum < 1.0100999 || sum > 1.0101001 {
		t.Errorf("sum %v", sum)
	}
}

// testCounts is what a request costs that is counted.
func testCounts() func() {
	m := new(metrics)
	m.prepare(nil)
	return func() {
		v := visit{began: time.Now()}
		m.count(outProxied, 200, v.overhead())
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	count := testCounts()
	if n := testing.AllocsPerRun(100, count); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkCount is the time and the counters of one request; what the way to
// the app adds is two readings of the clock.
func BenchmarkCount(b *testing.B) {
	count := testCounts()
	b.ReportAllocs()
	for b.Loop() {
		count()
	}
}
