package cli

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// handleSecrets is the part of the fake that keeps secrets.
func (f *fakeAPI) handleSecrets(handle func(pattern string, status int, h func(r *http.Request) (any, error))) {
	handle("POST /api/v1/secrets", 201, f.createSecret)
	handle("GET /api/v1/secrets", 200, f.listSecrets)
	handle("GET /api/v1/secrets/{name}", 200, f.getSecret)
	handle("PUT /api/v1/secrets/{name}", 200, f.putSecret)
	handle("DELETE /api/v1/secrets/{name}", 204, f.deleteSecret)
	handle("POST /api/v1/secrets/rotate", 200, func(*http.Request) (any, error) {
		return v1.Rotation{Key: "1234567890", Secrets: len(f.secrets), Resealed: 1}, nil
	})
}

func (f *fakeAPI) createSecret(r *http.Request) (any, error) {
	var q v1.SecretRequest
	if err := json.NewDecoder(r.Body).Decode(&q); err != nil {
		return nil, err
	}
	s := &v1.RevealedSecret{SecretValues: q.SecretValues, Secret: v1.Secret{
		Name: q.Name, Visibility: "PRIVATE", Parent: q.Parent, Owner: f.caller(r).user, CreatedAt: fakeTime, UpdatedAt: fakeTime,
	}}
	if q.Visibility != nil {
		s.Visibility = *q.Visibility
	}
	if s.Visibility != "PRIVATE" && !admin(r) {
		return nil, controlplane.Errorf(controlplane.CodeForbidden, "secrets for all users and of apps are the admins'").WithHint("make a PRIVATE one, or ask an admin")
	}
	s.Keys = keysOf(s.SecretValues)
	f.secrets = append(f.secrets, s)
	return s.Secret, nil
}

func keysOf(v v1.SecretValues) []string {
	return slices.Sorted(maps.Keys(mergeKeys(v)))
}

func mergeKeys(v v1.SecretValues) map[string]bool {
	all := map[string]bool{}
	for key := range v.Values {
		all[key] = true
	}
	for key := range v.Data {
		all[key] = true
	}
	return all
}

func (f *fakeAPI) listSecrets(r *http.Request) (any, error) {
	q := r.URL.Query()
	var list []*v1.Secret
	for _, s := range f.secrets {
		if (q.Get("visibility") == "" || q.Get("visibility") == s.Visibility) && (q.Get("parent") == "" || q.Get("parent") == text(s.Parent)) {
			list = append(list, &s.Secret)
		}
	}
	return page(r, list)
}

func (f *fakeAPI) secret(r *http.Request) (*v1.RevealedSecret, error) {
	q := r.URL.Query()
	visibility := q.Get("visibility")
	if visibility == "" {
		visibility = "PRIVATE"
	}
	for _, s := range f.secrets {
		if s.Name == r.PathValue("name") && s.Visibility == visibility && text(s.Parent) == q.Get("parent") {
			return s, nil
		}
	}
	return nil, controlplane.Errorf(controlplane.CodeNotFound, "no secret %q that is %s", r.PathValue("name"), visibility).WithHint("slipway secret list shows names and visibilities; -v names another visibility")
}

func (f *fakeAPI) getSecret(r *http.Request) (any, error) {
	s, err := f.secret(r)
	if err != nil {
		return nil, err
	}
	out := *s
	if r.URL.Query().Get("reveal") != "true" {
		out.SecretValues = v1.SecretValues{}
	}
	return out, nil
}

func (f *fakeAPI) putSecret(r *http.Request) (any, error) {
	s, err := f.secret(r)
	if err != nil {
		return nil, err
	}
	s.SecretValues = v1.SecretValues{}
	err = json.NewDecoder(r.Body).Decode(&s.SecretValues)
	s.Keys = keysOf(s.SecretValues)
	return s.Secret, err
}

func (f *fakeAPI) deleteSecret(r *http.Request) (any, error) {
	s, err := f.secret(r)
	if err != nil {
		return nil, err
	}
	if s.Name == "used" {
		return nil, controlplane.Errorf(controlplane.CodeConflict, "the secret used is referred to by 1 apps: demo 1 (3f2a9c01)").WithHint("delete those apps first, or replace the values: slipway secret update used")
	}
	f.secrets = remove(f.secrets, s)
	return nil, nil
}
