package caddymodule_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/seed-dbc68772/slipway/caddymodule"
	"github.com/seed-dbc68772/slipway/controlplane"
)

// used is what the reports say of one instance.
type used struct {
	active, present time.Time // the last
	cause           string
	reports         int
}

// heard follows the reports of activity.
func (e *edge) heard() func(id string) used {
	e.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var (
		mu      sync.Mutex
		all     = map[string]used{}
		running sync.WaitGroup
	)
	running.Go(func() {
		e.store.WatchActivity(ctx, func(b controlplane.ActivityBatch) {
			mu.Lock()
			defer mu.Unlock()
			now := time.Now()
			for _, a := range b.Items {
				u := all[a.InstanceID]
				u.reports++
				if a.ActiveMS >= 0 {
					u.active, u.cause = now.Add(-time.Duration(a.ActiveMS)*time.Millisecond), a.Cause
				}
				if a.PresentMS >= 0 {
					u.present = now.Add(-time.Duration(a.PresentMS) * time.Millisecond)
				}
				all[a.InstanceID] = u
			}
		})
	})
	e.t.Cleanup(func() { cancel(); running.Wait() })
	return func(id string) used {
		mu.Lock()
		defer mu.Unlock()
		return all[id]
	}
}

// every does something again and again until ctx ends or it fails.
func every(ctx context.Context, pause time.Duration, do func() error) {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for do() == nil {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// chat says something to an app that echoes, even if it is nothing.
func chat(ctx context.Context, conn *websocket.Conn) error {
	err := conn.Write(ctx, websocket.MessageText, nil)
	if err == nil {
		_, _, err = conn.Read(ctx)
	}
	return err
}

// sends is an app whose answer goes on for as long as the visitor stays.
func sends(header, value, piece string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(header, value)
		every(r.Context(), 20*time.Millisecond, func() error {
			io.WriteString(w, piece)
			return http.NewResponseController(w).Flush()
		})
	}
}

// TestWhatKeepsAnInstanceAwake is for two seconds what the verdict sees for days.
func TestWhatKeepsAnInstanceAwake(t *testing.T) {
	caddymodule.ReportEvery(t, 100*time.Millisecond)
	e := newEdge(t, settings{"probes": []string{"Robot"}})
	e.load()
	t.Cleanup(stopCaddy(t))
	eventually(t, "the edge in the store", func() bool { return len(e.known()) == 1 })
	heard := e.heard()

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	get := func(r *http.Request) error {
		resp, err := e.http.Transport.RoundTrip(r)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	request := func(in *controlplane.Instance, body io.Reader) *http.Request {
		r, err := http.NewRequestWithContext(ctx, map[bool]string{true: "POST", false: "GET"}[body != nil], urlOf(in)+"/x", body)
		if err != nil {
			t.Error(err)
		}
		return r
	}
	open := func(in *controlplane.Instance) *websocket.Conn {
		conn, _, err := websocket.Dial(ctx, urlOf(in)+"/", &websocket.DialOptions{HTTPClient: &http.Client{Transport: e.http.Transport}})
		if err != nil {
			t.Errorf("open a WebSocket: %v", err)
			cancel()
			return nil
		}
		return conn
	}
	one := func(in *controlplane.Instance) { _ = get(request(in, nil)) } // it is cut off at the end
	status := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
	}
	again := func(in *controlplane.Instance) {
		every(ctx, 20*time.Millisecond, func() error { return get(request(in, nil)) })
	}

	const no, once, on = "no", "at the beginning", "all the time"
	scenes := []struct {
		name            string
		app             http.HandlerFunc
		visit           func(in *controlplane.Instance)
		active, present string
		cause           string
	}{
		{"never visited", hello, func(*controlplane.Instance) {}, no, no, ""},
		{"visited once", hello, one, once, no, "request"},
		{"visited again and again", hello, again, on, no, "request"},
		{"redirected by its app", status(302), again, on, no, "request"},
		{"asked for what it has not", status(404), again, no, no, ""},
		{"broken", status(500), again, no, no, ""},
		{"watched by an uptime robot", hello, func(in *controlplane.Instance) {
			r := request(in, nil)
			r.Header.Set("User-Agent", "robot")
			every(ctx, 20*time.Millisecond, func() error { return get(r) })
		}, no, no, ""},
		{"visited by a name that redirects", hello, func(*controlplane.Instance) {
			every(ctx, 20*time.Millisecond, func() error { e.raw("GET / HTTP/1.1\r\nHost: second." + base + "\r\n\r\n"); return nil })
		}, no, no, ""},
		{"asked for its status", hello, func(in *controlplane.Instance) {
			every(ctx, 20*time.Millisecond, func() error {
				e.raw("GET /.slipway/status HTTP/1.1\r\nHost: " + in.ID + "." + base + "\r\n\r\n")
				return nil
			})
		}, no, no, ""},
		{"visited by those who may not", hello, again, no, no, ""},
		{"streaming a film", sends("Content-Type", "video/mp4", "picture"), one, on, "", "stream"},
		{"downloaded from", sends("Content-Length", "1000000", "piece"), one, on, "", "stream"},
		{"uploaded to", func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }, func(in *controlplane.Instance) {
			from, to := io.Pipe()
			go func() { // ends with ctx
				every(ctx, 20*time.Millisecond, func() error { _, err := io.WriteString(to, "piece"); return err })
				to.Close()
			}()
			_ = get(request(in, from))
		}, on, "", "stream"},
		{"a dashboard with heartbeats", sends("Content-Type", "text/event-stream", ": still here\n\n"), one, on, on, "stream"},
		{"a silent dashboard", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}, one, once, on, "request"},
		{"slow to answer", func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, one, no, on, ""},
		{"an idle tab with pings", echo, func(in *controlplane.Instance) {
			if conn := open(in); conn != nil {
				defer conn.CloseNow()
				conn.CloseRead(ctx)
				every(ctx, 20*time.Millisecond, func() error { return conn.Ping(ctx) })
			}
		}, once, on, "request"},
		{"a WebSocket with data", echo, func(in *controlplane.Instance) {
			if conn := open(in); conn != nil {
				defer conn.CloseNow()
				every(ctx, 20*time.Millisecond, func() error { return chat(ctx, conn) })
			}
		}, on, on, "websocket"},
		{"a robot's WebSocket", echo, func(in *controlplane.Instance) {
			conn, _, err := websocket.Dial(ctx, urlOf(in)+"/", &websocket.DialOptions{
				HTTPClient: &http.Client{Transport: e.http.Transport}, HTTPHeader: http.Header{"User-Agent": {"robot"}}})
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.CloseNow()
			every(ctx, 20*time.Millisecond, func() error { return chat(ctx, conn) })
		}, no, no, ""},
	}
	var running sync.WaitGroup
	began := time.Now()
	for n, s := range scenes {
		in := instance(n, serve(t, s.app))
		records := []any{in}
		switch s.name {
		case "visited by a name that redirects":
			records = append(records, alias(n, "second", in.ID))
		case "visited by those who may not":
			in.Visibility = controlplane.Private
		}
		e.put(records...)
		running.Go(func() { s.visit(in) })
	}
	settled := time.Now()
	// On goes what lasts for longer than the first second after which a body is a
	// stream.
	goesOn := func(u time.Time) bool { return u.After(settled.Add(2 * time.Second)) }
	for end := settled.Add(patience + 10*time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		all := time.Since(settled) > 3*time.Second
		for n, s := range scenes {
			u := heard(instanceID(n))
			all = all && (s.active != on || goesOn(u.active) && u.cause == s.cause) && (s.present != on || goesOn(u.present))
		}
		if all {
			break
		}
	}
	told := func(at time.Time) string {
		switch {
		case at.IsZero():
			return no
		case goesOn(at):
			return on
		case at.After(began.Add(-time.Second)):
			return once
		}
		return fmt.Sprint("at ", at)
	}
	for n, s := range scenes {
		u := heard(instanceID(n))
		active, present := told(u.active), told(u.present)
		if active != s.active || s.present != "" && s.present != no && present != s.present || u.cause != s.cause {
			t.Errorf("%s: active %s by %q, present %s; want %s by %q, %s", s.name, active, u.cause, present, s.active, s.cause, s.present)
		}
		if s.active == no && s.present == no && u.reports > 0 {
			t.Errorf("%s: it is in %d reports", s.name, u.reports)
		}
	}
	cancel()
	running.Wait()
}
