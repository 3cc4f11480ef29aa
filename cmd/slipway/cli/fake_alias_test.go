package cli

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

func (f *fakeAPI) alias(r *http.Request) (*v1.Alias, error) {
	x := r.PathValue("x")
	for _, a := range f.aliases {
		if a.Name == x || a.ID == x {
			return a, nil
		}
	}
	return nil, controlplane.Errorf(controlplane.CodeNotFound, "no alias %q", x).WithHint("slipway admin alias list shows them")
}

func (f *fakeAPI) createAlias(r *http.Request) (any, error) {
	var req v1.AliasRequest
	json.NewDecoder(r.Body).Decode(&req)
	for _, a := range f.aliases {
		if a.Name == req.Name {
			return nil, controlplane.Errorf(controlplane.CodeConflict, "alias %q exists already", a.Name).WithHint("slipway admin alias assign %s INSTANCE moves it", a.Name)
		}
	}
	a := &v1.Alias{
		ID: fmt.Sprintf("a11a50%02d-0000-4000-8000-000000000000", len(f.aliases)+1), Name: req.Name,
		URL: "http://" + req.Name + ".localhost:8080/", State: "inactive", CreatedAt: fakeTime, UpdatedAt: fakeTime,
	}
	out, err := f.point(a, req.InstanceID, req.Primary)
	if err == nil {
		f.aliases = append(f.aliases, a)
	}
	return out, err
}

// point assigns an alias and warns as the control plane does.
func (f *fakeAPI) point(a *v1.Alias, id *string, primary *bool) (any, error) {
	was := a.Primary
	a.Primary = primary != nil && *primary && id != nil
	out := func(warnings ...string) (any, error) {
		copied := *a
		copied.Warnings = warnings
		return copied, nil
	}
	if id == nil {
		a.InstanceID, a.State = nil, "inactive"
		if primary != nil && *primary {
			return out("primary is ignored without an instance")
		}
		return out()
	}
	in, err := f.instance(*id)
	if err != nil {
		return nil, controlplane.Errorf(controlplane.CodeUnprocessable, "no instance %q", *id)
	}
	a.InstanceID, a.State = &in.ID, "active"
	if was && !a.Primary {
		return out(a.Name + " is not primary any more; slipway admin alias promote " + a.Name + " makes it so again")
	}
	return out()
}

func (f *fakeAPI) assign(r *http.Request) (any, error) {
	var req v1.AssignRequest
	json.NewDecoder(r.Body).Decode(&req)
	a, err := f.alias(r)
	if err != nil {
		return nil, err
	}
	return f.point(a, req.InstanceID, req.Primary)
}

func (f *fakeAPI) promote(r *http.Request) (any, error) {
	a, err := f.alias(r)
	if err != nil {
		return nil, err
	}
	if a.InstanceID == nil {
		return nil, controlplane.Errorf(controlplane.CodeConflict, "alias %q is not assigned to an instance", a.Name)
	}
	a.Primary = true
	return a, nil
}

func (f *fakeAPI) deleteAlias(r *http.Request) (any, error) {
	a, err := f.alias(r)
	if err != nil {
		return nil, err
	}
	f.aliases = remove(f.aliases, a)
	return nil, nil
}
