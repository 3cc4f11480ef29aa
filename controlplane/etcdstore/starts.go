package etcdstore

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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

// AppStarts implements controlplane.Tx. What is not among the reads is not
// compared: of many instances of one app, each that is ready would otherwise send
// back to the beginning all others that start or are made.
func (t *tx) AppStarts(appID string) ([]time.Duration, error) {
	var r appStarts
	_, _, err := t.load(appStartsKey(appID), &r)
	delete(t.reads, appStartsKey(appID))
	took := make([]time.Duration, len(r.MS))
	for i, ms := range r.MS {
		took[i] = time.Duration(ms) * time.Millisecond
	}
	return took, err
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

type eventsRecord struct {
	Items []controlplane.Event `json:"items"`
}

func (t *tx) AddEvent(instanceID string, e controlplane.Event) {
	var r struct {
		Items []json.RawMessage `json:"items"` // they stay as they are
	}
	if _, _, err := t.load(eventsKey(instanceID), &r); err != nil {
		t.fail(err)
		return
	}
	raw, err := json.Marshal(e)
	if err != nil {
		t.fail(fmt.Errorf("write event of instance %s: %w", instanceID, err))
		return
	}
	r.Items = append(r.Items, raw)
	r.Items = slices.Delete(r.Items, 0, max(0, len(r.Items)-controlplane.MaxEvents))
	t.putPlain(eventsKey(instanceID), r)
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

// Events implements controlplane.EventStore.
func (s *Store) Events(ctx context.Context, instanceID string) (items []controlplane.Event, err error) {
	_, err = s.Update(ctx, func(c controlplane.Tx) error {
		var r eventsRecord
		_, _, err := c.(*tx).load(eventsKey(instanceID), &r)
		items = r.Items
		return err
	})
	return items, err
}

// WatchEvents implements controlplane.EventStore.
func (s *Store) WatchEvents(ctx context.Context, instanceID string, sink func([]controlplane.Event)) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	key := eventsKey(instanceID)
	s.Feed(ctx, key, func(b Batch) {
		for _, e := range b.Events {
			var r eventsRecord
			switch {
			case e.Key != key:
			case e.Value == nil:
				end(errGone)
			default:
				if err := decode(e.Key, e.Value, &r); err != nil {
					end(err)
					return
				}
				sink(r.Items)
			}
		}
	})
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, errGone) {
		return storeError(err)
	}
	return nil
}

var errGone = errors.New("the instance is gone")

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

var (
	_ controlplane.EventStore      = (*Store)(nil)
	_ controlplane.ActivityWatcher = (*Store)(nil)
)
