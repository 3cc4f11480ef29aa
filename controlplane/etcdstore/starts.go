package etcdstore

import (
	"context"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/routing"
)

type startsRecord struct {
	At []time.Time `json:"at"`
}

// startsTTL is how long starts are kept that nobody adds to: what they are
// counted within.
const startsTTL = time.Hour

func (t *tx) Starts(kind controlplane.StartKind, of string) ([]time.Time, error) {
	var r startsRecord
	_, _, err := t.load(startsKey(kind, of), &r)
	return r.At, err
}

// SetStarts implements controlplane.Tx. The lease of the first start is over
// when that counts no more: a rewrite makes a new key, with a lease of its own.
func (t *tx) SetStarts(kind controlplane.StartKind, of string, starts []time.Time) {
	key := startsKey(kind, of)
	t.putPlain(key, startsRecord{starts})
	t.ttl(key, startsTTL)
	t.renewed(key)
}

func (t *tx) LimitStarts(kind controlplane.StartKind, of string, ttl time.Duration) {
	key := RecordRouteKey(RecordOfLimit(kind, of))
	t.putPlain(key, controlplane.StartLimit{Until: time.Now().UTC().Add(ttl)})
	t.ttl(key, ttl)
	t.renewed(key)
}

type appStarts struct {
	MS []int64 `json:"ms"`
}

// AppStarts implements controlplane.Tx. It is not compared: of many instances of
// one app, each that is ready would otherwise send back to the beginning all
// others that start or are made.
func (t *tx) AppStarts(appID string) ([]time.Duration, error) {
	key := appStartsKey(appID)
	old, err := t.peek(key)
	if err != nil || old.raw == nil {
		return nil, err
	}
	var r appStarts
	if err := decode(key, old.raw, &r); err != nil {
		return nil, storeError(err)
	}
	took := make([]time.Duration, len(r.MS))
	for i, ms := range r.MS {
		took[i] = time.Duration(ms) * time.Millisecond
	}
	return took, nil
}

func (t *tx) SetAppStarts(appID string, took []time.Duration) {
	r := appStarts{MS: make([]int64, len(took))}
	for i, d := range took {
		r.MS[i] = d.Milliseconds()
	}
	t.putPlain(appStartsKey(appID), r)
}

func (t *tx) Progress(instanceID string) (*controlplane.Progress, error) {
	p := new(controlplane.Progress)
	if _, ok, err := t.load(RecordRouteKey(RecordOfProgress(instanceID)), p); err != nil || !ok {
		return nil, err
	}
	return p, nil
}

func (t *tx) PutProgress(instanceID string, p *controlplane.Progress) {
	key := RecordRouteKey(RecordOfProgress(instanceID))
	if p == nil {
		t.delete(key)
		return
	}
	t.putPlain(key, p)
}

func (t *tx) ClearWake(instanceID string, revision int64) {
	if t.store.recent != nil && !t.afresh { // most probably it is there still
		t.reads[wakeKey(instanceID)] = read{revision: revision}
		t.delete(wakeKey(instanceID))
		t.recalled = true
		return
	}
	r, err := t.get(wakeKey(instanceID))
	switch {
	case err != nil:
		t.fail(err)
	case r.raw != nil && r.revision == revision:
		t.delete(wakeKey(instanceID))
	}
}

// WatchActivity implements controlplane.ActivityWatcher. A report that does not
// parse is logged and left out.
func (s *Store) WatchActivity(ctx context.Context, sink func(controlplane.ActivityBatch)) {
	s.Feed(ctx, activityPrefix, func(b Batch) {
		var out controlplane.ActivityBatch
		for _, e := range b.Events {
			if e.Value == nil {
				continue
			}
			var r controlplane.ActivityReport
			if err := decode(e.Key, e.Value, &r); err != nil {
				s.log.Error("activity report refused", zap.Error(err))
				continue
			}
			out.Items = append(out.Items, r.Items...)
		}
		if len(out.Items) > 0 {
			sink(out)
		}
	})
}

// RecordOfProgress names the record of an instance's start under way.
func RecordOfProgress(instanceID string) string { return recordProgress + instanceID }

// RecordOfLimit names the record that says that visits by somebody start
// nothing for now.
func RecordOfLimit(kind controlplane.StartKind, of string) string {
	return recordLimited + string(kind) + "/" + strings.ToLower(of)
}

// ReadProgress reads the record of RecordOfProgress.
func ReadProgress(r *routing.Record) (p controlplane.Progress, err error) {
	err = decode(r.Name, []byte(r.Value), &p)
	return p, err
}

// ReadStartLimit reads the record of RecordOfLimit.
func ReadStartLimit(r *routing.Record) (l controlplane.StartLimit, err error) {
	err = decode(r.Name, []byte(r.Value), &l)
	return l, err
}

// ProgressOf is the instance that the record is about.
func ProgressOf(name string) (id routing.ID, ok bool) {
	rest, found := strings.CutPrefix(name, recordProgress)
	if !found {
		return id, false
	}
	return parseKeyID(rest)
}

// IsLimit reports whether a record is one of RecordOfLimit.
func IsLimit(name string) bool { return strings.HasPrefix(name, recordLimited) }

var _ controlplane.ActivityWatcher = (*Store)(nil)
