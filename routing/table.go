package routing

import (
	"hash/maphash"
	"iter"
)

// Table is every live instance and every alias at one revision of the store,
// and what else edges obey: the apps' policies, keys and revocations.
// It is immutable: any number of goroutines may read it, without a lock and
// for as long as they like. A nil or zero Table is empty.
type Table struct {
	instances shards[Instance]
	aliases   shards[Alias]
	policies  shards[Policy]
	records   shards[Record]
	revision  int64
}

// NewTable returns an empty table at revision 0.
func NewTable() *Table { return &Table{} }

// Instance returns the live instance of that ID, or nil.
func (t *Table) Instance(id ID) *Instance {
	if t == nil {
		return nil
	}
	hash := id.hash()
	slots := t.instances.slots(hash)
	in, after := next(slots, hash, hash)
	for in != nil && in.ID != id {
		in, after = next(slots, hash, after)
	}
	return in
}

// Alias returns the alias of that name, a label or a custom host name in lower
// case, or nil. It may be unassigned.
func (t *Table) Alias(name string) *Alias {
	if t == nil {
		return nil
	}
	hash := nameHash(name)
	slots := t.aliases.slots(hash)
	alias, after := next(slots, hash, hash)
	for alias != nil && alias.Name != name {
		alias, after = next(slots, hash, after)
	}
	return alias
}

// aliasOf is Alias for a valid host name in any case.
func (t *Table) aliasOf(name string, upper bool) *Alias {
	if !upper || t == nil {
		return t.Alias(name)
	}
	var buffer [maxHost]byte
	lower := buffer[:len(name)]
	for i := range lower {
		lower[i] = lowerOf(name[i])
	}
	hash := maphash.Bytes(nameSeed, lower)
	slots := t.aliases.slots(hash)
	alias, after := next(slots, hash, hash)
	for alias != nil && alias.Name != string(lower) {
		alias, after = next(slots, hash, after)
	}
	return alias
}

// Len returns how many instances and how many aliases the table holds.
func (t *Table) Len() (instances, aliases int) {
	if t == nil {
		return 0, 0
	}
	return t.instances.count, t.aliases.count
}

// Revision returns the store revision up to which changes are in the table.
func (t *Table) Revision() int64 {
	if t == nil {
		return 0
	}
	return t.revision
}

// AllInstances yields every instance, in no order.
func (t *Table) AllInstances() iter.Seq[*Instance] {
	return func(yield func(*Instance) bool) {
		if t != nil {
			t.instances.all(yield)
		}
	}
}

// AllAliases yields every alias, in no order.
func (t *Table) AllAliases() iter.Seq[*Alias] {
	return func(yield func(*Alias) bool) {
		if t != nil {
			t.aliases.all(yield)
		}
	}
}

// primary returns the alias that the instance's canonical URL uses, or "".
// The record's word is taken only if the alias leads back to the instance:
// otherwise two half-written records could redirect to each other for ever.
func (t *Table) primary(s *Site, in *Instance) string {
	if in.Primary == "" {
		return ""
	}
	alias := t.Alias(in.Primary)
	if alias == nil || !alias.Assigned || alias.Instance != in.ID || !s.reachable(in.Primary) {
		return ""
	}
	return in.Primary
}

// nameSeed is one for all tables, since they share shards. It is random, so
// that nobody can choose names that crowd one leaf.
var nameSeed = maphash.MakeSeed()

func nameHash(name string) uint64 { return maphash.String(nameSeed, name) }
