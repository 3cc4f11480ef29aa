package caddymodule_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// startSlowEdge has every time-out of the server that may meet a slow client,
// or Caddy's and Slipway's own if idle is 0.
func startSlowEdge(t *testing.T, idle time.Duration) *edge {
	t.Helper()
	e := newEdge(t, nil)
	if idle > 0 {
		e.change(func(apps, server map[string]any) {
			for _, name := range []string{"read_idle_timeout", "write_idle_timeout", "idle_timeout", "read_header_timeout"} {
				server[name] = idle
			}
			apps["slipway"].(map[string]any)["first_byte_timeout"] = idle
		})
	}
	e.load()
	t.Cleanup(stopCaddy(t))
	return e
}

// news is an app that sends an event at once, and another when next is closed.
func news(next <-chan struct{}) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ws" {
			echo(w, r)
			return
		}
		w.Header().Set("Content-Type", "text/event-stream")
		for _, word := range []string{"first", "later"} {
			fmt.Fprintf(w, "data: %s\n\n", word)
			http.NewResponseController(w).Flush()
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
		}
	}
}

// A WebSocket or event stream that is silent longer than any time-out of the
// server goes on.
func TestSilentStreamsOutliveTheServersTimeOuts(t *testing.T) {
	const idle = 200 * time.Millisecond
	testSilentStreams(t, startSlowEdge(t, idle), 4*idle)
}

func TestSoakSilentStreamsOfTenMinutes(t *testing.T) {
	if os.Getenv("SLIPWAY_SOAK") == "" {
		t.Skip("takes ten minutes: set SLIPWAY_SOAK")
	}
	testSilentStreams(t, startSlowEdge(t, 0), 10*time.Minute)
}

// testSilentStreams holds four streams open, of which nothing is heard for a
// while.
func testSilentStreams(t *testing.T, e *edge, silence time.Duration) {
	next := make(chan struct{})
	in := instance(1, serve(t, news(next)))
	e.put(in)
	transports := map[string]http.RoundTripper{"HTTP/1.1": e.http.Transport, "HTTP/2": e.overHTTP2()}
	events := map[string]io.Reader{}
	for name, transport := range transports {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, urlOf(in)+"/events", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := transport.RoundTrip(r)
		if err != nil || resp.Proto[:len(name)] != name {
			t.Fatal(resp, err)
		}
		defer resp.Body.Close()
		events[name] = resp.Body
	}
	expect := func(word string) {
		t.Helper()
		want := "data: " + word + "\n\n"
		for name, stream := range events {
			got := make([]byte, len(want))
			if _, err := io.ReadFull(stream, got); err != nil || string(got) != want {
				t.Fatalf("%s: event %q, %v, want %q", name, got, err, want)
			}
		}
	}
	old := e.dial(urlOf(in) + "/ws")
	body, write := io.Pipe()
	defer write.Close()
	stream := e.webSocketOverHTTP2(transports["HTTP/2"], urlOf(in)+"/ws", body)
	talk := func() {
		t.Helper()
		e.talk(old, "hi")
		write.Write([]byte{0x81, 0x82, 0, 0, 0, 0, 'h', 'i'}) // a text message, masked with zeros
		got := make([]byte, 4)
		if _, err := io.ReadFull(stream, got); err != nil || !bytes.Equal(got, []byte{0x81, 2, 'h', 'i'}) {
			t.Fatalf("HTTP/2: got % x back (%v)", got, err)
		}
	}
	expect("first")
	talk()
	time.Sleep(silence) // what is tested
	close(next)
	expect("later")
	talk()
}

// webSocketOverHTTP2 opens one whose client's side is body, and returns the
// app's side.
func (e *edge) webSocketOverHTTP2(transport http.RoundTripper, url string, body io.Reader) io.Reader {
	e.t.Helper()
	r, err := http.NewRequestWithContext(e.t.Context(), http.MethodConnect, url, body)
	if err != nil {
		e.t.Fatal(err)
	}
	r.Header[":protocol"] = []string{"websocket"}
	r.Header.Set("Sec-WebSocket-Version", "13")
	resp, err := transport.RoundTrip(r)
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != http.StatusOK {
		e.t.Fatalf("status %d", resp.StatusCode)
	}
	return resp.Body
}

