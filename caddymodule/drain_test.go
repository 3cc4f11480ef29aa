package caddymodule_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// mark writes the mark of a suspend, and returns its revision.
func (e *edge) mark(in *controlplane.Instance) int64 {
	e.t.Helper()
	in.Status, in.Sleep = controlplane.Suspending, &controlplane.Sleep{Cause: "idle"}
	return e.write(in)
}

// write puts a record and does not wait for the edge.
func (e *edge) write(in *controlplane.Instance) int64 {
	e.t.Helper()
	revision, err := e.store.Update(e.t.Context(), func(tx controlplane.Tx) error { return tx.Put(in) })
	if err != nil {
		e.t.Fatal(err)
	}
	return revision
}

// ack is what the edge says once it has applied the revision and what it has of
// the instance is as wanted.
func (e *edge) ack(revision int64, id string, wanted func(a controlplane.Activity, has bool) bool) (a controlplane.Activity, has bool) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), patience)
	defer cancel()
	found := false
	e.store.WatchEdges(ctx, func(b controlplane.EdgeBatch) {
		for _, edge := range b.Put {
			i := slices.IndexFunc(edge.Draining, func(d controlplane.Activity) bool { return d.InstanceID == id })
			if has = i >= 0; has {
				a = edge.Draining[i]
			} else {
				a = controlplane.Activity{InstanceID: id, ActiveMS: -1, PresentMS: -1}
			}
			if edge.Revision >= revision && wanted(a, has) {
				found = true
				cancel()
				return
			}
		}
	})
	if !found {
		e.t.Fatalf("there is no such ack, the last has %+v", a)
	}
	return a, has
}

func first(controlplane.Activity, bool) bool         { return true }
func drained(a controlplane.Activity, has bool) bool { return !has || a.Open == 0 }

func TestTheAckOfAMarkSaysWhatIsOpenAndNew(t *testing.T) {
	e := startEdge(t, nil)
	release := make(chan struct{})
	endpoint := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			<-release
		}
		w.Write([]byte("done"))
	})
	idle, visited, busy := instance(1, endpoint), instance(2, endpoint), instance(3, endpoint)
	e.put(idle, visited, busy)

	if a, has := e.ack(e.mark(idle), idle.ID, first); has {
		t.Errorf("of an idle one: %+v", a)
	}

	e.do("GET", urlOf(visited)+"/")
	a, has := e.ack(e.mark(visited), visited.ID, first)
	if !has || a.ActiveMS < 0 || a.ActiveMS > patience.Milliseconds() || a.Cause != "request" || a.Open != 0 {
		t.Errorf("of one with activity that was not reported: %v, %+v", has, a)
	}

	answer := e.visit("GET", urlOf(busy)+"/slow", "")
	eventually(t, "the request at the app", func() bool { return e.table().Stays() == 1 })
	mark := e.mark(busy)
	a, has = e.ack(mark, busy.ID, first)
	if diff := cmp.Diff(controlplane.Activity{InstanceID: busy.ID, ActiveMS: -1, PresentMS: -1, Open: 1}, a); !has || diff != "" {
		t.Errorf("of one with a request (-want +got):\n%s", diff)
	}
	close(release)
	if got := <-answer; got != "200 OK done" {
		t.Errorf("the request in flight got %q", got)
	}
	if a, has = e.ack(mark, busy.ID, drained); !has || a.ActiveMS < 0 {
		t.Errorf("after its end: %v, %+v", has, a)
	}

	for _, in := range []*controlplane.Instance{idle, visited, busy} {
		in.Status, in.Sleep = controlplane.Deployed, nil
		e.ack(e.write(in), in.ID, func(_ controlplane.Activity, has bool) bool { return !has })
	}
	e.wantNoErrors()
}

// generation is an app that knows when it has been stopped.
type generation struct {
	*httptest.Server
	stopped atomic.Bool
}

func startGeneration(t *testing.T) *generation {
	g := new(generation)
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.stopped.Load() {
			t.Error("a request reached a generation that has been stopped")
		}
		body, _ := io.ReadAll(r.Body)
		w.Write(append([]byte("hello "), body...))
		if g.stopped.Load() {
			t.Error("it was stopped under a request")
		}
	}))
	return g
}

