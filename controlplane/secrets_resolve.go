package controlplane

import (
	"context"
	"fmt"
)

// ResolvedSecrets are the variables and files of an app that come from secrets.
// They are for its launcher alone.
type ResolvedSecrets struct {
	// Env and Files are those of the manifest whose secrets are there, with their
	// values, in its order.
	Env   []EnvVar
	Files []File
	// Warnings tell what is left out, a sentence each.
	Warnings []string
}

// String tells nothing: what is logged by mistake holds no value.
func (ResolvedSecrets) String() string { return "(resolved secrets)" }

// GoString is String.
func (r ResolvedSecrets) GoString() string { return r.String() }

// SecretResolver finds the values that apps refer to.
type SecretResolver struct {
	Store  Store
	Vault  Vault // nil: there are no values
	Rights Rights
}

// Resolve finds the values of an app's references. Where one cannot be had that
// is not optional, the reason says why; what is optional and missing is left
// out, with a warning.
func (r SecretResolver) Resolve(ctx context.Context, app *App) (out ResolvedSecrets, why *Reason, err error) {
	refs := secretRefs(&app.Manifest)
	if len(refs) == 0 {
		return out, nil, nil
	}
	found, sealed := map[string]*Secret{}, map[string][]byte{}
	_, err = r.Store.Update(ctx, func(tx Tx) error {
		clear(found)
		for _, ref := range refs {
			if _, done := found[ref.name]; done {
				continue
			}
			secret, err := secretFor(tx, r.Rights, app, ref.name)
			if found[ref.name] = secret; err != nil || secret == nil {
				if err != nil {
					return err
				}
				continue
			}
			if sealed[ref.name], err = tx.SealedSecret(secret.ID()); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return out, nil, err
	}
	values := map[string]SecretValues{}
	for name, secret := range found {
		if secret == nil {
			continue
		}
		if values[name], err = unseal(r.Vault, secret.ID(), sealed[name]); err != nil {
			return out, &Reason{MissingSecret, fmt.Sprintf("the secret %q cannot be opened: %v", name, err)}, nil
		}
		secret.Keys = values[name].Keys()
	}
	get := func(ref secretRef) (value []byte, ok bool) {
		value, ok = values[ref.name][ref.key]
		switch {
		case !ok && ref.optional:
			out.Warnings = append(out.Warnings, fmt.Sprintf("%s is left out: there is no secret %q with the key %q", ref.where, ref.name, ref.key))
		case !ok && why == nil:
			why = &Reason{MissingSecret, fmt.Sprintf("%s needs %s", ref.where, ref.lack(found[ref.name]))}
		}
		return value, ok
	}
	for _, e := range app.Manifest.Env {
		if e.Secret == "" {
			continue
		}
		ref := secretRef{"Env " + e.Name, e.Secret, e.SecretKey, e.Optional, true}
		value, ok := get(ref)
		if ok && !isText(value) {
			why = &Reason{MissingSecret, ref.noText()}
			ok = false
		}
		if ok {
			e.Value = string(value)
			out.Env = append(out.Env, e)
		}
	}
	for _, f := range app.Manifest.Files {
		if f.Secret == "" {
			continue
		}
		if value, ok := get(secretRef{"File " + f.Path, f.Secret, f.SecretKey, f.Optional, false}); ok {
			f.Value = string(value)
			out.Files = append(out.Files, f)
		}
	}
	if why != nil {
		return ResolvedSecrets{}, why, nil
	}
	return out, nil, nil
}
