package routing

import "slices"

// A family of records lies in 4,096 small hash tables below two levels of
// arrays. To change one record of a million, 2 KiB of the second level and one
// leaf of some 8 KiB are copied. The leaves are open-addressed arrays and not
// maps because of the reads: a look-up touches two cache lines that are not
// hot, the slot's and the record's, where a map has four more in a row; and
// they are copied by one memmove.
const (
	fanBits   = 6
	fan       = 1 << fanBits
	shardBits = 2 * fanBits
	fewSlots  = 4 // in a new leaf
)

// shards holds records by 64 bits of hash. The hash's upper bits pick the
// leaf, lower ones the slot; records of one hash are told apart by the caller.
type shards[V any] struct {
	top   [fan]*[fan]leaf[V]
	count int
}

// leaf is a hash table with linear probing. At most three quarters of its
// slots, a power of two of them, are used.
type leaf[V any] struct {
	slots []slot[V]
	used  int
}

type slot[V any] struct {
	hash   uint64
	record *V // nil if the slot is free
}

func topOf(hash uint64) uint    { return uint(hash >> (64 - fanBits)) }
func middleOf(hash uint64) uint { return uint(hash>>(64-shardBits)) % fan }

// slots returns the slots in which the records of a hash are.
func (s *shards[V]) slots(hash uint64) []slot[V] {
	if middle := s.top[topOf(hash)]; middle != nil {
		return middle[middleOf(hash)].slots
	}
	return nil
}

// next returns the record of that hash at or after place from, and the place
// after it; nil if there is none. Begin at place hash.
func next[V any](slots []slot[V], hash, from uint64) (*V, uint64) {
	if len(slots) == 0 {
		return nil, 0
	}
	mask := uint64(len(slots) - 1)
	for at := from; ; at++ {
		s := &slots[at&mask]
		if s.record == nil || s.hash == hash {
			return s.record, at + 1
		}
	}
}

func (s *shards[V]) all(yield func(*V) bool) {
	for _, middle := range s.top {
		if middle == nil {
			continue
		}
		for i := range middle {
			for _, slot := range middle[i].slots {
				if slot.record != nil && !yield(slot.record) {
					return
				}
			}
		}
	}
}

// editor changes shards that it was given a copy of. What it meets for the
// first time still belongs to older tables and is cloned; from then on it is
// the editor's own, so that a batch clones nothing twice.
type editor[V any] struct {
	shards *shards[V]
	same   func(a, b *V) bool // whether two records have one key
	middle uint64             // which middles are its own, a bit each
	leaves [fan]uint64        // which leaves are
}

// put adds the record, or puts it in the place of the one with its key.
func (e *editor[V]) put(hash uint64, record *V) {
	l := e.own(hash)
	if at, found := e.find(l.slots, hash, record); found {
		l.slots[at].record = record
		return
	}
	if (l.used+1)*4 > len(l.slots)*3 {
		grown := make([]slot[V], max(fewSlots, 2*len(l.slots)))
		for _, s := range l.slots {
			if s.record != nil {
				insert(grown, s)
			}
		}
		l.slots = grown
	}
	insert(l.slots, slot[V]{hash, record})
	l.used++
	e.shards.count++
}

// remove removes the record with the key of like, if there is one.
func (e *editor[V]) remove(hash uint64, like *V) {
	if _, found := e.find(e.shards.slots(hash), hash, like); !found {
		return
	}
	l := e.own(hash)
	hole, _ := e.find(l.slots, hash, like)
	mask := uint64(len(l.slots) - 1)
	// Close the gap: whoever probed past it moves up.
	for at := (hole + 1) & mask; l.slots[at].record != nil; at = (at + 1) & mask {
		if home := l.slots[at].hash; (at-home)&mask >= (at-hole)&mask {
			l.slots[hole], hole = l.slots[at], at
		}
	}
	l.slots[hole] = slot[V]{}
	l.used--
	e.shards.count--
}

func (e *editor[V]) find(slots []slot[V], hash uint64, like *V) (at uint64, found bool) {
	for record, after := next(slots, hash, hash); record != nil; record, after = next(slots, hash, after) {
		if e.same(record, like) {
			return (after - 1) & uint64(len(slots)-1), true
		}
	}
	return 0, false
}

func insert[V any](slots []slot[V], s slot[V]) {
	mask := uint64(len(slots) - 1)
	at := s.hash & mask
	for slots[at].record != nil {
		at = (at + 1) & mask
	}
	slots[at] = s
}

// own returns the leaf of a hash, made the editor's own.
func (e *editor[V]) own(hash uint64) *leaf[V] {
	upper, lower := topOf(hash), middleOf(hash)
	middle := &e.shards.top[upper]
	if e.middle&(1<<upper) == 0 {
		e.middle |= 1 << upper
		clone := new([fan]leaf[V])
		if *middle != nil {
			*clone = **middle
		}
		*middle = clone
	}
	l := &(*middle)[lower]
	if e.leaves[upper]&(1<<lower) == 0 {
		e.leaves[upper] |= 1 << lower
		l.slots = slices.Clone(l.slots)
	}
	return l
}
