package e2e

import (
	"strconv"
	"strings"
	"testing"
)

// series are the values of a control plane's metrics, by name and labels.
func (s *slipway) series(t *testing.T) map[string]float64 {
	t.Helper()
	status, body := s.admin(t, "GET", "/metrics", nil)
	if status != 200 {
		t.Fatalf("%d %.300s", status, body)
	}
	found := map[string]float64{}
	for line := range strings.Lines(body) {
		rest, ours := strings.CutPrefix(line, "slipway_controlplane_")
		name, value, ok := strings.Cut(strings.TrimSpace(rest), "} ")
		if ok {
			name += "}"
		} else {
			name, value, ok = strings.Cut(strings.TrimSpace(rest), " ")
		}
		if !ours || !ok {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		found[name] = n
	}
	return found
}

func TestTheControlPlaneCountsStartsAndSleep(t *testing.T) {
	t.Parallel()
	s := up(t)
	before := s.series(t)
	if before["leads"] != 1 || before["epoch"] < 1.7e12 || before[`instances{status="DEPLOYED"}`] != 0 {
		t.Errorf("before any start: %v", before)
	}
	in := s.run(app{Name: "counted"})
	s.sleep(in.ID)
	s.get(s.host(in.ID), "/").echo(t) // it is woken
	broken := id(s.must("app", "run", s.importApp(app{Name: "broken", Env: map[string]string{"EXIT_AT_ONCE": "1"}}), "-o", "name"))
	s.awaitStatus(broken, "FAILED")
	var got map[string]float64
	eventually(t, "all is counted", func() bool {
		got = s.series(t)
		return got[`starts_total{launcher="process",outcome="failed",reason="crashed"}`] == 1
	})
	for name, want := range map[string]float64{
		`starts_total{launcher="process",outcome="ready",reason=""}`:        2,
		`start_seconds_count{launcher="process",outcome="ready"}`:           2,
		`start_seconds_count{launcher="process",outcome="failed"}`:          1,
		`start_stage_seconds_count{stage="queued"}`:                         3,
		`start_stage_seconds_count{stage="ready"}`:                          2,
		`sleeps_total{cause="asked"}`:                                       1,
		`sleep_withdrawals_total`:                                           0,
		`instances{status="DEPLOYED"}`:                                      1,
		`instances{status="FAILED"}`:                                        1,
		`instances{status="SUSPENDED"}`:                                     0,
		`queued_starts`:                                                     0,
		`active_starts`:                                                     0,
		`leads`:                                                             1,
		`start_stage_seconds_bucket{stage="queued",le="+Inf"}`:              3,
		`start_seconds_bucket{launcher="process",outcome="ready",le="600"}`: 2,
	} {
		value, there := got[name]
		if !there || value != want {
			t.Errorf("%s is %v (%v), want %v", name, value, there, want)
		}
	}
	for name := range got {
		if strings.Contains(name, in.ID) || strings.Contains(name, "counted") || strings.Contains(name, in.AppID) {
			t.Errorf("%s names an instance or an app", name)
		}
	}
	leader := s.must("admin", "leader", "get", "-o", "json")
	if !strings.Contains(leader, `"epoch": `+strconv.FormatFloat(got["epoch"], 'f', 0, 64)) {
		t.Errorf("epoch %v leads by the metrics, and the API says %s", got["epoch"], leader)
	}
}
