package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/seed-dbc68772/slipway/caddymodule/certtest"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// needCurl skips a test for want of curl, but not where all are to run.
func needCurl(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil && strings.HasPrefix(name, "curl") {
		if slipwaytest.All {
			t.Fatal(err)
		}
		t.Skip("it needs curl")
	}
}

// gate is a file without which apps do not start.
type gate struct {
	t    *testing.T
	path string
}

func newGate(t *testing.T) gate {
	t.Helper()
	g := gate{t, filepath.Join(t.TempDir(), "gate")}
	g.open()
	return g
}

func (g gate) open() {
	g.t.Helper()
	if err := os.WriteFile(g.path, nil, 0o600); err != nil {
		g.t.Fatal(err)
	}
}

func (g gate) close() {
	g.t.Helper()
	if err := os.Remove(g.path); err != nil {
		g.t.Fatal(err)
	}
}

// asleep are n instances of an app that sleep.
func (s *slipway) asleep(n int, app, visibility string) (ids []string) {
	s.t.Helper()
	api := s.api()
	for range n {
		in, err := api.Run(s.t.Context(), v1.RunRequest{AppID: app, Visibility: &visibility})
		if err != nil {
			s.t.Fatal(err)
		}
		ids = append(ids, in.ID)
	}
	for _, id := range ids {
		s.awaitStatus(id, "DEPLOYED")
		if _, err := api.Suspend(s.t.Context(), id); err != nil {
			s.t.Fatal(err)
		}
	}
	for _, id := range ids {
		s.awaitStatus(id, "SUSPENDED")
	}
	return ids
}

// TestWhatVisitorsOfASleepingInstanceGet holds the table of spec instances.md §3
// with clients as they are in use: who wakes it is held while it starts, and
// then served.
func TestWhatVisitorsOfASleepingInstanceGet(t *testing.T) {
	t.Parallel()
	s := newSlipway(t)
	s.configure(fmt.Sprintf("starts_at_once 100\nhold %[1]s\nhealth_timeout %[1]s", enough))
	s.start()
	g := newGate(t)
	logName, starts := startLog(t)
	app := s.importApp(app{Name: "app", Env: map[string]string{"START_GATE": g.path, "START_LOG": logName}})
	ids := s.asleep(len(clients), app, "PUBLIC")
	quiet, private := s.asleep(1, app, "PUBLIC")[0], s.asleep(1, app, "PRIVATE")[0]
	began := starts()
	secure, hasty := s.secureEdge(), s.hastyEdge()
	g.close()
	large := s.file("large", bytes.Repeat([]byte("0123456789abcdef"), largeBody/16))

	ctx, cancel := context.WithTimeout(t.Context(), enough)
	var all sync.WaitGroup
	defer func() { cancel(); all.Wait() }()
	calls, done := make([]*call, len(clients)), make([]chan error, len(clients))
	for i, x := range clients {
		calls[i] = &call{ctx: ctx, client: &http.Client{Transport: loopback(t)}, port: s.port, secure: secure, id: ids[i], large: large}
		done[i] = make(chan error, 1)
		all.Go(func() { done[i] <- x.visit(calls[i]) })
	}
	t.Run("no wake", func(t *testing.T) { s.wakesNobody(t, quiet, private) })
	for i, x := range clients {
		t.Run(x.name+" is held", func(t *testing.T) {
			needCurl(t, x.name)
			eventually(t, "it starts", func() bool { return len(done[i]) > 0 || s.instance(ids[i]).Status == "RESUMING" })
			for last := int64(-1); last != calls[i].read.Load(); time.Sleep(100 * time.Millisecond) {
				last = calls[i].read.Load()
			}
			if n := calls[i].read.Load(); n > x.most {
				t.Errorf("%d bytes of its body were taken, want at most %d", n, x.most)
			}
			if len(done[i]) > 0 {
				err := <-done[i]
				t.Errorf("it is over before the app runs: %v", err)
				done[i] <- err // for who asks what it got
			}
		})
	}
	t.Run("past the hold", func(t *testing.T) {
		refusedPastHold(t, &call{ctx: ctx, client: &http.Client{Transport: loopback(t)}, port: hasty, id: ids[0], large: large})
	})
	g.open()
	for i, x := range clients {
		t.Run(x.name+" is served", func(t *testing.T) {
			needCurl(t, x.name)
			if err := <-done[i]; err != nil {
				t.Error(err)
			}
			if in := s.why(ids[i]); in.Begun == nil || in.Begun.Cause != "visit" || in.Status != "DEPLOYED" {
				t.Errorf("it is awake by %+v", in.Begun)
			}
		})
	}
	for _, id := range []string{quiet, private} {
		if in := s.why(id); in.Status != "SUSPENDED" || in.Begun.Cause != "run" {
			t.Errorf("%s was woken: %+v", id, in)
		}
	}
	if n := starts() - began; n > len(clients) {
		t.Errorf("%d starts for %d instances", n, len(clients))
	}
}

