package routes

import (
	"bytes"
	"slices"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
	"github.com/seed-dbc68772/slipway/routing"
)

// listing is a list of which some pages have come. It holds what differs from
// the table before, and 16 bytes for every record: the values are gone.
type listing struct {
	before  *routing.Table
	served  bool // before is what requests see
	changes []routing.Change
	news    Changes
	// Everything that is listed, refused records too, in the order of the keys.
	instances []routing.ID
	aliases   []string
	others    map[string]bool // keys of policies and other records
	refused   map[string]Refusal
}

// takeList takes a page; with the last one it makes the list visible and
// returns whom it changes.
func (l *Live) takeList(r *loop, b etcdstore.Batch) (news Changes, changed bool) {
	if b.First {
		<-l.loaded
		l.begin(r, b)
	}
	list, log := r.list, l.refusalLog()
	for _, e := range b.Events {
		change, ok, err := l.read(e)
		if err != nil {
			list.refused[e.Key] = refusalOf(e, err)
			l.mu.Lock()
			if l.loop == r {
				log.refuse(e, err)
			}
			l.mu.Unlock()
		} else if !ok {
			continue
		}
		if id, isInstance := etcdstore.RouteInstance(e.Key); isInstance {
			list.instances = append(list.instances, id)
		} else if name, isAlias := etcdstore.RouteAlias(e.Key); isAlias {
			list.aliases = append(list.aliases, name)
		} else {
			list.others[e.Key] = true
		}
		if err != nil || list.before.Has(change) {
			continue
		}
		list.changes = append(list.changes, change)
		list.news.add(change)
	}
	log.done()
	if b.More {
		return news, false
	}
	return l.finish(r, b)
}

// begin chooses what the list is compared with: the table, or the snapshot
// that nobody was served from, for the last good records of what is refused.
func (l *Live) begin(r *loop, b etcdstore.Batch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	list := &listing{before: l.table.Load(), others: map[string]bool{}, refused: map[string]Refusal{}}
	list.served = list.before != nil
	if !list.served && l.oldOf.Cluster == b.Cluster {
		list.before = l.old
	}
	r.list = list
}

// finish makes the list visible.
func (l *Live) finish(r *loop, b etcdstore.Batch) (news Changes, changed bool) {
	list := r.list
	missing := list.missing()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.loop != r {
		return news, false
	}
	r.list = nil
	// The snapshot may have been published since. A list that was not compared
	// with it, since it is of another cluster, is now.
	if now := l.table.Load(); now != nil && !list.served {
		list.served = true
		if now != list.before {
			list.before = now
			missing = list.missing()
		}
	}
	confirmed := l.held.confirmed(missing)
	l.held.clear()
	// What was removed while the list was on its way is still in list.before:
	// here it comes back, or is confirmed.
	removals := missing
	if fresh := len(missing) - len(confirmed); list.served && isMass(fresh, list.before) {
		removals = confirmed
		for _, c := range missing {
			l.held.add(c)
		}
		for _, c := range confirmed {
			l.held.drop(c)
		}
	}
	l.refused = list.refused
	l.cluster = b.Cluster
	l.counts.lists[b.Reason]++
	removals = append(removals, list.missingOthers()...) // never held: most take a right away
	for _, c := range removals {
		list.news.add(c)
	}
	l.publish(list.before.Apply(b.Revision, append(list.changes, removals...)), FromStore)
	l.log.Info("routes listed", zap.String("reason", string(b.Reason)), zap.Int64("revision", b.Revision),
		zap.Int("instances", len(list.instances)), zap.Int("aliases", len(list.aliases)),
		zap.Int("changed", len(list.changes)), zap.Int("removed", len(removals)), zap.Int("refused", len(list.refused)))
	l.hold("a list lacks much of what was there")
	return list.news, true
}

// missing deletes what was there before and is not listed.
func (l *listing) missing() (missing []routing.Change) {
	instances, aliases := l.before.Len()
	if instances+aliases == 0 {
		return nil
	}
	// etcd lists in the order of keys, which is that of IDs as bytes.
	for in := range l.before.AllInstances() {
		if _, found := slices.BinarySearchFunc(l.instances, in.ID, compareIDs); !found {
			missing = append(missing, routing.DeleteInstance(in.ID))
		}
	}
	for alias := range l.before.AllAliases() {
		if _, found := slices.BinarySearch(l.aliases, alias.Name); !found {
			missing = append(missing, routing.DeleteAlias(alias.Name))
		}
	}
	return missing
}

// missingOthers deletes the policies and other records that are not listed.
func (l *listing) missingOthers() (missing []routing.Change) {
	for p := range l.before.AllPolicies() {
		if !l.others[etcdstore.PolicyRouteKey(p.App)] {
			missing = append(missing, routing.DeletePolicy(p.App))
		}
	}
	for r := range l.before.AllRecords() {
		if !l.others[etcdstore.RecordRouteKey(r.Name)] {
			missing = append(missing, routing.DeleteRecord(r.Name))
		}
	}
	return missing
}

func compareIDs(a, b routing.ID) int { return bytes.Compare(a[:], b[:]) }
