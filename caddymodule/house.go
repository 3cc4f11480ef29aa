package caddymodule

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/seed-dbc68772/slipway/caddymodule/hold"
	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/routing"
)

// house is what the room of those who wait is told by: the route table and the
// store.
type house struct{ rt *Runtime }

func (h house) Instance(id routing.ID) *routing.Instance { return h.rt.Table().Instance(id) }

// Progress leaves out what was told of a start before the present one.
func (h house) Progress(in *routing.Instance) *controlplane.Progress {
	r := h.rt.Table().Record(etcdstore.RecordOfProgress(in.ID.String()))
	if r == nil {
		return nil
	}
	p, err := etcdstore.ReadProgress(r)
	if err != nil || p.Generation < in.Generation {
		return nil
	}
	return &p
}

// Limited looks for the records by which a control plane says so. The clocks
// need not agree: a record goes away by itself.
func (h house) Limited(v controlplane.Visitor) (until time.Time, limited bool) {
	t := h.rt.Table()
	for _, name := range limitsOf(v) {
		if r := t.Record(name); r != nil {
			if l, err := etcdstore.ReadStartLimit(r); err == nil && (!limited || l.Until.After(until)) {
				until, limited = l.Until, true
			}
		}
	}
	return until, limited
}

// limitsOf names the records that say that somebody starts nothing for now.
func limitsOf(v controlplane.Visitor) (names []string) {
	if v.User != "" {
		names = append(names, etcdstore.RecordOfLimit(controlplane.StartsOfUser, v.User))
	}
	source := v.CountedSource()
	if source == "" {
		return names
	}
	names = append(names, etcdstore.RecordOfLimit(controlplane.StartsOfSource, source))
	if v.User == "" {
		names = append(names, etcdstore.RecordOfLimit(controlplane.StartsOfAnonymous, source))
	}
	return names
}

// affectedBy tells whom some of the records are about.
func affectedBy(records []string) func(controlplane.Visitor) bool {
	return func(v controlplane.Visitor) bool {
		return slices.ContainsFunc(limitsOf(v), func(name string) bool { return slices.Contains(records, name) })
	}
}

// sourceOf is what limits are counted by of a client's address: an IPv4
// address, or the /64 of an IPv6 address; "" of what is no address.
func sourceOf(client string) string {
	ip, err := netip.ParseAddr(client)
	if err != nil {
		return ""
	}
	ip = ip.Unmap().WithZone("")
	if ip.Is4() {
		return ip.String()
	}
	network, err := ip.Prefix(64)
	if err != nil {
		return ""
	}
	return network.String()
}

// wakeTTL is how long an intent is good for without a control plane to take
// it up: as long as a visitor waits by default.
const wakeTTL = time.Minute

// wakeLimit is how long a pure edge asks the store to take an intent: a visitor
// of a sleeping instance learns within a second that nobody can wake it.
const wakeLimit = 900 * time.Millisecond

// Wake registers an intent.
func (h house) Wake(ctx context.Context, intent controlplane.WakeIntent) error {
	rt := h.rt
	err := errors.New("the store does not answer")
	if !rt.live.Away() {
		if rt.control.Load() == nil {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, wakeLimit)
			defer cancel()
		}
		intent.Edge, intent.At = rt.edge.name, time.Now().UTC()
		err = rt.store.Wake(ctx, intent, wakeTTL)
	}
	rt.metrics.wakes.count(intent.Kind, err)
	return err
}

var _ hold.House = house{}
