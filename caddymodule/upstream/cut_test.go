package upstream_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/seed-dbc68772/slipway/caddymodule/upstream"
)

// cutRig is a front whose requests a test ends, before an app that says how far
// each has come.
type cutRig struct {
	addr     string
	requests chan *upstream.Request
	reached  chan struct{} // the app has come as far as the path says
}

func newCutRig(t *testing.T) *cutRig {
	t.Helper()
	g := &cutRig{requests: make(chan *upstream.Request, 1), reached: make(chan struct{}, 1)}
	app := serverOf(t, g.app)
	client := upstream.New(upstream.Config{})
	t.Cleanup(client.Close)
	in := instance(t, app.Listener.Addr().String(), 1)
	g.addr = serverOf(t, func(w http.ResponseWriter, r *http.Request) {
		out := request(r, "")
		g.requests <- out
		serve(client, w, out, in)
	}).Listener.Addr().String()
	return g
}

// app comes as far as the path says, and waits there for its visitor to leave.
func (g *cutRig) app(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/informed":
		w.WriteHeader(http.StatusEarlyHints)
	case "/answered", "/test.Service/Answered":
		w.Header().Set("X-App", "yes")
		w.Header().Set("Content-Type", r.Header.Get("Content-Type"))
		_ = http.NewResponseController(w).Flush()
	}
	g.reached <- struct{}{}
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
}

// serverOf speaks HTTP/1.1 and HTTP/2, without TLS.
func serverOf(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(func() {
		s.CloseClientConnections()
		s.Close()
	})
	return s
}

// cut ends the next request, once it has come far enough.
func (g *cutRig) cut(t *testing.T) {
	t.Helper()
	out := <-g.requests
	select {
	case <-g.reached:
	case <-time.After(patience):
		t.Error("the app does not get the request")
	}
	out.Cut()
	if !out.IsCut() {
		t.Error("it does not know that it was cut")
	}
}

func TestARequestThatIsCutHasItsAnswerOrBreaksOff(t *testing.T) {
	for _, version := range []string{"HTTP/1.1", "HTTP/2"} {
		g := newCutRig(t)
		transport := &http.Transport{Protocols: new(http.Protocols)}
		transport.Protocols.SetHTTP1(version == "HTTP/1.1")
		transport.Protocols.SetUnencryptedHTTP2(version == "HTTP/2")
		t.Cleanup(transport.CloseIdleConnections)
		for _, c := range []struct {
			name, path string
			body       func() io.Reader
			status     int
		}{
			{"while the app is silent", "/silent", nil, 403},
			{"after what only informs", "/informed", nil, 403},
			{"while a body is sent", "/silent", endlessBody, 403},
			{"with a whole body sent", "/silent", func() io.Reader { return strings.NewReader("whole") }, 403},
			{"while the answer is under way", "/answered", nil, 200},
		} {
			t.Run(version+" "+c.name, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				method, body := http.MethodGet, io.Reader(nil)
				if c.body != nil {
					method, body = http.MethodPost, c.body()
				}
				r, err := http.NewRequestWithContext(ctx, method, "http://"+g.addr+c.path, body)
				if err != nil {
					t.Fatal(err)
				}
				if c.status == 403 {
					go g.cut(t) // ends with the request's coming to the app
				}
				resp, err := transport.RoundTrip(r)
				if err != nil {
					t.Fatal(err)
				}
				defer resp.Body.Close()
				if c.status == 200 {
					g.cut(t)
				}
				if resp.StatusCode != c.status {
					t.Errorf("%d, want %d", resp.StatusCode, c.status)
				}
				rest, err := io.ReadAll(resp.Body)
				if whole := err == nil; whole != (c.status == 403) {
					t.Errorf("its body is %q, %v", rest, err)
				}
				if c.status == 403 && resp.Header.Get("X-App") != "" {
					t.Error("it has the app's headers")
				}
			})
		}
	}
}

// endlessBody is one whose end does not come.
func endlessBody() io.Reader {
	r, w := io.Pipe()
	go func() { _, _ = w.Write(make([]byte, 1<<10)) }() // ends with the request, which reads or closes it
	return r
}

func TestACallThatIsCutHasAStatusOfGRPC(t *testing.T) {
	for name, c := range map[string]struct {
		method string
		want   codes.Code
	}{
		"before its answer": {"Silent", codes.PermissionDenied}, "after its head": {"Answered", codes.Internal},
	} {
		t.Run(name, func(t *testing.T) {
			g := newCutRig(t)
			conn, err := grpc.NewClient("passthrough:///"+g.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			call, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true, ClientStreams: true}, "/test.Service/"+c.method, grpc.ForceCodec(rawCodec{}))
			if err != nil {
				t.Fatal(err)
			}
			if c.method == "Answered" {
				if _, err := call.Header(); err != nil {
					t.Fatal(err)
				}
			}
			g.cut(t)
			var answer []byte
			if err := call.RecvMsg(&answer); status.Code(err) != c.want {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

// rawCodec has bytes for messages.
type rawCodec struct{}

func (rawCodec) Name() string                  { return "raw" }
func (rawCodec) Marshal(v any) ([]byte, error) { return v.([]byte), nil }
func (rawCodec) Unmarshal(b []byte, v any) error {
	*v.(*[]byte) = b
	return nil
}

// A WebSocket that was cut while it opened is told so with status 1008.
func TestAWebSocketThatIsCut(t *testing.T) {
	for name, c := range map[string]struct {
		opens  bool
		status int
	}{"before it opens": {false, 403}, "while it opens": {true, 101}} {
		t.Run(name, func(t *testing.T) {
			asked := make(chan struct{}, 1)
			g := newRig(t, func(conn net.Conn, r *bufio.Reader) {
				if c.opens {
					switches(conn, r)
				} else if _, err := http.ReadRequest(r); err == nil {
					asked <- struct{}{}
				}
				_, _ = io.Copy(io.Discard, r)
			})
			g.front.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				out := request(r, "")
				out.Opened = func(func(uint16)) func() {
					out.Cut()
					return func() {}
				}
				if !c.opens {
					go func() { // ends with the request's coming to the app
						<-asked
						out.Cut()
					}()
				}
				serve(g.client, w, out, g.in.Load())
			})
			conn, err := net.Dial("tcp", g.front.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(patience))
			if _, err := io.WriteString(conn, webSocketRequest); err != nil {
				t.Fatal(err)
			}
			r := bufio.NewReader(conn)
			resp, err := http.ReadResponse(r, nil)
			if err != nil || resp.StatusCode != c.status {
				t.Fatalf("%v, %v, want %d", resp, err, c.status)
			}
			if !c.opens {
				return
			}
			if err := closedWith(r, upstream.PolicyViolation); err != nil {
				t.Error(err)
			}
		})
	}
}

func closedWith(r *bufio.Reader, code int) error {
	first, payload, err := readFrame(r)
	if err != nil {
		return err
	}
	if first&0xf != 8 || len(payload) < 2 || int(payload[0])<<8|int(payload[1]) != code {
		return fmt.Errorf("it ends with %#x %q", first, payload)
	}
	return nil
}
