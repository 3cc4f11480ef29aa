package etcdstore

import (
	"github.com/google/uuid"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// nameRef is what an alias's ID leads to.
type nameRef struct {
	Name string `json:"name"`
}

func (t *tx) Alias(nameOrID string) (*controlplane.Alias, error) {
	name := nameOrID
	if isUUID(nameOrID) {
		var pointer nameRef
		_, ok, err := t.load(aliasIDKey(nameOrID), &pointer)
		if err != nil {
			return nil, err
		}
		if !ok {
			return nil, notFound("alias", nameOrID)
		}
		name = pointer.Name
	}
	alias := new(controlplane.Alias)
	rev, ok, err := t.load(aliasKey(name), alias)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, notFound("alias", nameOrID)
	}
	alias.Revision = rev
	return alias, nil
}

// isUUID tells IDs from names. A name may have the hyphens of an ID, but then
// not its digits only.
func isUUID(s string) bool {
	_, err := uuid.Parse(s)
	return len(s) == 36 && err == nil
}
