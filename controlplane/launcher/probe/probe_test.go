package probe_test

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/probe"
)

func TestHealth(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/ok":
			if r.Host != "127.0.0.1:1" {
				w.WriteHeader(http.StatusBadRequest)
			}
		case "/away":
			http.Redirect(w, r, "/broken", http.StatusFound)
		case "/endless":
			for range 1000 {
				w.Write(bytes.Repeat([]byte("x"), 1<<16))
			}
		case "/continue":
			w.WriteHeader(http.StatusTeapot)
		default:
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer server.Close()
	address := server.Listener.Addr().String()
	for _, c := range []struct{ name, address, path, fault string }{
		{"a 200 is healthy", address, "/ok", ""},
		{"a redirect is healthy and not followed", address, "/away", ""},
		{"a body without end is not read to its end", address, "/endless", ""},
		{"a 500 is not", address, "/broken", "500"},
		{"a 418 is not", address, "/continue", "418"},
		{"nobody there", "127.0.0.1:1", "/ok", "refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := probe.Health(t.Context(), c.address, "127.0.0.1:1", c.path)
			if c.fault == "" && err != nil || c.fault != "" && (err == nil || !strings.Contains(err.Error(), c.fault)) {
				t.Errorf("got %v, want %q", err, c.fault)
			}
		})
	}
}

func TestConnect(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	if err := probe.Connect(t.Context(), address); err != nil {
		t.Error(err)
	}
	l.Close()
	if probe.Connect(t.Context(), address) == nil {
		t.Error("connected to a closed port")
	}
}

func TestBackoffStaysShort(t *testing.T) {
	var b probe.Backoff
	for n := range 100 {
		if d := b.Next(); d < 5*time.Millisecond || d > 50*time.Millisecond || n == 0 && d != 5*time.Millisecond {
			t.Fatalf("probe %d waits %s", n, d)
		}
	}
}

// What an app answers ends up in its reason, and on the terminals of others.
func TestAnAnswerIsNotQuotedAtLength(t *testing.T) {
	long := strings.Repeat("x", 30_000)
	for name, answer := range map[string]string{
		"words":       "HTTP/1.1 500 \x1b[2J" + long + "\r\nContent-Length: 0\r\n\r\n",
		"no HTTP":     long + "\r\n\r\n",
		"a header":    "HTTP/1.1 200 OK\r\n" + long + "\r\n\r\n",
		"no number":   "HTTP/1.1 " + long + "\r\n\r\n",
		"another one": "HTTP/1.1 799 \x1b[2J\r\nContent-Length: 0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			done := make(chan struct{})
			go func() {
				defer close(done)
				c, err := l.Accept()
				if err != nil {
					return
				}
				defer c.Close()
				_, _ = c.Read(make([]byte, 4096))
				_, _ = c.Write([]byte(answer))
			}()
			err = probe.Health(t.Context(), l.Addr().String(), "app", "/health")
			<-done
			if err == nil || len(err.Error()) > 300 || strings.Contains(err.Error(), "\x1b") {
				t.Errorf("the error has %d bytes: %.100q", len(err.Error()), err)
			}
		})
	}
}
