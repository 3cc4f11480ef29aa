package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// sleep suspends an instance and checks that nothing of it runs.
func (s *slipway) sleep(id string) {
	s.t.Helper()
	s.must("instance", "suspend", id, "--wait")
	if in := s.instance(id); in.Status != "SUSPENDED" {
		s.t.Fatalf("%s is %s", id, in.Status)
	}
	if pids := s.pids(id); len(pids) > 0 {
		s.t.Fatalf("%s sleeps, and its processes %v run", id, pids)
	}
}

// TestAVisitWakesASleepingInstanceOnce is one start however many visitors
// there are, and an answer of the app for each of them.
func TestAVisitWakesASleepingInstanceOnce(t *testing.T) {
	t.Parallel()
	s := up(t)
	logName, starts := startLog(t)
	in := s.run(app{Name: "sleeper", Env: map[string]string{"START_LOG": logName, "START_DELAY": "300ms"}})
	s.alias("pretty", in.ID, false)
	s.sleep(in.ID)

	t.Run("a redirect wakes nobody", func(t *testing.T) {
		eventually(t, "the alias redirects", func() bool { return s.get(s.host("pretty"), "/").status == 302 })
		if a := s.get(s.host(""), "/instance/"+in.ID+"/"); a.status != 307 {
			t.Errorf("the path of a sleeping DOMAIN instance: %d", a.status)
		}
		time.Sleep(500 * time.Millisecond) // longer than a wake takes to begin
		if got := s.instance(in.ID); got.Status != "SUSPENDED" || starts() != 1 {
			t.Errorf("%s after %d starts", got.Status, starts())
		}
	})
	t.Run("200 visitors at once", func(t *testing.T) { s.visitors(t, in.ID) })
	if starts() != 2 {
		t.Errorf("%d starts, want one for the run and one for 200 visitors", starts())
	}
	t.Run("a WebSocket", func(t *testing.T) {
		s.sleep(in.ID)
		s.dialWebSocket(t, "ws://"+s.host(in.ID)+"/ws")
		if starts() != 3 {
			t.Errorf("%d starts", starts())
		}
	})
	t.Run("it stays reachable", func(t *testing.T) {
		s.awaitStatus(in.ID, "DEPLOYED")
		for range 20 {
			s.get(s.host(in.ID), "/").echo(t)
		}
		if starts() != 3 || len(s.pids(in.ID)) != 1 {
			t.Errorf("%d starts, processes %v", starts(), s.pids(in.ID))
		}
	})
	t.Run("suspending what sleeps and resuming what runs is no error", func(t *testing.T) {
		s.must("instance", "resume", in.ID, "--wait")
		s.sleep(in.ID)
		s.must("instance", "suspend", in.ID, "--wait")
		s.must("instance", "resume", in.ID, "--wait")
		if starts() != 4 {
			t.Errorf("%d starts", starts())
		}
	})
}

// visitors sends 200 requests at once, every other a POST with a body.
func (s *slipway) visitors(t *testing.T, id string) {
	const count = 200
	begin := time.Now()
	var wg sync.WaitGroup
	faults := make(chan string, count)
	for i := range count {
		wg.Go(func() {
			r := request{host: s.host(id), target: fmt.Sprintf("/visit/%d", i)}
			if i%2 == 1 {
				r.method, r.body = http.MethodPost, strings.Repeat(fmt.Sprint(i), 1000)
			}
			a, err := s.ask(r)
			e, fault := a.decode()
			if err != nil || fault != nil {
				faults <- fmt.Sprintf("visitor %d: %v, %v", i, err, fault)
				return
			}
			sum := sha256.Sum256([]byte(r.body))
			if e.URI != r.target || e.Body != hex.EncodeToString(sum[:]) {
				faults <- fmt.Sprintf("visitor %d: the app got %s and a body of %s", i, e.URI, e.Body)
			}
		})
	}
	wg.Wait()
	close(faults)
	for fault := range faults {
		t.Error(fault)
	}
	t.Logf("figure: 200 visitors answered %s after the first came; the app takes 300ms to start", time.Since(begin).Round(time.Millisecond))
}

// TestStreamsAreNotGathered: an event is there before the answer has ended.
func TestStreamsAreNotGathered(t *testing.T) {
	t.Parallel()
	s := up(t)
	in := s.run(app{Name: "stream"})
	client := &http.Client{Transport: loopback(t)}
	begin := time.Now()
	response, err := client.Get(in.URL + "stream")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	first := make([]byte, len("data: 0\n\n"))
	if _, err := response.Body.Read(first); err != nil || string(first) != "data: 0\n\n" {
		t.Fatalf("%q, %v", first, err)
	}
	if took := time.Since(begin); took > 14*time.Second {
		t.Errorf("the first event came after %s, with the second", took)
	}
}

// TestAManualAppSleepsAndWakes: nothing is stopped or started, but its route
// closes and opens.
func TestAManualAppSleepsAndWakes(t *testing.T) {
	t.Parallel()
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "manual "+r.RequestURI)
	}))
	defer outside.Close()
	s := up(t)
	in := s.run(app{Name: "manual", Mode: "BASE_URL", Runtime: "AppMode = \"manual\"\nAddress = \"" + outside.URL + "\""})
	target := "/instance/" + in.ID + "/a%2fb?c"
	s.sleep(in.ID)
	if a := s.get(s.host(""), target); a.status != 200 || string(a.body) != "manual "+target {
		t.Errorf("%d %s", a.status, a.body)
	}
	s.awaitStatus(in.ID, "DEPLOYED")
	s.stop()
	s.start()
	s.awaitStatus(in.ID, "DEPLOYED")
	if a := s.get(s.host(""), target); a.status != 200 {
		t.Errorf("after a restart: %d %s", a.status, a.body)
	}
}

// TestAnAppThatIsKilledComesBack holds instances.md §2's crashed: restarted
// with back-off, and given up after five ends.
func TestAnAppThatIsKilledComesBack(t *testing.T) {
	t.Parallel()
	s := up(t)
	logName, starts := startLog(t)
	in := s.run(app{Name: "crasher", Env: map[string]string{"START_LOG": logName}})
	for n := 1; n <= 4; n++ {
		s.killApp(in.ID)
		e := s.get(s.host(in.ID), "/").echo(t)
		if pids := s.pids(in.ID); len(pids) != 1 || pids[0] != e.Pid {
			t.Errorf("crash %d: %d answered, processes %v", n, e.Pid, pids)
		}
		if starts() != n+1 {
			t.Errorf("crash %d: %d starts", n, starts())
		}
		s.awaitStatus(in.ID, "DEPLOYED")
	}
	s.killApp(in.ID)
	got := s.awaitStatus(in.ID, "FAILED")
	if got.Reason == nil || got.Reason.Code != "crashed" {
		t.Errorf("the reason is %+v", got.Reason)
	}
	a := s.get(s.host(in.ID), "/")
	if a.status != 503 || a.header.Get("Retry-After") == "" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("a visit to a failed instance: %d %v", a.status, a.header)
	}
	if starts() != 5 {
		t.Errorf("%d starts before its back-off is over, want 5", starts())
	}
	s.must("instance", "resume", in.ID, "--wait")
	if e := s.get(s.host(in.ID), "/").echo(t); e.Instance != in.ID || starts() != 6 {
		t.Errorf("after resume: %s answers, %d starts", e.Instance, starts())
	}
}