func (s *slipway) why(id string) *v1.Why {
	s.t.Helper()
	why, err := s.api().Why(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return why
}

// secureEdge is one that speaks HTTP/2 and HTTP/3, with TLS.
func (s *slipway) secureEdge() (port string) {
	s.t.Helper()
	port = freePort(s.t)
	cert, key := certtest.SelfSigned(s.t, "localhost", "*.localhost").Write(s.t, filepath.Join(s.t.TempDir(), "cert"))
	s.pureEdge(fmt.Sprintf("hold %s\nbase_url https://localhost:%s", enough, port), fmt.Sprintf("https://:%s {\n\ttls %s %s\n\tslipway\n}", port, cert, key))
	s.awaitEdge("https://localhost:" + port)
	return port
}

// hastyEdge is one at whom nobody waits for long.
func (s *slipway) hastyEdge() (port string) {
	s.t.Helper()
	port = freePort(s.t)
	s.pureEdge("hold 1s\nbase_url http://localhost:"+port, "http://:"+port+" {\n\tslipway\n}")
	s.awaitEdge("http://localhost:" + port)
	return port
}

// awaitEdge waits until the edge at an address has the routes.
func (s *slipway) awaitEdge(address string) {
	s.t.Helper()
	transport := loopback(s.t)
	transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // its certificate is its own
	client := &http.Client{Transport: transport}
	eventually(s.t, "the edge at "+address+" is ready", func() bool {
		resp, err := client.Get(address + "/readyz")
		if err != nil {
			return false
		}
		resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
}

// wakesNobody asks in ways that start nothing.
func (s *slipway) wakesNobody(t *testing.T, public, private string) {
	ticket, err := s.api().Ticket(t.Context(), private)
	if err != nil {
		t.Fatal(err)
	}
	preflight := []string{"Origin: https://other.example", "Access-Control-Request-Method: PUT"}
	page := []string{"Accept: text/html", "Sec-Fetch-Mode: navigate"}
	for _, x := range []struct {
		name, method, target, id string
		header                   []string
		status                   int
	}{
		{"HEAD", "HEAD", "/", public, page, 503},
		{"the icon", "GET", "/favicon.ico", public, nil, 503},
		{"robots.txt", "GET", "/robots.txt", public, nil, 503},
		{"a prefetch", "GET", "/", public, append(page, "Sec-Purpose: prefetch"), 503},
		{"a prerendering", "GET", "/", public, append(page, "Sec-Purpose: prefetch;prerender"), 503},
		{"an older prefetch", "GET", "/", public, append(page, "Purpose: prefetch"), 503},
		{"an unfurler", "GET", "/", public, []string{"User-Agent: Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)"}, 503},
		{"an uptime probe", "GET", "/", public, []string{"User-Agent: " + uptimeRobot}, 503},
		{"a preflight of a PRIVATE one", "OPTIONS", "/", private, append(preflight, "Authorization: Bearer "+ticket.Token), 204},
		{"a preflight by nobody", "OPTIONS", "/", private, preflight, 401},
		{"a visit by nobody", "GET", "/", private, nil, 401},
		{"the status", "GET", "/.slipway/status", public, nil, 200},
	} {
		t.Run(x.name, func(t *testing.T) {
			a := s.send(t, request{method: x.method, target: x.target, host: s.host(x.id), header: x.header})
			if a.status != x.status || a.header.Get("Access-Control-Allow-Origin") != "" || a.header.Get("Cache-Control") != "no-store" {
				t.Errorf("%d %v, want %d", a.status, a.header, x.status)
			}
			if x.status != 503 {
				return
			}
			if after, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || after < 1 {
				t.Errorf("Retry-After is %q", a.header.Get("Retry-After"))
			}
		})
	}
	time.Sleep(500 * time.Millisecond) // longer than a wake takes to begin
	for _, id := range []string{public, private} {
		if in := s.instance(id); in.Status != "SUSPENDED" {
			t.Errorf("%s is %s", id, in.Status)
		}
	}
}

// refusedPastHold asks an edge at which nobody waits as long as the app takes.
func refusedPastHold(t *testing.T, c *call) {
	for name, header := range map[string]string{
		"a request": "", "an EventSource": "Accept: text/event-stream",
	} {
		t.Run(name, func(t *testing.T) {
			resp, err := c.client.Do(c.request("GET", c.url("/a"), header, nil))
			if err != nil {
				t.Fatal(err)
			}
			isStillStarting(t, resp)
		})
	}
	t.Run("10 MiB", func(t *testing.T) {
		if err := sends("")(c); err == nil || !strings.Contains(err.Error(), `"still_starting"`) {
			t.Error(err)
		}
		// Beside the answer net/http reads 256 KiB, and the system's buffers grow by
		// what is read from them.
		if n := c.read.Load(); n > largeBody/2 {
			t.Errorf("%d bytes of the body were taken", n)
		}
	})
	t.Run("a WebSocket", func(t *testing.T) {
		_, resp, err := websocket.Dial(c.ctx, c.url("/ws"), &websocket.DialOptions{HTTPClient: c.client})
		if err == nil || resp == nil {
			t.Fatalf("%v, %v", resp, err)
		}
		isStillStarting(t, resp)
	})
	t.Run("gRPC", func(t *testing.T) {
		if err := callsGRPC(c); status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "Nothing reached it") {
			t.Error(err)
		}
	})
}

// isStillStarting wants the problem document of who waited in vain.
func isStillStarting(t *testing.T, resp *http.Response) {
	t.Helper()
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var p struct{ Code, Stage, Detail string }
	if err := json.Unmarshal(raw, &p); err != nil {
		t.Fatalf("%v: %s", err, raw)
	}
	if resp.StatusCode != 503 || p.Code != "still_starting" || p.Stage != "starting" || !strings.Contains(p.Detail, "Nothing reached it") ||
		resp.Header.Get("Retry-After") == "" || resp.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%d %v %s", resp.StatusCode, resp.Header, raw)
	}
}
