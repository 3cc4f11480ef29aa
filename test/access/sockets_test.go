package access

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/coder/websocket"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// socket is an open WebSocket to an app, which says the same back.
type socket struct {
	conn   *websocket.Conn
	closed chan error // of its last read
}

// socket opens one as a page of the app does. Headers replace the page's own.
func (b *browser) socket(t *testing.T, address string, headers ...string) *socket {
	t.Helper()
	s, resp, err := b.trySocket(t, address, headers...)
	if err != nil {
		t.Fatalf("WebSocket of %s at %s: %v %v", b.name, b.edge.name, resp, err)
	}
	return s
}

func (b *browser) trySocket(t *testing.T, address string, headers ...string) (*socket, *http.Response, error) {
	t.Helper()
	at, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	header := http.Header{"Origin": {at.Scheme + "://" + at.Host}}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		if header.Del(name); value != "" {
			header.Set(name, value)
		}
	}
	client := *b.Client
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	ctx, cancel := context.WithTimeout(t.Context(), slipwaytest.Patience)
	defer cancel()
	conn, resp, err := websocket.Dial(ctx, strings.Replace(address, "https:", "wss:", 1)+"ws", &websocket.DialOptions{HTTPClient: &client, HTTPHeader: header})
	if err != nil {
		return nil, resp, err
	}
	t.Cleanup(func() { conn.CloseNow() })
	s := &socket{conn: conn, closed: make(chan error, 1)}
	if err := s.say(t); err != nil {
		return nil, resp, err
	}
	return s, resp, nil
}

// say sends a message and awaits its echo.
func (s *socket) say(t *testing.T) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), slipwaytest.Patience)
	defer cancel()
	if err := s.conn.Write(ctx, websocket.MessageText, []byte("hello")); err != nil {
		return err
	}
	_, _, err := s.conn.Read(ctx)
	return err
}

// listen reads until the end.
func (s *socket) listen(ctx context.Context) {
	go func() {
		_, _, err := s.conn.Read(ctx)
		s.closed <- err
	}()
}

// oneTimeTicket goes the way to an instance up to the ticket, which is not
// traded: it returns the address on the instance's host that would do so.
func (b *browser) oneTimeTicket(t *testing.T, in *v1.Instance, headers ...string) string {
	t.Helper()
	return b.ticketFor(t, in.URL, headers...)
}

func (b *browser) ticketFor(t *testing.T, address string, headers ...string) string {
	t.Helper()
	a := ask(t, b.Client, "GET "+address, "", append(headers, "Accept: text/html")...)
	if a.StatusCode != http.StatusFound || !strings.HasPrefix(a.to().String(), b.edge.world.console("/open/")) {
		t.Fatalf("this does not lead to the console: %s", a)
	}
	a = ask(t, b.Client, "GET "+a.to().String(), "", "Accept: text/html")
	if a.StatusCode != http.StatusFound || !strings.Contains(a.to().Path, "/.slipway/ticket") {
		t.Fatalf("the console gives no ticket: %s", a)
	}
	return a.to().String()
}
