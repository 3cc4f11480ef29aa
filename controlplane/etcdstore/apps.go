package etcdstore

import (
	"github.com/seed-dbc68772/slipway/controlplane"
)

// Index values.
type (
	idRef struct {
		ID string `json:"id"`
	}
	ownerRef struct {
		Owner string `json:"owner"`
	}
)

func (t *tx) App(id string) (*controlplane.App, error) {
	app := new(controlplane.App)
	rev, ok, err := t.load(appKey(id), app)
	if err != nil {
		return nil, err
	}
	if !ok {
		return nil, notFound("app", id)
	}
	app.Revision = rev
	return app, nil
}

func (t *tx) AppByName(name, version string) (string, error) {
	var ref idRef
	_, _, err := t.load(versionKey(name, version), &ref)
	return ref.ID, err
}

func (t *tx) NameOwner(name string) (string, error) {
	var ref ownerRef
	_, _, err := t.load(nameKey(name), &ref)
	return ref.Owner, err
}

func (t *tx) putApp(a *controlplane.App) {
	old, err := t.get(appKey(a.ID))
	if err != nil {
		t.fail(err)
		return
	}
	if old.raw == nil {
		t.putPlain(versionKey(a.Name, a.Version), idRef{a.ID})
		t.putPlain(ownedApps(a.Owner)+a.ID, struct{}{})
		if owner, err := t.NameOwner(a.Name); err != nil {
			t.fail(err)
		} else if owner == "" {
			t.putPlain(nameKey(a.Name), ownerRef{a.Owner})
		}
	}
	t.put(appKey(a.ID), a)
	if err := t.PutPolicy(a); err != nil {
		return
	}
	t.written = append(t.written, func(rev int64) { a.Revision = rev })
}

func (t *tx) PutPolicy(a *controlplane.App) error {
	roles, err := controlplane.VisitorRoles(t, a)
	if err != nil {
		t.fail(err)
		return t.err
	}
	t.putPlain(routePolicyKey(a.ID), policyOf(a, roles))
	return t.err
}
