package caddymodule_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/coder/websocket"
)

// echo is an app that sends back what comes over its WebSocket.
func echo(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
	if err != nil {
		return
	}
	defer conn.CloseNow()
	for {
		kind, data, err := conn.Read(r.Context())
		if err != nil || conn.Write(r.Context(), kind, data) != nil {
			return
		}
	}
}

func (e *edge) dial(url string) *websocket.Conn {
	e.t.Helper()
	return e.dialWith(url, nil)
}

func (e *edge) dialWith(url string, header http.Header) *websocket.Conn {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), patience)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: &http.Client{Transport: e.http.Transport}, HTTPHeader: header})
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { conn.CloseNow() })
	return conn
}

func (e *edge) talk(conn *websocket.Conn, text string) {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), patience)
	defer cancel()
	if err := conn.Write(ctx, websocket.MessageText, []byte(text)); err != nil {
		e.t.Fatal(err)
	}
	if _, got, err := conn.Read(ctx); err != nil || string(got) != text {
		e.t.Fatalf("got %q back (%v), want %q", got, err, text)
	}
}

func TestRouteChangesCloseNoUnrelatedWebSocket(t *testing.T) {
	e := startEdge(t, nil)
	in, other := instance(1, serve(t, echo)), instance(2, dead)
	e.put(in, other)
	conn := e.dial(urlOf(in) + "/ws")
	e.talk(conn, "before")
	for i := range 20 {
		other.Generation++
		e.put(other, alias(i, "moving", other.ID))
	}
	in.Owner = "bea" // its own record may change as well
	e.put(in)
	e.talk(conn, strings.Repeat("after", 5000))
	e.wantNoErrors()
}

func TestAWebSocketOnAnotherNameOfAPublicInstanceIsServedInPlace(t *testing.T) {
	e := startEdge(t, nil)
	in := instance(1, serve(t, echo))
	e.put(in, alias(1, "other", in.ID))
	e.talk(e.dial("http://other."+base+"/"), "hello")
}

func TestAnAppMayRefuseAWebSocket(t *testing.T) {
	e := startEdge(t, nil)
	in := instance(1, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "not here", http.StatusTeapot)
	}))
	e.put(in)
	resp := e.do("GET", urlOf(in)+"/", "Connection", "Upgrade", "Upgrade", "websocket")
	if got := text(resp); resp.StatusCode != http.StatusTeapot || got != "not here\n" {
		t.Errorf("%d %q", resp.StatusCode, got)
	}
}

// Each step of the answer must arrive before the app takes the next one.
func TestAnswersAreNotHeldBack(t *testing.T) {
	for name, header := range map[string][2]string{
		"server-sent events": {"Content-Type", "text/event-stream"},
		"unknown length":     {"Content-Type", "text/plain"},
		"known length":       {"Content-Length", "12"},
	} {
		t.Run(name, func(t *testing.T) {
			e := startEdge(t, nil)
			next := make(chan struct{})
			in := instance(1, serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set(header[0], header[1])
				for range 3 {
					io.WriteString(w, "tick")
					http.NewResponseController(w).Flush()
					select {
					case <-next:
					case <-r.Context().Done():
						return
					}
				}
			}))
			e.put(in)
			r, err := http.NewRequestWithContext(t.Context(), "GET", urlOf(in)+"/", nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := e.http.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			for range 3 {
				tick := make([]byte, 4)
				if _, err := io.ReadFull(resp.Body, tick); err != nil || string(tick) != "tick" {
					t.Fatalf("got %q (%v)", tick, err)
				}
				next <- struct{}{}
			}
		})
	}
}

func TestRequestBodiesStream(t *testing.T) {
	e := startEdge(t, nil)
	got := make(chan string)
	in := instance(1, serve(t, func(_ http.ResponseWriter, r *http.Request) {
		for {
			piece := make([]byte, 4)
			if _, err := io.ReadFull(r.Body, piece); err != nil {
				return
			}
			got <- string(piece)
		}
	}))
	e.put(in)
	body, write := io.Pipe()
	r, err := http.NewRequestWithContext(t.Context(), "POST", urlOf(in)+"/", body)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { // ends with the body
		resp, err := e.http.Do(r)
		if err == nil {
			resp.Body.Close()
		}
		done <- err
	}()
	for _, piece := range []string{"one,", "two,", "end."} {
		io.WriteString(write, piece)
		select {
		case have := <-got:
			if have != piece {
				t.Errorf("the app got %q, want %q", have, piece)
			}
		case <-time.After(patience):
			t.Fatal("the app got nothing")
		}
	}
	write.Close()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestInformationalAnswersAndTrailersPass(t *testing.T) {
	e := startEdge(t, nil)
	in := instance(1, serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</a.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Trailer", "Announced")
		io.WriteString(w, "body")
		w.Header().Set("Announced", "1 "+r.Trailer.Get("From-Client"))
		w.Header().Set(http.TrailerPrefix+"Sudden", "2")
	}))
	e.put(in)
	var hints []string
	ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
		Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			hints = append(hints, http.StatusText(code)+" "+h.Get("Link"))
			return nil
		},
	})
	r, err := http.NewRequestWithContext(ctx, "POST", urlOf(in)+"/", strings.NewReader("x"))
	if err != nil {
		t.Fatal(err)
	}
	r.ContentLength, r.Trailer = -1, http.Header{"From-Client": {"three"}}
	resp, err := e.http.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "body" {
		t.Errorf("%q, %v", body, err)
	}
	if resp.Trailer.Get("Announced") != "1 three" || resp.Trailer.Get("Sudden") != "2" {
		t.Errorf("trailers are %v", resp.Trailer)
	}
	if len(hints) != 1 || hints[0] != "Early Hints </a.css>; rel=preload" {
		t.Errorf("1xx answers are %q", hints)
	}
}

