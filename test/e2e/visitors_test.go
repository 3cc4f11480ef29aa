package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
)

const uptimeRobot = "Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)"

// visitor is one visitor of one instance.
type visitor struct {
	client *http.Client
	url    string
	asleep atomic.Int64 // answers that it sleeps
	served atomic.Int64 // answers of the app
}

// get asks the app. The caller closes the body.
func (v *visitor) get(ctx context.Context, path, agent string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, v.url+path, nil)
	if err != nil {
		return nil, err
	}
	if agent != "" {
		r.Header.Set("User-Agent", agent)
	}
	return v.client.Do(r)
}

// takes reads an answer's body as slowly as a player does, a mebibyte a second,
// until ctx ends.
func takes(path string) func(context.Context, *visitor) error {
	return func(ctx context.Context, v *visitor) error {
		resp, err := v.get(ctx, path, "")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		for tick := time.NewTicker(250 * time.Millisecond); ; {
			if _, err := io.CopyN(io.Discard, resp.Body, 256<<10); err != nil {
				return fmt.Errorf("the body ended: %w", err)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// listens reads an event stream to its end.
func listens(path string) func(context.Context, *visitor) error {
	return func(ctx context.Context, v *visitor) error {
		resp, err := v.get(ctx, path, "")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		_, err = io.Copy(io.Discard, bufio.NewReader(resp.Body))
		return err
	}
}

// pings is a tab that nobody looks at: its WebSocket is kept open by pings.
func pings(ctx context.Context, v *visitor) error {
	conn, resp, err := websocket.Dial(ctx, v.url+"/ws", &websocket.DialOptions{HTTPClient: v.client})
	if err != nil {
		return fmt.Errorf("%w (%v)", err, resp)
	}
	defer conn.CloseNow()
	ended := make(chan error, 1)
	go func() { // ends with the connection
		_, _, err := conn.Read(ctx)
		ended <- err
	}()
	for tick := time.NewTicker(200 * time.Millisecond); ; {
		select {
		case err := <-ended:
			if websocket.CloseStatus(err) == websocket.StatusGoingAway {
				return nil // as it should
			}
			return err
		case <-tick.C:
			_ = conn.Ping(ctx) // Read says why it fails
		}
	}
}

// polls asks twice a second for a page, as a program.
func polls(agent string) func(context.Context, *visitor) error {
	return func(ctx context.Context, v *visitor) error {
		for tick := time.NewTicker(500 * time.Millisecond); ; {
			resp, err := v.get(ctx, "/", agent)
			if err != nil {
				return err
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			switch {
			case err != nil:
				return err
			case resp.StatusCode == http.StatusOK:
				v.served.Add(1)
			case resp.StatusCode == http.StatusServiceUnavailable && strings.Contains(string(body), `"asleep"`):
				v.asleep.Add(1)
			default:
				return fmt.Errorf("%d %s", resp.StatusCode, body)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// once makes one request.
func once(path string) func(context.Context, *visitor) error {
	return func(ctx context.Context, v *visitor) error {
		resp, err := v.get(ctx, path, "")
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			body, _ := io.ReadAll(resp.Body)
			return fmt.Errorf("%d %s", resp.StatusCode, body)
		}
		return nil
	}
}
