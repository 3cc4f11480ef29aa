package etcdstore

import (
	"context"
	"fmt"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seed-dbc68772/slipway/controlplane"
)

func (t *tx) User(name string) (*controlplane.User, error) {
	return record(t, userKey(name), "user", name, func(u *controlplane.User, rev int64) { u.Revision = rev })
}

func (t *tx) UserOf(issuer, subject string) (string, error) {
	var ref nameRef
	_, _, err := t.load(userOfKey(issuer, subject), &ref)
	return ref.Name, err
}

func (t *tx) Session(id string) (*controlplane.Session, error) {
	return record(t, sessionKey(id), "session", id, func(s *controlplane.Session, rev int64) { s.Revision = rev })
}

func (t *tx) SessionsOf(user string) ([]string, error) {
	prefix := t.store.prefix + sessionsOf(user)
	resp, err := t.store.client.Get(t.ctx, prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly(),
		clientv3.WithSort(clientv3.SortByCreateRevision, clientv3.SortAscend))
	if err != nil {
		return nil, storeError(err)
	}
	t.compareRange(prefix, resp.Header.Revision)
	ids := make([]string, 0, len(resp.Kvs))
	for _, kv := range resp.Kvs {
		if raw, written := t.writes[strings.TrimPrefix(string(kv.Key), t.store.prefix)]; !written || raw != nil {
			ids = append(ids, strings.TrimPrefix(string(kv.Key), prefix))
		}
	}
	return ids, nil
}

func (t *tx) Token(hash string) (*controlplane.Token, error) {
	token := new(controlplane.Token)
	_, ok, err := t.load(tokenKey(hash), token)
	if err == nil && !ok {
		err = controlplane.Errorf(controlplane.CodeNotFound, "no such token")
	}
	return token, err
}

func (t *tx) Tag(name string) (*controlplane.Tag, error) {
	return record(t, tagKey(name), "tag", name, func(tag *controlplane.Tag, rev int64) { tag.Revision = rev })
}

// record reads one record whole.
func record[T any](t *tx, key, kind, id string, setRevision func(*T, int64)) (*T, error) {
	out := new(T)
	rev, ok, err := t.load(key, out)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, notFound(kind, id)
	}
	setRevision(out, rev)
	return out, nil
}

// hashRef is the value of tokens/of/<user>/<ID>.
type hashRef struct {
	Hash string `json:"hash"`
}

func (t *tx) TokensOf(user string) ([]*controlplane.Token, error) {
	prefix := t.store.prefix + tokensOf(user)
	resp, err := t.store.client.Get(t.ctx, prefix, clientv3.WithPrefix())
	if err != nil {
		return nil, storeError(err)
	}
	t.compareRange(prefix, resp.Header.Revision)
	tokens := make([]*controlplane.Token, 0, len(resp.Kvs))
	for _, kv := range resp.Kvs {
		var ref hashRef
		if err := decode(string(kv.Key), kv.Value, &ref); err != nil {
			return nil, storeError(err)
		}
		token, err := t.Token(ref.Hash)
		if controlplane.CodeOf(err) == controlplane.CodeNotFound {
			continue // it has just ended by itself
		}
		if err != nil {
			return nil, err
		}
		tokens = append(tokens, token)
	}
	return tokens, nil
}

// compareRange makes the transaction fail when a key of a range was written
// after this revision.
func (t *tx) compareRange(prefix string, revision int64) {
	t.revision = max(t.revision, revision)
	t.compares = append(t.compares, clientv3.Compare(clientv3.ModRevision(prefix), "<", revision+1).WithPrefix())
}

func (t *tx) InstancesOwned(owner string) (int, error) { return t.count(ownedInstances(owner)) }
func (t *tx) AppsOwned(owner string) (int, error)      { return t.count(ownedApps(owner)) }

func (t *tx) count(prefix string) (int, error) {
	prefix = t.store.prefix + prefix
	resp, err := t.store.client.Get(t.ctx, prefix, clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return 0, storeError(err)
	}
	t.compareRange(prefix, resp.Header.Revision)
	return int(resp.Count), nil
}

func (t *tx) putUser(u *controlplane.User) {
	t.put(userKey(u.Name), u)
	t.putPlain(userOfKey(u.Issuer, u.Subject), nameRef{u.Name})
	t.written = append(t.written, func(rev int64) { u.Revision = rev })
}

