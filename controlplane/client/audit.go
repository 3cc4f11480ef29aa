package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"

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

// FollowAudit yields the audit records after a revision as they are written,
// until ctx ends. A stream that breaks off is resumed where it was; a control
// plane that stays away for about a minute is an error.
func (c *Client) FollowAudit(ctx context.Context, f AuditFilter, after string) iter.Seq2[v1.AuditRecord, error] {
	k := call{method: http.MethodGet, path: []string{"audit"}, query: f.query(url.Values{"follow": {"true"}})}
	return follow[v1.AuditRecord](ctx, c, following{call: k, event: "audit", after: after})
}
