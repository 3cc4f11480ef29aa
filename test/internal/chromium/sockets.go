package chromium

import (
	"slices"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// Sockets are what a tab's WebSockets bring.
type Sockets struct {
	mu     sync.Mutex
	opened []string // their URLs
	frames []string // what came
}

// Listens keeps what comes by WebSockets from now on.
func (t *Tab) Listens() *Sockets {
	t.t.Helper()
	s := new(Sockets)
	if err := chromedp.Listen(t.Target, func(event any) {
		s.mu.Lock()
		defer s.mu.Unlock()
		switch e := event.(type) {
		case *network.EventWebSocketCreated:
			s.opened = append(s.opened, e.URL)
		case *network.EventWebSocketFrameReceived:
			s.frames = append(s.frames, string(e.Response.PayloadData))
		}
	}); err != nil {
		t.t.Fatal(err)
	}
	return s
}

// Last is the URL of the WebSocket that was opened last, or "none".
func (s *Sockets) Last() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.opened) == 0 {
		return "none"
	}
	return s.opened[len(s.opened)-1]
}

// Brought reports whether a text came.
func (s *Sockets) Brought(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.frames, func(f string) bool { return strings.Contains(f, text) })
}

// Shows is true of a page that shows a text.
func Shows(text string) string {
	return "document.body.innerText.includes(" + Quoted(text) + ")"
}
