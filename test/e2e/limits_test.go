package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/seed-dbc68772/slipway/controlplane/client"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore/etcdtest"
)

// refusal is an answer, and the bounds of its Retry-After in seconds.
type refusal struct {
	status      int
	code        string
	least, most int
}

var tooManyWaiters = refusal{http.StatusServiceUnavailable, "too_many_waiters", 2, 4}

// refusals sends a request again and again, and wants this answer each time, with
// a Retry-After that is not always the same.
func (s *slipway) refusals(t *testing.T, r request, want refusal) {
	t.Helper()
	seen := map[int]bool{}
	for range 20 {
		a := s.send(t, r)
		after, err := strconv.Atoi(a.header.Get("Retry-After"))
		if a.status != want.status || !strings.Contains(string(a.body), `"code":"`+want.code+`"`) || a.header.Get("Cache-Control") != "no-store" ||
			err != nil || after < want.least || after > want.most {
			t.Fatalf("%d %v %s, want %+v", a.status, a.header, a.body, want)
		}
		seen[after] = true
	}
	if len(seen) < 2 {
		t.Errorf("Retry-After is always in %v: who is refused together comes back together", seen)
	}
}

// waits is how many requests wait at this slipway.
func (s *slipway) waits() int {
	s.t.Helper()
	_, body := s.admin(s.t, "GET", "/metrics", nil)
	for line := range strings.Lines(body) {
		if value, ok := strings.CutPrefix(line, "slipway_edge_held_requests "); ok {
			n, err := strconv.Atoi(strings.TrimSpace(value))
			if err != nil {
				s.t.Fatal(err)
			}
			return n
		}
	}
	s.t.Fatal("there is no such metric")
	return 0
}

// state is what visitors are told of an instance.
func (s *slipway) state(id string) (state struct {
	Status, Stage string
	Queue         int
}) {
	s.t.Helper()
	if err := json.Unmarshal(s.get(s.host(id), "/.slipway/status").body, &state); err != nil {
		s.t.Fatal(err)
	}
	return state
}

// TestWhoWaitsIsLimited: waiters_per_instance, waiters_per_source,
// waiters_per_edge and starts_at_once (spec instances.md §3). Visitors come by a
// proxy, and those without an address of their own are not counted.
func TestWhoWaitsIsLimited(t *testing.T) {
	t.Parallel()
	s := newSlipway(t)
	s.configure("trusted_proxies 127.0.0.1\nwaiters_per_instance 2\nwaiters_per_source 1\nwaiters_per_edge 4\nstarts_at_once 1")
	s.start()
	g := newGate(t)
	logName, starts := startLog(t)
	ids := s.asleep(4, s.importApp(app{Name: "app", Env: map[string]string{"START_GATE": g.path, "START_LOG": logName}}), "PUBLIC")
	began := starts()
	g.close()

	var all sync.WaitGroup
	defer all.Wait()
	defer g.open()
	served, waiting := make(chan error, 4), 0
	wait := func(id string, header ...string) {
		all.Go(func() {
			a, err := s.ask(request{host: s.host(id), target: "/", header: header})
			if err == nil {
				_, err = a.decode()
			}
			served <- err
		})
		waiting++
		eventually(t, "it waits", func() bool { return s.waits() == waiting })
	}
	first, second, third, fourth := ids[0], ids[1], ids[2], ids[3]
	wait(first)
	eventually(t, "the first one starts", func() bool { return s.state(first).Stage == "starting" })
	wait(first)
	t.Run("of an instance", func(t *testing.T) {
		s.refusals(t, request{host: s.host(first), target: "/"}, tooManyWaiters)
		s.refusals(t, request{host: s.host(first), target: "/", method: "POST", body: "body"}, tooManyWaiters)
		page := s.send(t, request{host: s.host(first), target: "/", header: []string{"Accept: text/html", "Sec-Fetch-Mode: navigate"}})
		if page.status != 503 || !strings.Contains(string(page.body), "Too many requests wait for this app") || page.header.Get("Retry-After") == "" {
			t.Errorf("a page: %d %v %s", page.status, page.header, page.body)
		}
		err := callsGRPC(&call{ctx: t.Context(), port: s.port, id: first})
		if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "Too many requests wait for this app") {
			t.Errorf("gRPC: %v", err)
		}
	})
	wait(second, "X-Forwarded-For: 2001:db8::1")
	eventually(t, "the second one queues", func() bool { return s.state(second).Stage == "queued" })
	t.Run("of a source", func(t *testing.T) {
		r := request{host: s.host(third), target: "/", header: []string{"X-Forwarded-For: 2001:db8::2"}}
		s.refusals(t, r, refusal{http.StatusTooManyRequests, "too_many_waiters", 2, 4})
		if a := s.send(t, r); !strings.Contains(string(a.body), "of you or your network") {
			t.Errorf("%s", a.body)
		}
	})
	wait(third)
	t.Run("of an edge", func(t *testing.T) {
		s.refusals(t, request{host: s.host(fourth), target: "/"}, tooManyWaiters)
		if a := s.get(s.host(fourth), "/"); !strings.Contains(string(a.body), "Too many requests wait here") {
			t.Errorf("%s", a.body)
		}
		if in := s.instance(fourth); in.Status != "SUSPENDED" {
			t.Errorf("who got no place has woken it: %s", in.Status)
		}
	})
	t.Run("starts at once", func(t *testing.T) {
		for place, id := range []string{second, third} {
			eventually(t, id+" has its place in the queue", func() bool {
				at := s.state(id)
				return at.Status == "RESUMING" && at.Stage == "queued" && at.Queue == place+1
			})
		}
		if n := starts() - began; n != 1 {
			t.Errorf("%d starts are under way", n)
		}
		g.open()
		for range waiting {
			if err := <-served; err != nil {
				t.Error(err)
			}
		}
		if n := starts() - began; n != 3 {
			t.Errorf("%d starts, want 3", n)
		}
	})
}