func TestAVisitorWhoLeavesIsNoError(t *testing.T) {
	e := startEdge(t, nil)
	arrived, left := make(chan struct{}, 2), make(chan struct{}, 2)
	in := instance(1, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/stream" {
			io.WriteString(w, strings.Repeat("x", 4096))
			http.NewResponseController(w).Flush()
		}
		arrived <- struct{}{}
		<-r.Context().Done()
		left <- struct{}{}
	}))
	asleep := instance(2, "")
	asleep.Status = "SUSPENDED"
	e.put(in, asleep)
	for _, path := range []string{"/", "/stream"} {
		conn, err := net.Dial("tcp", e.addr)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, "GET "+path+" HTTP/1.1\r\nHost: "+in.ID+"."+base+"\r\n\r\n")
		<-arrived
		conn.Close()
		<-left
	}
	conn, err := net.Dial("tcp", e.addr)
	if err != nil {
		t.Fatal(err)
	}
	io.WriteString(conn, "GET / HTTP/1.1\r\nHost: "+asleep.ID+"."+base+"\r\n\r\n")
	conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if line, err := bufio.NewReader(conn).ReadString('\n'); err == nil {
		t.Errorf("a visitor to a sleeper got %q at once", line)
	}
	conn.Close()
	if resp := e.do("GET", "http://"+base+"/livez"); resp.StatusCode != 200 {
		t.Error("the edge has fallen over")
	}
	e.wantNoErrors()
}

// An app may answer while it still reads, and both may be larger than any
// buffer on the way.
func TestBodiesGoBothWaysAtOnce(t *testing.T) {
	e := startEdge(t, nil)
	in := instance(1, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		io.Copy(w, r.Body)
	}))
	e.put(in)
	for name, tc := range map[string]struct {
		size   int
		length int64
	}{
		"large": {1 << 20, 1 << 20}, "small": {100 << 10, 100 << 10}, "unknown": {1 << 20, -1},
	} {
		t.Run(name, func(t *testing.T) {
			body := bytes.Repeat([]byte("0123456789abcdef"), tc.size/16)
			r, err := http.NewRequestWithContext(t.Context(), "PUT", urlOf(in)+"/", bytes.NewReader(body))
			if err != nil {
				t.Fatal(err)
			}
			r.ContentLength = tc.length
			resp, err := e.http.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if got, err := io.ReadAll(resp.Body); err != nil || !bytes.Equal(got, body) {
				t.Errorf("%d bytes of %d came back (%v)", len(got), len(body), err)
			}
		})
	}
}

func TestAReloadClosesNoWebSocket(t *testing.T) {
	e := startEdge(t, nil)
	in := instance(1, serve(t, echo))
	e.put(in)
	conn := e.dial(urlOf(in) + "/ws")
	for range 3 {
		e.talk(conn, "before")
		e.load()
		e.talk(conn, strings.Repeat("after", 5000))
	}
	e.wantNoErrors()
}

func TestAStopTellsWebSocketsThatItGoesAway(t *testing.T) {
	e := newEdge(t, nil)
	e.load()
	stopped := false
	t.Cleanup(func() {
		if !stopped {
			caddy.Stop()
		}
	})
	told := make(chan websocket.StatusCode, 1)
	in := instance(1, serve(t, func(w http.ResponseWriter, r *http.Request) {
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer conn.CloseNow()
		for {
			kind, data, err := conn.Read(context.Background())
			if err != nil {
				told <- websocket.CloseStatus(err)
				return
			}
			conn.Write(context.Background(), kind, data)
		}
	}))
	e.put(in)
	conn := e.dial(urlOf(in) + "/ws")
	e.talk(conn, "hello")
	stopped = true
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, _, err := conn.Read(ctx); websocket.CloseStatus(err) != websocket.StatusGoingAway {
		t.Errorf("the visitor is told %v, want status 1001", err)
	}
	if got := <-told; got != websocket.StatusGoingAway {
		t.Errorf("the app is told %v, want status 1001", got)
	}
}
