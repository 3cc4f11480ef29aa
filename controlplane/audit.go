package controlplane

import (
	"context"
	"strings"
	"time"

	"github.com/google/uuid"
)

type clientAddressKey struct{}

// WithClientAddress says from where a call comes, for the audit.
func WithClientAddress(ctx context.Context, address string) context.Context {
	return context.WithValue(ctx, clientAddressKey{}, address)
}

// ClientAddress is from where a call comes; empty where nobody said it.
func ClientAddress(ctx context.Context) string {
	address, _ := ctx.Value(clientAddressKey{}).(string)
	return address
}

// audit adds the one record of a transaction's change (spec access.md §5).
// Without a change there is none. Detail is for people and holds no secret.
func (s *Service) audit(tx Tx, actor Actor, action, object, detail string) {
	tx.Audit(s.auditRecord(actor, action, object, detail))
}

// auditRead adds the record of a read that is worth one. It is there without a
// change, too.
func (s *Service) auditRead(tx Tx, actor Actor, action, object string) {
	tx.AuditRead(s.auditRecord(actor, action, object, ""))
}

func (s *Service) auditRecord(actor Actor, action, object, detail string) *AuditRecord {
	who := actor.User
	if who == "" && actor.Instance != "" {
		who = "instance/" + actor.Instance
	}
	// IDs of version 7 are in the order of time.
	return &AuditRecord{
		ID: uuid.Must(uuid.NewV7()).String(), Time: s.now(), Actor: who, Action: action, Object: object, Detail: detail, Address: actor.Address,
	}
}

// AuditSystem adds the record of a change that nobody asked for: a visit, time
// or the end of a workload made it.
func AuditSystem(tx Tx, at time.Time, action, object, detail string) {
	tx.Audit(&AuditRecord{ID: uuid.Must(uuid.NewV7()).String(), Time: at, Actor: "system", Action: action, Object: object, Detail: detail})
}

// change words the detail of an audit record.
func change[T ~string](what string, from, to T) string {
	return what + " " + orNone(string(from)) + " → " + orNone(string(to))
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

// details joins those of one change.
func details(parts ...string) string { return strings.Join(parts, "; ") }

// AuditFilter picks records; what is empty picks all.
type AuditFilter struct {
	Actor  string
	Object string // "app/<ID>", or "app/" for those of all apps
}

func (f AuditFilter) has(r *AuditRecord) bool {
	if f.Actor != "" && !strings.EqualFold(f.Actor, r.Actor) {
		return false
	}
	return f.Object == "" || f.Object == r.Object || strings.HasSuffix(f.Object, "/") && strings.HasPrefix(r.Object, f.Object)
}

// AuditRecords lists the records of what was changed, the newest last.
func (s *Service) AuditRecords(ctx context.Context, actor Actor, f AuditFilter, p Page) (List[*AuditRecord], error) {
	if err := s.Allow(actor, SeeAudit); err != nil {
		return List[*AuditRecord]{}, err
	}
	return visible(ctx, kind[*AuditRecord]{list: s.Store.Audit, id: func(r *AuditRecord) string { return r.ID }, may: func(r *AuditRecord) error {
		if !f.has(r) {
			return Errorf(CodeNotFound, "not asked for")
		}
		return nil
	}}, p)
}

// AuditFollow says what of the audit is followed.
type AuditFollow struct {
	AuditFilter
	After int64  // the revision after which it begins; 0 is now
	Ready func() // is called before the first record, if the store remembers so far back
}

// FollowAudit calls sink with the records that come, until ctx ends. The error
// is CodeStale where the store does not remember so far back.
func (s *Service) FollowAudit(ctx context.Context, actor Actor, f AuditFollow, sink func(*AuditRecord)) error {
	if err := s.Allow(actor, SeeAudit); err != nil {
		return err
	}
	list, err := s.Store.Audit(ctx, Page{Limit: 1, Revision: f.After})
	if err != nil {
		return err
	}
	f.Ready()
	return s.Store.WatchAudit(ctx, list.Revision, func(records []*AuditRecord) {
		for _, r := range records {
			if f.has(r) {
				sink(r)
			}
		}
	})
}