// TestSuspendingUnderLoadCostsNoVisitorAnError marks an instance, takes that back
// or stops it, and starts it again, while visitors come as fast as they can.
func TestSuspendingUnderLoadCostsNoVisitorAnError(t *testing.T) {
	e := startEdge(t, nil)
	app := startGeneration(t)
	defer func() { app.Close() }()
	in := instance(1, app.Listener.Addr().String())
	e.put(in)
	var visitors sync.WaitGroup
	var served atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	for n := range 8 {
		visitors.Go(func() {
			method := []string{"GET", "POST"}[n%2]
			for ctx.Err() == nil {
				if got := <-e.visit(method, urlOf(in)+"/", "you"); got != "200 OK hello you" {
					t.Errorf("a visitor got %q", got)
					return
				}
				served.Add(1)
			}
		})
	}
	for round := range 30 {
		before := served.Load()
		eventually(t, "visitors", func() bool { return served.Load() > before+10 || t.Failed() })
		endpoint := in.Endpoint
		e.ack(e.mark(in), in.ID, drained)
		if round%3 == 0 {
			in.Status, in.Sleep, in.Endpoint = controlplane.Deployed, nil, endpoint
			e.write(in)
			continue
		}
		app.stopped.Store(true)
		in.Sleep.Stopping = true
		e.write(in)
		app.CloseClientConnections()
		app.Close()
		in.Status, in.Sleep, in.Endpoint = controlplane.Suspended, nil, ""
		e.write(in)
		in.Status, in.Generation = controlplane.Resuming, in.Generation+1
		e.write(in)
		app = startGeneration(t)
		in.Status, in.Endpoint = controlplane.Deployed, app.Listener.Addr().String()
		e.write(in)
	}
	cancel()
	visitors.Wait()
	t.Logf("%d requests", served.Load())
	e.wantNoErrors()
}

func TestWhatIsUnderWayGoesOnWhileAnInstanceIsMarked(t *testing.T) {
	e := startEdge(t, nil)
	step := make(chan struct{})
	in := instance(1, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			echo(w, r)
			return
		}
		for range 3 {
			io.WriteString(w, "tick")
			http.NewResponseController(w).Flush()
			<-step
		}
	}))
	e.put(in)
	conn := e.dial(urlOf(in) + "/ws")
	e.talk(conn, "before")
	resp, err := e.http.Get(urlOf(in) + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	step <- struct{}{}

	a, _ := e.ack(e.mark(in), in.ID, first)
	if a.Open != 2 {
		t.Errorf("%d are open, want 2", a.Open)
	}
	e.talk(conn, "marked")
	step <- struct{}{}
	in.Status, in.Sleep = controlplane.Deployed, nil
	e.put(in)
	e.talk(conn, "taken back")
	step <- struct{}{}
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "tickticktick" {
		t.Errorf("the answer is %q (%v)", body, err)
	}
	e.wantNoErrors()
}

func TestWebSocketsAndEventStreamsEndWhenTheirInstanceStops(t *testing.T) {
	for name, stop := range map[string]func(*edge, *controlplane.Instance){
		"stopping": func(e *edge, in *controlplane.Instance) { e.mark(in); in.Sleep.Stopping = true; e.write(in) },
		"asleep":   func(e *edge, in *controlplane.Instance) { in.Status = controlplane.Suspended; e.write(in) },
		"started again": func(e *edge, in *controlplane.Instance) {
			in.Status = controlplane.Resuming
			in.Generation++
			e.write(in)
		},
		"being removed": func(e *edge, in *controlplane.Instance) { in.Status = controlplane.Terminating; e.write(in) },
		"faster than we are": func(e *edge, in *controlplane.Instance) {
			e.ack(e.mark(in), in.ID, first)
			resp, err := http.Get("http://" + in.Endpoint + "/end")
			if err != nil {
				e.t.Fatal(err)
			}
			resp.Body.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			e := startEdge(t, nil)
			end := make(chan struct{})
			in := instance(1, serve(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Path == "/end":
					close(end)
				case r.Header.Get("Upgrade") != "":
					conn, rw, err := http.NewResponseController(w).Hijack()
					if err != nil {
						t.Error(err)
						return
					}
					defer conn.Close()
					io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x02hi")
					gone := make(chan struct{})
					go func() { // ends with the connection
						defer close(gone)
						rw.Discard(8)
					}()
					select {
					case <-end:
					case <-gone:
					}
				default:
					w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
					io.WriteString(w, "data: 1\n\n")
					http.NewResponseController(w).Flush()
					select {
					case <-r.Context().Done():
					case <-end:
					}
				}
			}))
			e.put(in)
			events, err := e.http.Get(urlOf(in) + "/")
			if err != nil {
				t.Fatal(err)
			}
			defer events.Body.Close()
			line := make([]byte, 9)
			if _, err := io.ReadFull(events.Body, line); err != nil {
				t.Fatal(err)
			}
			r := e.upgraded(in)
			if _, err := io.ReadFull(r, make([]byte, 4)); err != nil {
				t.Fatal(err)
			}

			stop(e, in)
			frame := make([]byte, 4)
			if _, err := io.ReadFull(r, frame); err != nil || string(frame) != "\x88\x02\x03\xe9" {
				t.Errorf("the WebSocket ends with %q (%v), want a Close frame of 1001", frame, err)
			}
			if rest, err := io.ReadAll(events.Body); err != nil || len(rest) > 0 {
				t.Errorf("the event stream ends with %q (%v)", rest, err)
			}
			e.wantNoErrors()
		})
	}
}

