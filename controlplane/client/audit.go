package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"mime"
	"net/http"
	"net/url"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// AuditFilter chooses audit records; empty fields choose all.
type AuditFilter struct {
	Actor  string // a user's name, instance/ID or system
	Object string // e.g. alias/sales
}

func (f AuditFilter) query(q url.Values) url.Values {
	if f.Actor != "" {
		q.Set("actor", f.Actor)
	}
	if f.Object != "" {
		q.Set("object", f.Object)
	}
	return q
}

// Audit is one page of the audit records, in the order of time.
func (c *Client) Audit(ctx context.Context, f AuditFilter, p Page) (*v1.List[v1.AuditRecord], error) {
	return get[v1.List[v1.AuditRecord]](ctx, c, f.query(p.query()), "audit")
}

// AllAudit are the audit records of all pages, and the revision of the store
// that they were read at: FollowAudit goes on from there.
func (c *Client) AllAudit(ctx context.Context, f AuditFilter) (records []v1.AuditRecord, revision string, err error) {
	pages := all(func(p Page) (*v1.List[v1.AuditRecord], error) {
		list, err := c.Audit(ctx, f, p)
		if err == nil && revision == "" {
			revision = list.Revision
		}
		return list, err
	})
	records = []v1.AuditRecord{}
	for r, err := range pages {
		if err != nil {
			return nil, "", err
		}
		records = append(records, r)
	}
	return records, revision, nil
}

// How FollowAudit connects again: after retryLeast, twice as long after each
// failure, at most retryMost, and maxRetries times in a row. A stream that told
// something, or lasted for retryMost, was no failure.
const (
	retryLeast = 250 * time.Millisecond
	retryMost  = 5 * time.Second
	maxRetries = 12
)

// FollowAudit yields the audit records after a revision as they are written,
// until ctx ends. A stream that breaks off is resumed where it was; a control
// plane that stays away for about a minute is an error.
func (c *Client) FollowAudit(ctx context.Context, f AuditFilter, after string) iter.Seq2[v1.AuditRecord, error] {
	return func(yield func(v1.AuditRecord, error) bool) {
		failures := 0
		for {
			got, stopped, err := c.auditStream(ctx, f, &after, yield)
			switch {
			case stopped:
				return
			case ctx.Err() != nil:
				yield(v1.AuditRecord{}, c.unreachable(ctx, ctx.Err()))
				return
			case got:
				failures = 0
			default:
				failures++
			}
			if err != nil && CodeOf(err) != controlplane.CodeUnavailable || failures > maxRetries {
				yield(v1.AuditRecord{}, err)
				return
			}
			if pause(ctx, min(retryLeast<<min(failures, maxRetries), retryMost)) != nil {
				yield(v1.AuditRecord{}, c.unreachable(ctx, ctx.Err()))
				return
			}
		}
	}
}

// auditStream is one connection of FollowAudit. It moves after along, and
// tells whether anything came, or it lasted, and whether the consumer wants no
// more. A connection that the server ends is an error of code unavailable.
func (c *Client) auditStream(ctx context.Context, f AuditFilter, after *string, yield func(v1.AuditRecord, error) bool) (got, stopped bool, err error) {
	k := call{method: http.MethodGet, path: []string{"audit"}, query: f.query(url.Values{"follow": {"true"}})}
	header := http.Header{"Accept": {"text/event-stream, application/problem+json"}, "Cache-Control": {"no-store"}}
	if *after != "" {
		header.Set("Last-Event-ID", *after)
	}
	req, err := c.request(ctx, k, nil, header)
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
		if e.name == "audit" {
			var r v1.AuditRecord
			if err := json.Unmarshal(e.data, &r); err != nil {
				return got, false, c.strange("has an audit record that this version does not know: %v", err)
			}
			if !yield(r, nil) {
				return got, true, nil
			}
		}
		if e.id != "" {
			*after = e.id
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
