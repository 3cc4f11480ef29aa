package sampleapp

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"
)

const (
	maxMessage = 64 << 10
	tick       = time.Second
)

// sockets counts the WebSockets: a server that shuts down forgets those.
type sockets struct {
	mu      sync.Mutex
	stopped bool
	open    sync.WaitGroup
}

// enter reports false once wait was called.
func (s *sockets) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped {
		s.open.Add(1)
	}
	return !s.stopped
}

func (s *sockets) leave() { s.open.Done() }

// wait returns when all have left; nobody enters any more.
func (s *sockets) wait() {
	s.mu.Lock()
	s.stopped = true
	s.mu.Unlock()
	s.open.Wait()
}

// echo sends every message back. A browser of another origin is refused: the
// library compares Origin with Host, which the edge leaves as it is.
func (a *app) echo(w http.ResponseWriter, r *http.Request) {
	if !a.sockets.enter() {
		http.Error(w, "The app is stopping.", http.StatusServiceUnavailable)
		return
	}
	defer a.sockets.leave()
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // it has answered
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxMessage)
	closed := make(chan struct{})
	cancel := context.AfterFunc(a.stop, func() {
		defer close(closed)
		conn.Close(websocket.StatusGoingAway, "the app stops")
	})
	defer func() {
		if !cancel() {
			<-closed
		}
	}()
	for {
		kind, data, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		if err := conn.Write(r.Context(), kind, data); err != nil {
			return
		}
	}
}

// events sends the time, at once and then once a second.
func (a *app) events(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	rc := http.NewResponseController(w)
	clock := time.NewTicker(tick)
	defer clock.Stop()
	for now := time.Now(); ; {
		if _, err := fmt.Fprintf(w, "data: %s\n\n", now.UTC().Format(time.RFC3339)); err != nil {
			return
		}
		if err := rc.Flush(); err != nil {
			return
		}
		select {
		case now = <-clock.C:
		case <-r.Context().Done():
			return
		case <-a.stop.Done():
			return
		}
	}
}
