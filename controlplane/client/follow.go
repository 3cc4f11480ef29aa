package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"mime"
	"net/http"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// How a stream is opened again: after retryLeast, twice as long after each
// failure, at most retryMost, and maxRetries times in a row. One that told
// something, or lasted for retryMost, was no failure.
const (
	retryLeast = 250 * time.Millisecond
	retryMost  = 5 * time.Second
	maxRetries = 12
)

// following is a stream of server-sent events.
type following struct {
	call  call
	event string // the name of those that hold something
	after string // the ID of the last event that is known
}

// follow yields what the events hold, until ctx ends. A stream that breaks off
// is resumed where it was. One of which nothing is known yet, and that cannot
// even be opened, is an error at once: nobody waits a minute to hear that no
// server is there.
func follow[T any](ctx context.Context, c *Client, f following) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		failures, begun := 0, f.after != ""
		for {
			got, stopped, err := followOnce(ctx, c, &f, yield)
			switch {
			case stopped:
				return
			case ctx.Err() != nil:
				yield(none, c.unreachable(ctx, ctx.Err()))
				return
			case got:
				failures, begun = 0, true
			default:
				failures++
			}
			if err != nil && CodeOf(err) != controlplane.CodeUnavailable || !begun || failures > maxRetries {
				yield(none, err)
				return
			}
			if pause(ctx, min(retryLeast<<min(failures, maxRetries), retryMost)) != nil {
				yield(none, c.unreachable(ctx, ctx.Err()))
				return
			}
		}
	}
}

// followOnce is one connection. It moves after along, and tells whether
// anything came, or it lasted, and whether the consumer wants no more. A
// connection that the server ends is an error of code unavailable.
func followOnce[T any](ctx context.Context, c *Client, f *following, yield func(T, error) bool) (got, stopped bool, err error) {
	header := http.Header{"Accept": {"text/event-stream, application/problem+json"}, "Cache-Control": {"no-store"}}
	if f.after != "" {
		header.Set("Last-Event-ID", f.after)
	}
	req, err := c.request(ctx, f.call, nil, header)
	if err != nil {
		return false, false, err
	}
	res, err := c.send(req)
	if err != nil {
		return false, false, err
	}
	defer res.Body.Close()
	if media, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type")); media != "text/event-stream" {
		return false, false, c.strange("is %q, not a stream of events", res.Header.Get("Content-Type"))
	}
	opened := time.Now()
	for events := newEvents(res.Body); ; {
		e, err := events.next()
		got = got || err == nil || time.Since(opened) > retryMost
		switch {
		case errors.Is(err, errEventTooLong):
			return got, false, c.strange("has %v", err)
		case err != nil:
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return got, false, c.unreachable(ctx, err)
		}
		if e.name == f.event {
			var item T
			if err := json.Unmarshal(e.data, &item); err != nil {
				return got, false, c.strange("has an event that this version does not know: %v", err)
			}
			if !yield(item, nil) {
				return got, true, nil
			}
		}
		if e.id != "" {
			f.after = e.id
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
