package routing

// Change puts or deletes one record. Make it with [PutInstance],
// [DeleteInstance], [PutAlias], … or [DeleteRecord]; the zero Change does
// nothing.
type Change struct {
	instance *Instance // to put, or one of the ID to delete
	alias    *Alias    // to put, or one of the name to delete
	policy   *Policy   // to put, or one of the app to delete
	record   *Record   // to put, or one of the name to delete
	remove   bool
}

// PutInstance adds an instance or replaces the one of that ID.
func PutInstance(in Instance) Change { return Change{instance: &in} }

// DeleteInstance removes an instance. Its aliases stay, and lead nowhere.
func DeleteInstance(id ID) Change { return Change{instance: &Instance{ID: id}, remove: true} }

// PutAlias adds an alias or replaces the one of that name.
func PutAlias(alias Alias) Change { return Change{alias: &alias} }

// DeleteAlias removes an alias.
func DeleteAlias(name string) Change { return Change{alias: &Alias{Name: name}, remove: true} }

// PutPolicy adds an app's policy or replaces it.
func PutPolicy(p Policy) Change { return Change{policy: &p} }

// DeletePolicy removes an app's policy.
func DeletePolicy(app string) Change { return Change{policy: &Policy{App: app}, remove: true} }

// PutRecord adds another record or replaces it.
func PutRecord(r Record) Change { return Change{record: &r} }

// DeleteRecord removes another record.
func DeleteRecord(name string) Change { return Change{record: &Record{Name: name}, remove: true} }

// Apply returns a table at revision rev in which the changes were made in
// their order. It shares all that they do not touch with t, which stays as it
// is. Deleting what is not there changes nothing.
func (t *Table) Apply(rev int64, changes []Change) *Table {
	table := new(Table)
	if t != nil {
		*table = *t
	}
	table.revision = rev
	instances := editor[Instance]{
		shards: &table.instances,
		same:   func(a, b *Instance) bool { return a.ID == b.ID },
	}
	aliases := editor[Alias]{
		shards: &table.aliases,
		same:   func(a, b *Alias) bool { return a.Name == b.Name },
	}
	policies := editor[Policy]{
		shards: &table.policies,
		same:   func(a, b *Policy) bool { return a.App == b.App },
	}
	records := editor[Record]{
		shards: &table.records,
		same:   func(a, b *Record) bool { return a.Name == b.Name },
	}
	for i := range changes {
		switch c := &changes[i]; {
		case c.instance != nil && c.remove:
			instances.remove(c.instance.ID.hash(), c.instance)
		case c.instance != nil:
			instances.put(c.instance.ID.hash(), c.instance)
		case c.alias != nil && c.remove:
			aliases.remove(nameHash(c.alias.Name), c.alias)
		case c.alias != nil:
			aliases.put(nameHash(c.alias.Name), c.alias)
		case c.policy != nil && c.remove:
			policies.remove(nameHash(c.policy.App), c.policy)
		case c.policy != nil:
			policies.put(nameHash(c.policy.App), c.policy)
		case c.record != nil && c.remove:
			records.remove(nameHash(c.record.Name), c.record)
		case c.record != nil:
			records.put(nameHash(c.record.Name), c.record)
		}
	}
	return table
}

// Instance returns the ID of the instance that the change is about.
func (c Change) Instance() (id ID, ok bool) {
	if c.instance == nil {
		return ID{}, false
	}
	return c.instance.ID, true
}

// Alias returns the name of the alias that the change is about.
func (c Change) Alias() (name string, ok bool) {
	if c.alias == nil {
		return "", false
	}
	return c.alias.Name, true
}

// Record returns the name of the other record that the change is about.
func (c Change) Record() (name string, ok bool) {
	if c.record == nil {
		return "", false
	}
	return c.record.Name, true
}

// Deletes reports whether the change deletes its record.
func (c Change) Deletes() bool { return c.remove }

// Has reports whether t already is as the change alone would make it.
func (t *Table) Has(c Change) bool {
	switch {
	case c.instance != nil:
		in := t.Instance(c.instance.ID)
		return in == nil && c.remove || in != nil && !c.remove && *in == *c.instance
	case c.alias != nil:
		alias := t.Alias(c.alias.Name)
		return alias == nil && c.remove || alias != nil && !c.remove && *alias == *c.alias
	case c.policy != nil:
		p := t.Policy(c.policy.App)
		return p == nil && c.remove || p != nil && !c.remove && p.equal(c.policy)
	case c.record != nil:
		r := t.Record(c.record.Name)
		return r == nil && c.remove || r != nil && !c.remove && *r == *c.record
	}
	return true
}
