package client

import (
	"context"
	"net/url"
	"strconv"
	"time"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// Edges are the live edges.
func (c *Client) Edges(ctx context.Context) (*v1.EdgeList, error) {
	return get[v1.EdgeList](ctx, c, nil, "edges")
}

// MaxEdgeWait is the longest that one call of AwaitEdges waits.
const MaxEdgeWait = 30 * time.Second

// AwaitEdges are the live edges as soon as all have applied a revision, or
// after wait, at most MaxEdgeWait.
func (c *Client) AwaitEdges(ctx context.Context, revision int64, wait time.Duration) (*v1.EdgeList, error) {
	wait = max(0, min(wait, MaxEdgeWait))
	q := url.Values{"revision": {strconv.FormatInt(revision, 10)}, "wait": {wait.String()}}
	return get[v1.EdgeList](ctx, c, q, "edges")
}

// Revision is the newest revision of the store that an answer to this client
// named: what the client has changed or seen is in a table of this revision.
// 0 if none did.
func (c *Client) Revision() int64 { return c.revision.Load() }

// noteRevision keeps the newest.
func (c *Client) noteRevision(header string) {
	revision, err := strconv.ParseInt(header, 10, 64)
	if err != nil {
		return // no answer about the store, or nothing that this version knows
	}
	for {
		old := c.revision.Load()
		if revision <= old || c.revision.CompareAndSwap(old, revision) {
			return
		}
	}
}
