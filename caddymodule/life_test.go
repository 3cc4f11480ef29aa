package caddymodule_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/seed-dbc68772/slipway/caddymodule"
	"github.com/seed-dbc68772/slipway/controlplane"
)

func stopCaddy(t *testing.T) func() {
	return func() {
		if err := caddy.Stop(); err != nil {
			t.Error(err)
		}
	}
}

func hello(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Write(append([]byte("hello "), body...))
}

// visit sends a request and gives its answer later.
func (e *edge) visit(method, url, body string) <-chan string {
	answer := make(chan string, 1)
	go func() { // ends with the answer, at the latest after the client's time-out
		r, err := http.NewRequestWithContext(e.t.Context(), method, url, strings.NewReader(body))
		if err != nil {
			answer <- err.Error()
			return
		}
		resp, err := e.http.Do(r)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		got, _ := io.ReadAll(resp.Body)
		answer <- resp.Status + " " + string(got)
	}()
	return answer
}

// intents counts the intents to wake an instance that the store holds.
func (e *edge) intents(id string) int64 {
	e.t.Helper()
	resp, err := e.etcd.Get(e.t.Context(), e.prefix+"wake/"+id)
	if err != nil {
		e.t.Fatal(err)
	}
	return resp.Count
}

func TestAHeldRequestIsReleasedWhenTheInstanceRuns(t *testing.T) {
	e := startEdge(t, nil)
	in := instance(1, "")
	in.Status = controlplane.Suspended
	e.put(in)
	var answers []<-chan string
	for range 5 {
		answers = append(answers, e.visit("POST", urlOf(in)+"/", "body"))
	}
	eventually(t, "an intent to wake it", func() bool { return e.intents(in.ID) == 1 })
	in.Status, in.Generation = controlplane.Resuming, 2
	e.put(in)
	for _, a := range answers {
		select {
		case got := <-a:
			t.Fatalf("answered %q before it runs", got)
		default:
		}
	}
	in.Status, in.Endpoint = controlplane.Deployed, serve(t, hello)
	e.put(in)
	for _, a := range answers {
		if got := <-a; got != "200 OK hello body" {
			t.Errorf("got %q", got)
		}
	}
	e.wantNoErrors()
}

func TestAnswersToThoseWhoWaitInVain(t *testing.T) {
	for n, tc := range []struct {
		name   string
		hold   time.Duration
		status controlplane.Status
		then   func(e *edge, in *controlplane.Instance)
		want   string
	}{
		{"too slow", 300 * time.Millisecond, controlplane.Resuming, func(*edge, *controlplane.Instance) {}, `503 Service Unavailable.*still_starting`},
		{"failed", patience, controlplane.Resuming, func(e *edge, in *controlplane.Instance) {
			in.Status = controlplane.Failed
			e.put(in)
		}, `503 Service Unavailable.*start_failed`},
		{"terminated", patience, controlplane.Suspended, func(e *edge, in *controlplane.Instance) {
			e.update(func(tx controlplane.Tx) error { return tx.Delete(in) })
		}, `404 Not Found.*not_found`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := startEdge(t, settings{"hold": tc.hold})
			in := instance(n, "")
			in.Status = tc.status
			e.put(in)
			answer := e.visit("GET", urlOf(in)+"/", "")
			eventually(t, "it waits", func() bool { return e.table().Waiters() == 1 || len(answer) > 0 })
			tc.then(e, in)
			status, code, _ := strings.Cut(tc.want, ".*")
			if got := <-answer; !strings.HasPrefix(got, status) || !strings.Contains(got, code) {
				t.Errorf("got %q, want %s", got, tc.want)
			}
		})
	}
}

// The endpoint is closed while the edge still believes in it, and only then
// comes the record that says so.
func TestARequestThatRacesASuspendIsHeld(t *testing.T) {
	e := startEdge(t, nil)
	in := instance(1, freeAddr(t))
	e.put(in)
	answer := e.visit("POST", urlOf(in)+"/", "kept")
	time.Sleep(20 * time.Millisecond) // between its attempts to connect
	in.Status, in.Endpoint = controlplane.Suspended, ""
	e.put(in)
	eventually(t, "an intent to wake it", func() bool { return e.intents(in.ID) == 1 })
	in.Status, in.Generation, in.Endpoint = controlplane.Deployed, 2, serve(t, hello)
	e.put(in)
	if got := <-answer; got != "200 OK hello kept" {
		t.Errorf("got %q", got)
	}
	e.wantNoErrors()
}

// Suspends and resumes come all the time, and no visitor sees any of it.
func TestNoRequestIsLostWhileAnInstanceComesAndGoes(t *testing.T) {
	e := startEdge(t, nil)
	first, second := serve(t, hello), serve(t, hello)
	in := instance(1, first)
	e.put(in)
	stop := make(chan struct{})
	var visitors sync.WaitGroup
	var served atomic.Int64
	for range 4 {
		visitors.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got := <-e.visit("POST", urlOf(in)+"/", "x"); got != "200 OK hello x" {
					t.Errorf("got %q", got)
					return
				}
				served.Add(1)
			}
		})
	}
	for i := range 25 {
		in.Status, in.Endpoint = controlplane.Suspending, ""
		e.put(in)
		in.Status, in.Endpoint = controlplane.Deployed, []string{first, second}[i%2]
		in.Generation++
		e.put(in)
	}
	close(stop)
	visitors.Wait()
	if served.Load() == 0 {
		t.Error("nobody was served")
	}
	e.wantNoErrors()
}

