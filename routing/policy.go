package routing

import (
	"iter"
	"slices"
)

// Policy is what an edge needs to know of an app, to say who may open its
// instances. A table's policies are shared by all its readers and never change.
type Policy struct {
	App          string // ID
	Owner        string
	Title        string
	Icon         string // its SHA-256, hexadecimal; empty: it has none
	Managed      bool   // the life cycle is MANAGED
	Visibility   Visibility
	VisitorRoles []string // of the app's tags
	Identity     bool     // the app is told who visits it (EnableOIDC)
}

func (p *Policy) equal(q *Policy) bool {
	return p.App == q.App && p.Owner == q.Owner && p.Title == q.Title && p.Icon == q.Icon && p.Managed == q.Managed &&
		p.Visibility == q.Visibility && p.Identity == q.Identity && slices.Equal(p.VisitorRoles, q.VisitorRoles)
}

// Record is another record that edges obey: a verification key, a revocation,
// or the settings. What it says is for package session to read.
type Record struct {
	Name  string // "keys/<kid>", "revoked/<what>" or "settings"
	Value string // as in the store
	Epoch int64  // of a revocation: what is older is refused
}

// Policy returns the policy of the app of that ID, or nil.
func (t *Table) Policy(app string) *Policy {
	if t == nil {
		return nil
	}
	hash := nameHash(app)
	slots := t.policies.slots(hash)
	p, after := next(slots, hash, hash)
	for p != nil && p.App != app {
		p, after = next(slots, hash, after)
	}
	return p
}

// Record returns the record of that name, or nil.
func (t *Table) Record(name string) *Record {
	if t == nil {
		return nil
	}
	hash := nameHash(name)
	slots := t.records.slots(hash)
	r, after := next(slots, hash, hash)
	for r != nil && r.Name != name {
		r, after = next(slots, hash, after)
	}
	return r
}

// LenOthers returns how many policies and how many other records the table
// holds.
func (t *Table) LenOthers() (policies, records int) {
	if t == nil {
		return 0, 0
	}
	return t.policies.count, t.records.count
}

// AllPolicies yields every policy, in no order.
func (t *Table) AllPolicies() iter.Seq[*Policy] {
	return func(yield func(*Policy) bool) {
		if t != nil {
			t.policies.all(yield)
		}
	}
}

// AllRecords yields every other record, in no order.
func (t *Table) AllRecords() iter.Seq[*Record] {
	return func(yield func(*Record) bool) {
		if t != nil {
			t.records.all(yield)
		}
	}
}