// putSession writes a session that ends by itself.
func (t *tx) putSession(s *controlplane.Session) {
	t.put(sessionKey(s.ID), s)
	left := time.Until(s.ExpiresAt)
	t.ttl(sessionKey(s.ID), left)
	if t.reads[sessionKey(s.ID)].raw == nil {
		t.putPlain(sessionsOf(s.User)+s.ID, struct{}{})
		t.ttl(sessionsOf(s.User)+s.ID, left)
	}
	t.written = append(t.written, func(rev int64) { s.Revision = rev })
}

func (t *tx) putToken(token *controlplane.Token) {
	t.put(tokenKey(token.Hash), token)
	t.putPlain(tokenOfKey(token.User, token.ID), hashRef{token.Hash})
	if !token.ExpiresAt.IsZero() {
		left := time.Until(token.ExpiresAt)
		t.ttl(tokenKey(token.Hash), left)
		t.ttl(tokenOfKey(token.User, token.ID), left)
	}
}

// ttl makes a key that is written go away by itself.
func (t *tx) ttl(key string, after time.Duration) {
	if t.ttls == nil {
		t.ttls = map[string]int64{}
	}
	t.ttls[key] = max(1, int64((after+time.Second-1)/time.Second))
}

func (t *tx) PutOnce(kind controlplane.OnceKind, key string, value any, ttl time.Duration) {
	t.putPlain(onceKey(kind, key), value)
	t.ttl(onceKey(kind, key), ttl)
}

func (t *tx) Once(kind controlplane.OnceKind, key string, into any) error {
	_, ok, err := t.load(onceKey(kind, key), into)
	if err == nil && !ok {
		err = controlplane.Errorf(controlplane.CodeNotFound, "it was used already, or its time is over")
	}
	return err
}

// TakeOnce implements controlplane.Store.
func (s *Store) TakeOnce(ctx context.Context, kind controlplane.OnceKind, key string, into any) error {
	_, err := s.Update(ctx, func(t controlplane.Tx) error {
		if err := t.Once(kind, key, into); err != nil {
			return err
		}
		t.(*tx).delete(onceKey(kind, key))
		return nil
	})
	return err
}

// revocationTTL is how long a revocation is kept: longer than anything lives
// that an edge checks by itself (15 minutes), by more than clocks differ.
const revocationTTL = time.Hour

func (t *tx) RevokeUser(user string, epoch int64) {
	t.revoke(RecordOfUser(strings.ToLower(user)), epoch)
}

func (t *tx) RevokeCredential(id string) { t.revoke(RecordOfCredential(id), 0) }

func (t *tx) revoke(name string, epoch int64) {
	key := RecordRouteKey(name)
	t.putPlain(key, controlplane.Revocation{Epoch: epoch})
	t.ttl(key, revocationTTL)
}

// Audit implements controlplane.Tx. The key is in the order of time; two of one
// instant are told apart by the rest of the ID.
func (t *tx) Audit(r *controlplane.AuditRecord) { t.audits = append(t.audits, r) }

// AuditRead implements controlplane.Tx.
func (t *tx) AuditRead(r *controlplane.AuditRecord) {
	t.putPlain(auditPrefix+r.ID, r)
	t.written = append(t.written, func(rev int64) { r.Revision = rev })
}

func (t *tx) putAudits() {
	if len(t.writes) == 0 {
		return
	}
	for _, r := range t.audits {
		t.putPlain(auditPrefix+r.ID, r)
		t.written = append(t.written, func(rev int64) { r.Revision = rev })
	}
}

// keepsEnd reports whether a key is rewritten that is there, and goes away when
// it would have: a lease for each rewrite would outlive what it was for.
func (t *tx) keepsEnd(key string) bool {
	return t.ttls[key] != 0 && t.reads[key].raw != nil && !t.renew[key]
}

// renewed gives a key that is rewritten the whole of its time again.
func (t *tx) renewed(key string) {
	if t.renew == nil {
		t.renew = map[string]bool{}
	}
	t.renew[key] = true
}

// leases grants what new keys with an end need, one for each time to live.
func (t *tx) leases() (map[int64]clientv3.LeaseID, error) {
	leases := map[int64]clientv3.LeaseID{}
	for key, ttl := range t.ttls {
		if t.writes[key] == nil || leases[ttl] != 0 || t.keepsEnd(key) {
			continue
		}
		lease, err := t.store.client.Grant(t.ctx, ttl)
		if err != nil {
			return leases, fmt.Errorf("grant lease: %w", err)
		}
		leases[ttl] = lease.ID
	}
	return leases, nil
}

// revokeLeases gives back leases that nothing has.
func (t *tx) revokeLeases(leases map[int64]clientv3.LeaseID) {
	for _, lease := range leases {
		_, _ = t.store.client.Revoke(context.WithoutCancel(t.ctx), lease) // it ends by itself
	}
}