func TestAPortThatAnotherInstanceTookOverGetsNoOldConnection(t *testing.T) {
	e := startEdge(t, nil)
	var conns atomic.Int64
	endpoint := serve(t, hello)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() { // ends with the listener
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns.Add(1)
			go func() { // ends with either connection
				defer conn.Close()
				app, err := net.Dial("tcp", endpoint)
				if err != nil {
					return
				}
				defer app.Close()
				go io.Copy(app, conn)
				io.Copy(conn, app)
			}()
		}
	}()
	one, two := instance(1, l.Addr().String()), instance(2, l.Addr().String())
	e.put(one, two)
	for _, in := range []*controlplane.Instance{one, one, two, two} {
		e.do("GET", urlOf(in)+"/")
	}
	one.Generation++
	e.put(one)
	e.do("GET", urlOf(one)+"/")
	if got := conns.Load(); got != 3 {
		t.Errorf("%d connections, want one for each instance and generation: 3", got)
	}
}

func TestAFirstByteThatComesTooLate(t *testing.T) {
	e := startEdge(t, settings{"first_byte_timeout": 200 * time.Millisecond})
	var asked atomic.Int64
	in := instance(1, serve(t, func(_ http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		<-r.Context().Done()
	}))
	e.put(in)
	if resp := e.do("GET", urlOf(in)+"/"); resp.StatusCode != http.StatusGatewayTimeout || !strings.Contains(text(resp), "app_timeout") {
		t.Errorf("status %d", resp.StatusCode)
	}
	if got := asked.Load(); got != 1 {
		t.Errorf("the app was asked %d times", got)
	}
}

func TestAPoisonedRecordKeepsTheLastGoodRoute(t *testing.T) {
	e := startEdge(t, nil)
	in := instance(1, serve(t, hello))
	e.put(in, alias(1, "other", in.ID))
	for key, value := range map[string]string{
		"routes/instance/" + in.ID: `{"v":1,"endpoint":"{env.HOME}:80","status":"DEPLOYED"}`,
		"routes/alias/other":       `{"instance_id":`,
		"routes/instance/nonsense": `{}`,
	} {
		resp, err := e.etcd.Put(t.Context(), e.prefix+key, value)
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, "the record", func() bool { return e.table().Table().Revision() >= resp.Header.Revision })
	}
	if got := text(e.do("GET", urlOf(in)+"/")); got != "hello " {
		t.Errorf("got %q", got)
	}
	if resp := e.do("GET", "http://other."+base+"/"); resp.StatusCode != 302 {
		t.Errorf("the alias gives %d", resp.StatusCode)
	}
	if got := strings.Count(e.errors(), "the last good one stays"); got != 3 {
		t.Errorf("%d refusals are in the log, want 3:\n%s", got, e.errors())
	}
}

func TestAReloadKeepsTheTableAndTheFeed(t *testing.T) {
	e := startEdge(t, nil)
	in := instance(1, serve(t, hello))
	e.put(in)
	before := e.table()
	stop := make(chan struct{})
	var visitor sync.WaitGroup
	visitor.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
			}
			// Caddy may close a connection that it has just accepted; clients
			// try again. An answer of the edge must be the app's.
			got := <-e.visit("GET", urlOf(in)+"/", "")
			if got != "200 OK hello " && !strings.HasSuffix(got, "EOF") && !strings.HasSuffix(got, "connection reset by peer") {
				t.Errorf("during a reload: %q", got)
				return
			}
		}
	})
	for range 3 {
		e.load()
	}
	close(stop)
	visitor.Wait()
	if e.table() != before {
		t.Error("a reload made another runtime")
	}
	e.put(alias(1, "fresh", in.ID))
	if resp := e.do("GET", "http://fresh."+base+"/"); resp.StatusCode != 302 {
		t.Errorf("a route that is newer than the reload gives %d", resp.StatusCode)
	}
}

func TestAReloadAppliesTheEdgesSettings(t *testing.T) {
	e := startEdge(t, nil)
	in := instance(1, dead)
	e.put(in, alias(1, "other", in.ID))
	e.config = strings.Replace(e.config, `"base_url"`, `"alias_redirect":"strict","base_url"`, 1)
	e.load()
	if resp := e.do("POST", "http://other."+base+"/"); resp.StatusCode != 302 {
		t.Errorf("POST to an alias gives %d, want 302 as the reload says", resp.StatusCode)
	}
}

func TestAReloadWithAnotherStoreIsRefused(t *testing.T) {
	e := startEdge(t, nil)
	in := instance(1, serve(t, hello))
	e.put(in)
	other := strings.Replace(e.config, `"prefix":"`+e.prefix, `"prefix":"/elsewhere/`, 1)
	if other == e.config {
		t.Fatal("the configuration is not as expected")
	}
	if err := caddy.Load([]byte(other), true); err == nil || !strings.Contains(err.Error(), "restart") {
		t.Errorf("the reload gives %v", err)
	}
	if got := text(e.do("GET", urlOf(in)+"/")); got != "hello " {
		t.Errorf("got %q", got)
	}
	if got := len(caddymodule.RuntimesInUse()); got != 1 {
		t.Errorf("%d runtimes, want 1", got)
	}
}