// TestWhoStartsIsLimited: starts_per_user, starts_per_source and
// anonymous_starts, for visits that come by a proxy.
func TestWhoStartsIsLimited(t *testing.T) {
	t.Parallel()
	s := newSlipway(t)
	s.configure("trusted_proxies 127.0.0.1\nstarts_per_user 3\nstarts_per_source 4\nanonymous_starts 2")
	s.start()
	logName, starts := startLog(t)
	id := s.asleep(1, s.importApp(app{Name: "app", Env: map[string]string{"START_LOG": logName}}), "PUBLIC")[0]
	bearers := map[string]string{"": "", "bea": s.bearer("bea", id), "cal": s.bearer("cal", id)}
	const hour = int(time.Hour / time.Second)
	for _, x := range []struct {
		who, from string
		status    int
		limit     string
	}{
		{"", "203.0.113.7", 200, ""},
		{"", "203.0.113.7", 200, ""},
		{"", "203.0.113.7", 429, "anonymous_starts"},
		{"", "203.0.113.8", 200, "another source's visitors are not bound by that"},
		{"bea", "203.0.113.7", 200, "nor is who is signed in"},
		{"bea", "203.0.113.7", 200, ""},
		{"bea", "203.0.113.7", 429, "starts_per_source"},
		{"cal", "203.0.113.7", 429, "starts_per_source of another user"},
		{"bea", "2001:db8::1", 200, "from elsewhere"},
		{"bea", "2001:db8::1", 429, "starts_per_user"},
		{"bea", "203.0.113.9", 429, "starts_per_user, wherever from"},
		{"cal", "2001:db8::2", 200, "another user"},
		{"", "2001:db8::3", 200, "one /64"},
		{"", "2001:db8::4", 200, "is one source"},
		{"", "2001:db8::5", 429, "anonymous_starts of a /64"},
		{"", "127.0.0.1", 200, "loopback is not counted"},
	} {
		t.Run(fmt.Sprintf("%s from %s: %d %s", x.who, x.from, x.status, x.limit), func(t *testing.T) {
			if s.instance(id).Status != "SUSPENDED" {
				s.sleep(id)
			}
			before := starts()
			r := request{host: s.host(id), target: "/", header: []string{"X-Forwarded-For: " + x.from}}
			if bearers[x.who] != "" {
				r.header = append(r.header, "Authorization: Bearer "+bearers[x.who])
			}
			if x.status == 200 {
				if s.send(t, r).echo(t); starts() != before+1 {
					t.Errorf("%d starts", starts()-before)
				}
				return
			}
			// The oldest of these starts is a few minutes old at most.
			s.refusals(t, r, refusal{http.StatusTooManyRequests, "too_many_starts", hour - 600, hour * 3 / 2})
			if status := s.instance(id).Status; status != "SUSPENDED" || starts() != before {
				t.Errorf("it is %s after %d starts", status, starts()-before)
			}
		})
	}
	t.Run("who may start nothing visits what runs", func(t *testing.T) {
		s.must("instance", "resume", id, "--wait")
		s.send(t, request{host: s.host(id), target: "/", header: []string{"X-Forwarded-For: 203.0.113.7"}}).echo(t)
	})
}

// bearer makes a user of a provider, and trades their token for one that opens
// the instance.
func (s *slipway) bearer(user, id string) string {
	s.t.Helper()
	store, err := etcdstore.Open(etcdstore.Config{Endpoints: []string{s.etcd()}})
	if err != nil {
		s.t.Fatal(err)
	}
	defer store.Close()
	c, err := client.New(client.Config{Endpoint: s.origin(""), Token: etcdtest.User(s.t, store, user), HTTP: &http.Client{Transport: loopback(s.t)}})
	if err != nil {
		s.t.Fatal(err)
	}
	ticket, err := c.Ticket(s.t.Context(), id)
	if err != nil {
		s.t.Fatal(err)
	}
	return ticket.Token
}