// A body that makes progress may take its time; one that makes none ends.
func TestSlowBodies(t *testing.T) {
	const idle = 700 * time.Millisecond
	e := startSlowEdge(t, idle)
	type body struct {
		bytes int
		err   error
	}
	bodies := make(chan body, 10)
	in := instance(1, serve(t, func(w http.ResponseWriter, r *http.Request) {
		got, err := io.ReadAll(r.Body)
		bodies <- body{len(got), err}
	}))
	e.put(in)
	for name, transport := range map[string]http.RoundTripper{"HTTP/1.1": e.http.Transport, "HTTP/2": e.overHTTP2()} {
		for _, tc := range []struct {
			name  string
			bytes int // one each sixth of the time
			whole bool
		}{{"which progresses", 24, true}, {"which does not", 2, false}} {
			// try sends one, and tells of it what is wrong and the longest pause
			// that it made.
			try := func(t *testing.T) (wrong string, pause time.Duration) {
				read, write := io.Pipe()
				defer write.Close()
				r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, urlOf(in)+"/", read)
				if err != nil {
					t.Fatal(err)
				}
				done := make(chan int, 1)
				go func() {
					status := 0
					if resp, err := transport.RoundTrip(r); err == nil {
						status = resp.StatusCode
						resp.Body.Close()
					}
					done <- status
				}()
				began := time.Now()
				for range tc.bytes {
					write.Write([]byte("x"))
					time.Sleep(idle / 6) // a slow client
					pause, began = max(pause, time.Since(began)), time.Now()
				}
				if tc.whole {
					write.Close()
				}
				var got body
				select {
				case got = <-bodies:
				case <-time.After(patience):
					t.Fatal("the app waits for ever")
				}
				if got.bytes != tc.bytes || (got.err == nil) != tc.whole {
					wrong = fmt.Sprintf("the app got %d bytes, %v, want %d", got.bytes, got.err, tc.bytes)
				}
				if status := <-done; tc.whole != (status == http.StatusOK) {
					wrong += fmt.Sprintf(" status %d", status)
				}
				return wrong, pause
			}
			t.Run(name+" "+tc.name, func(t *testing.T) {
				for attempt := 1; ; attempt++ {
					wrong, pause := try(t)
					switch {
					case wrong == "":
						return
					case pause < idle/2 || attempt == 5:
						t.Fatal(wrong)
					}
					t.Logf("%s, but this machine has paused for %v: again", wrong, pause)
				}
			})
		}
	}
}

// Clients that do not read what they asked for cost no memory: the app waits.
func TestSlowReadersHoldTheAppBack(t *testing.T) {
	const size, readers, most = 64 << 20, 5, 16 << 20
	e := startSlowEdge(t, 0)
	var sent atomic.Int64
	part := make([]byte, 64<<10)
	in := instance(1, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for range size / len(part) {
			n, err := w.Write(part)
			sent.Add(int64(n))
			if err != nil {
				return
			}
		}
	}))
	e.put(in)
	for name, transport := range map[string]http.RoundTripper{"HTTP/1.1": e.http.Transport, "HTTP/2": e.overHTTP2()} {
		t.Run(name, func(t *testing.T) {
			sent.Store(0)
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			var bodies []io.ReadCloser
			for range readers {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, urlOf(in)+"/", nil)
				if err != nil {
					t.Fatal(err)
				}
				resp, err := transport.RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				bodies = append(bodies, resp.Body)
			}
			// The buffers on the way fill up, and then nothing moves.
			for last := int64(-1); last != sent.Load(); time.Sleep(200 * time.Millisecond) {
				last = sent.Load()
			}
			runtime.GC()
			runtime.ReadMemStats(&after)
			if got := sent.Load(); got > readers*most {
				t.Errorf("the app has sent %d bytes to %d clients that do not read", got, readers)
			}
			if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > readers*(5<<20) {
				t.Errorf("%d clients that do not read take %d bytes", readers, grown)
			}
			for _, body := range bodies {
				if n, err := io.Copy(io.Discard, body); n != size || err != nil {
					t.Errorf("%d bytes came, %v, want %d", n, err, size)
				}
			}
		})
	}
}