// upgraded opens a WebSocket and gives what comes over it, byte by byte.
func (e *edge) upgraded(in *controlplane.Instance) *bufio.Reader {
	e.t.Helper()
	conn, err := net.Dial("tcp", e.addr)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+in.ID+"."+base+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	r := bufio.NewReader(conn)
	if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		e.t.Fatalf("%v, %v", resp, err)
	}
	return r
}

// A frame that does not end must not keep its WebSocket open.
func TestAWebSocketInTheMiddleOfAFrameIsCut(t *testing.T) {
	e := startEdge(t, nil)
	in := instance(1, serve(t, func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x7dhalf")
		io.Copy(io.Discard, conn)
	}))
	e.put(in)
	r := e.upgraded(in)
	in.Status = controlplane.Suspended
	e.write(in)
	if got, err := io.ReadAll(r); err != nil || string(got) != "\x81\x7dhalf" {
		t.Errorf("the visitor got %q (%v), want what came, and the end", got, err)
	}
	eventually(t, "its end", func() bool { return e.table().Stays() == 0 })
}

func TestARequestAfterTheMarkIsAVisitToASleeper(t *testing.T) {
	e := startEdge(t, nil)
	var old atomic.Int32
	in := instance(1, serve(t, func(http.ResponseWriter, *http.Request) { old.Add(1) }))
	e.put(in)
	e.ack(e.mark(in), in.ID, first)
	answer := e.visit("GET", urlOf(in)+"/", "")
	eventually(t, "an intent to wake it", func() bool { return e.intents(in.ID) == 1 })
	if a, has := e.ack(0, in.ID, first); has && a.Open > 0 {
		t.Errorf("who waits keeps it from its sleep: %+v", a)
	}
	in.Status, in.Generation, in.Endpoint, in.Sleep = controlplane.Deployed, 2, serve(t, hello), nil
	e.write(in)
	if got := <-answer; !strings.HasPrefix(got, "200 OK hello") || old.Load() > 0 {
		t.Errorf("got %q, and %d requests reached the old generation", got, old.Load())
	}
}

// A request may be slower than the mark and its acknowledgement, after it has
// been decided that it goes to an instance that runs. It looks once more.
func TestARequestThatWasDecidedBeforeTheMarkIsAVisitToASleeper(t *testing.T) {
	e := startEdge(t, nil)
	var old atomic.Int32
	in := instance(1, serve(t, func(http.ResponseWriter, *http.Request) { old.Add(1) }))
	e.put(in)
	slow := httptest.NewServer(e.table().ServeBy(e.table().Table()))
	defer slow.Close()
	if _, has := e.ack(e.mark(in), in.ID, first); has {
		t.Fatal("something is open before the request")
	}
	answer := make(chan string, 1)
	go func() { // ends with the answer
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, slow.URL+"/", nil)
		if err != nil {
			answer <- err.Error()
			return
		}
		r.Host = in.ID + "." + base
		resp, err := slow.Client().Do(r)
		if err != nil {
			answer <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		answer <- resp.Status + " " + string(body)
	}()
	eventually(t, "an answer, or an intent to wake it", func() bool { return len(answer) > 0 || e.intents(in.ID) == 1 })
	in.Status, in.Generation, in.Endpoint, in.Sleep = controlplane.Deployed, 2, serve(t, hello), nil
	e.write(in)
	if got := <-answer; !strings.HasPrefix(got, "200 OK hello") || old.Load() > 0 {
		t.Errorf("got %q, and %d requests reached the old generation", got, old.Load())
	}
	e.wantNoErrors()
}
