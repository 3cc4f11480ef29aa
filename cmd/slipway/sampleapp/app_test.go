package sampleapp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coder/websocket"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestRunRefusesABadPort(t *testing.T) {
	tests := []struct{ name, port, want string }{
		{"missing", "", "PORT is not set"},
		{"zero", "0", `"0"`},
		{"too large", "65536", `"65536"`},
		{"word", "http", `"http"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := Run(t.Context(), variables(map[string]string{"PORT": tt.port}), &output{})
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %s", err, tt.want)
			}
		})
	}
}

func TestRunRefusesABusyPort(t *testing.T) {
	busy := listen(t)
	defer busy.Close()
	err := Run(t.Context(), variables(map[string]string{"PORT": portOf(busy)}), &output{})
	if !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("error %v, want that the address is in use", err)
	}
}

func TestRunStops(t *testing.T) {
	tests := []struct {
		name string
		stop func(t *testing.T, cancel func())
	}{
		{"at the end of its context", func(_ *testing.T, cancel func()) { cancel() }},
		{"on SIGTERM", func(t *testing.T, _ func()) {
			if err := syscall.Kill(syscall.Getpid(), syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			base, out, ended := start(ctx, t)

			clock, err := http.Get(base + "events")
			if err != nil {
				t.Fatal(err)
			}
			defer clock.Body.Close()
			socket := dial(t, base)
			defer socket.CloseNow()

			tt.stop(t, cancel)
			_, _, err = socket.Read(t.Context())
			if websocket.CloseStatus(err) != websocket.StatusGoingAway {
				t.Errorf("the socket ended with %v, want code 1001", err)
			}
			select {
			case err := <-ended:
				if err != nil {
					t.Errorf("Run: %v", err)
				}
			case <-time.After(time.Minute):
				t.Fatal("Run does not return")
			}
			if !strings.Contains(out.String(), "has stopped") {
				t.Errorf("output %q does not say that it stopped", out.String())
			}
			http.DefaultClient.CloseIdleConnections()
		})
	}
}

// start runs the app on a free port until ctx ends, and waits until it answers.
func start(ctx context.Context, t *testing.T) (base string, out *output, ended <-chan error) {
	t.Helper()
	l := listen(t)
	port := portOf(l)
	l.Close()
	out = &output{}
	done := make(chan error, 1)
	go func() { done <- Run(ctx, variables(map[string]string{"PORT": port}), out) }()
	base = fmt.Sprintf("http://127.0.0.1:%s/", port)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		resp, err := http.Get(base + "healthz")
		if err == nil {
			resp.Body.Close()
			return base, out, done
		}
		if time.Now().After(deadline) {
			t.Fatalf("the app does not answer: %v; it said %q", err, out.String())
		}
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func portOf(l net.Listener) string {
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func dial(t *testing.T, base string) *websocket.Conn {
	t.Helper()
	conn, _, err := websocket.Dial(t.Context(), base+"ws", nil)
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

func variables(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

// output is a writer that may be read meanwhile.
type output struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buffer.String()
}
