package controlplane

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
)

// SecretFilter picks secrets of a list; what is empty picks all.
type SecretFilter struct {
	Visibility Visibility
	Parent     string
}

// Secrets lists what secrets the actor may know of: their own PRIVATE ones,
// ALL_USERS and, for admins, those of apps.
func (s *Service) Secrets(ctx context.Context, actor Actor, f SecretFilter, p Page) (out List[*Secret], err error) {
	if err := s.Allow(actor, SeeSecretNames); err != nil {
		return out, err
	}
	if f, err = s.checkFilter(actor, f); err != nil {
		return out, err
	}
	limit := p.Limit
	if limit <= 0 {
		limit = 100
	}
	limit = min(limit, 1000)
	out = List[*Secret]{Items: []*Secret{}, Revision: p.Revision}
	for _, scope := range s.secretScopes(actor, f) {
		room := limit - len(out.Items)
		list, err := s.Store.Secrets(ctx, scope, Page{Limit: max(room, 1), After: p.After, Revision: out.Revision})
		if err != nil {
			return out, err
		}
		out.Revision = list.Revision
		if room > 0 {
			out.Items = append(out.Items, list.Items...)
		}
		if list.NextAfter != "" || room == 0 && len(list.Items) > 0 {
			out.NextAfter = out.Items[limit-1].ID().Key()
			return out, nil
		}
	}
	return out, nil
}

// checkFilter refuses one that nothing can pass, or what is not the actor's.
func (s *Service) checkFilter(actor Actor, f SecretFilter) (SecretFilter, error) {
	if f.Visibility == "" && f.Parent == "" {
		return f, nil
	}
	if f.Visibility == "" {
		f.Visibility = AppWide
	}
	probe := SecretID{Visibility: f.Visibility, Parent: f.Parent, Name: "any"}
	if f.Visibility == AppWide && f.Parent == "" {
		probe.Parent = "app:any"
	}
	if err := probe.check(); err != nil || f.Visibility != AppWide {
		return f, err
	}
	return f, s.Allow(actor, WriteSharedSecret)
}

// secretScopes are the beginnings of the keys of what the actor may know of, in
// the order of the keys.
func (s *Service) secretScopes(actor Actor, f SecretFilter) (scopes []string) {
	wanted := func(v Visibility) bool { return f.Visibility == "" || f.Visibility == v }
	if wanted(AllUsers) {
		scopes = append(scopes, SecretID{Visibility: AllUsers}.Key())
	}
	if wanted(AppWide) && s.Allow(actor, WriteSharedSecret) == nil {
		scope := SecretID{Visibility: AppWide, Parent: f.Parent}.Key()
		if f.Parent == "" {
			scope = strings.TrimSuffix(scope, "/")
		}
		scopes = append(scopes, scope)
	}
	if wanted(Private) {
		scopes = append(scopes, SecretID{Visibility: Private, Owner: actor.User}.Key())
	}
	return scopes
}

// Key is where a secret is among all of them; without a name, how those begin
// that it is one of. Neither owners nor parents tell capitals apart.
func (id SecretID) Key() string {
	switch id.Visibility {
	case AllUsers:
		return "all/" + id.Name
	case AppWide:
		return "app/" + strings.ToLower(strings.TrimPrefix(id.Parent, "app:")) + "/" + id.Name
	}
	return "private/" + strings.ToLower(id.Owner) + "/" + id.Name
}

// Secret finds a secret. The ID's owner is the actor, whatever it says: there is
// no way to name a PRIVATE secret of somebody else.
func (s *Service) Secret(ctx context.Context, actor Actor, id SecretID) (secret *Secret, err error) {
	if id, err = s.secretID(actor, id, SeeSecretNames); err != nil {
		return nil, err
	}
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		secret, err = findSecret(tx, id)
		return err
	})
	return secret, err
}

// secretID checks the ID and whether the actor may do that with what it names.
func (s *Service) secretID(actor Actor, id SecretID, do Action) (SecretID, error) {
	if err := s.Allow(actor, SeeSecretNames); err != nil {
		return id, err
	}
	if id.Owner = ""; id.Visibility == "" {
		id.Visibility = Private
	}
	if id.Visibility == Private {
		id.Owner = actor.User
	}
	if err := id.check(); err != nil {
		return id, err
	}
	if do == SeeSecretNames && id.Visibility == AppWide {
		do = WriteSharedSecret // their names are the admins', too
	}
	return id, s.Allow(actor, do)
}

// writing is the action of whoever changes a secret of this visibility.
func writing(v Visibility) Action {
	if v == AllUsers || v == AppWide {
		return WriteSharedSecret
	}
	return WriteOwnSecret
}

func findSecret(tx Tx, id SecretID) (*Secret, error) {
	secret, err := tx.Secret(id)
	if CodeOf(err) == CodeNotFound {
		err = Errorf(CodeNotFound, "no secret %q that is %s", id.Name, id.Visibility).
			WithHint("slipway secret list shows names and visibilities; -v names another visibility")
	}
	return secret, err
}

// RevealSecret returns the values of a secret to its owner, and leaves a record
// of it in the audit.
func (s *Service) RevealSecret(ctx context.Context, actor Actor, id SecretID) (secret *Secret, values SecretValues, err error) {
	if id, err = s.secretID(actor, id, writing(id.Visibility)); err != nil {
		return nil, nil, err
	}
	if !actor.May(ScopeWrite) {
		return nil, nil, LacksScope(ScopeWrite).
			WithHint("a token that only reads does not read secrets; make one with that scope: slipway token create")
	}
	var sealed []byte
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		if secret, err = findSecret(tx, id); err != nil {
			return err
		}
		of := &Resource{Owner: secret.Owner, Visibility: secret.Visibility}
		if s.Access.Decide(&actor, RevealSecret, of) != Allowed {
			return Errorf(CodeForbidden, "the values of secret %s are shown to its owner alone", id.Name).
				WithHint("%s created it; an update replaces all of its values", secret.Owner)
		}
		if sealed, err = tx.SealedSecret(id); err != nil {
			return err
		}
		s.auditRead(tx, actor, "secret.reveal", "secret/"+id.String())
		return nil
	})
	if err == nil {
		values, err = s.unseal(id, sealed)
	}
	return secret, values, err
}

// CreateSecret creates a secret.
func (s *Service) CreateSecret(ctx context.Context, actor Actor, id SecretID, values SecretValues) (secret *Secret, err error) {
	return s.writeSecret(ctx, actor, id, values, func(tx Tx, id SecretID) (*Secret, error) {
		switch _, err := tx.Secret(id); {
		case err == nil:
			return nil, Errorf(CodeConflict, "secret %q that is %s exists already", id.Name, id.Visibility).
				WithHint("%s replaces its values", id.command("update"))
		case CodeOf(err) != CodeNotFound:
			return nil, err
		}
		if err := s.oneMoreSecret(tx, actor, id); err != nil {
			return nil, err
		}
		now := s.now()
		s.audit(tx, actor, "secret.create", "secret/"+id.String(), keysOf(values))
		return &Secret{Name: id.Name, Visibility: id.Visibility, Parent: id.Parent, Owner: actor.User, CreatedAt: now, UpdatedAt: now}, nil
	})
}

// UpdateSecret replaces all keys and values of a secret. What runs keeps the old
// ones until its next start.
func (s *Service) UpdateSecret(ctx context.Context, actor Actor, id SecretID, values SecretValues) (*Secret, error) {
	return s.writeSecret(ctx, actor, id, values, func(tx Tx, id SecretID) (*Secret, error) {
		secret, err := findSecret(tx, id)
		if err != nil {
			return nil, err
		}
		if err := unchanged(ctx, secret.Revision); err != nil {
			return nil, err
		}
		secret.UpdatedAt = s.now()
		s.audit(tx, actor, "secret.update", "secret/"+id.String(), keysOf(values))
		return secret, nil
	})
}

func keysOf(v SecretValues) string { return "keys " + strings.Join(v.Keys(), ", ") }

// writeSecret writes what begin returns, with these values.
func (s *Service) writeSecret(ctx context.Context, actor Actor, id SecretID, values SecretValues, begin func(Tx, SecretID) (*Secret, error)) (secret *Secret, err error) {
	if id, err = s.secretID(actor, id, writing(id.Visibility)); err != nil {
		return nil, err
	}
	if err := values.check(); err != nil {
		return nil, err
	}
	sealed, err := s.seal(id, values)
	if err != nil {
		return nil, err
	}
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		if secret, err = begin(tx, id); err != nil {
			return err
		}
		secret.Keys, secret.NotText = values.Keys(), values.notText()
		if err := tx.Put(secret); err != nil {
			return err
		}
		return tx.Put(&SealedSecret{ID: id, Sealed: sealed})
	})
	return secret, err
}

// DeleteSecret deletes a secret that no app refers to.
func (s *Service) DeleteSecret(ctx context.Context, actor Actor, id SecretID) (revision int64, err error) {
	if id, err = s.secretID(actor, id, writing(id.Visibility)); err != nil {
		return 0, err
	}
	if _, err := s.Secret(ctx, actor, id); err != nil {
		return 0, err
	}
	users, err := s.usersOf(ctx, id)
	if err != nil {
		return 0, err
	}
	if len(users) > 0 {
		return 0, s.inUse(actor, id, users)
	}
	return s.Store.Update(ctx, func(tx Tx) error {
		secret, err := findSecret(tx, id)
		if err != nil {
			return err
		}
		if err := unchanged(ctx, secret.Revision); err != nil {
			return err
		}
		s.audit(tx, actor, "secret.delete", "secret/"+id.String(), "")
		if err := tx.Delete(secret); err != nil {
			return err
		}
		return tx.Delete(&SealedSecret{ID: id})
	})
}

// oneMoreSecret refuses a PRIVATE secret over the quota.
func (s *Service) oneMoreSecret(tx Tx, actor Actor, id SecretID) error {
	limit := s.Quotas.Secrets
	if limit == 0 || id.Visibility != Private || s.unbound(actor) {
		return nil
	}
	n, err := tx.SecretsOwned(actor.User)
	if err != nil || n < limit {
		return err
	}
	return Errorf(CodeQuota, "you have %d secrets, and may have %d", n, limit).
		WithHint("a secret has up to %d keys; or delete one that you do not need, or ask an admin, whose setting secrets_per_user is", maxSecretKeys)
}

// errNoVault is what a control plane without keys answers.
func errNoVault() error {
	return Errorf(CodeConflict, "this installation keeps no secrets: its control plane has no keys to seal them with").
		WithHint("an admin makes a file of keys with: slipway secret-keys create FILE, and gives it to every control plane as the setting secret_keys FILE")
}

// seal encrypts values for a secret.
func (s *Service) seal(id SecretID, values SecretValues) ([]byte, error) {
	if s.Vault == nil {
		return nil, errNoVault()
	}
	text, err := json.Marshal(map[string][]byte(values))
	if err != nil {
		return nil, fmt.Errorf("encode secret: %w", err)
	}
	return s.Vault.Seal(text, id.sealedFor())
}

func (s *Service) unseal(id SecretID, sealed []byte) (SecretValues, error) {
	return unseal(s.Vault, id, sealed)
}

func unseal(v Vault, id SecretID, sealed []byte) (SecretValues, error) {
	if v == nil {
		return nil, errNoVault()
	}
	text, err := v.Unseal(sealed, id.sealedFor())
	if err != nil {
		return nil, err
	}
	var values map[string][]byte
	if err := json.Unmarshal(text, &values); err != nil {
		// The decoder's own words could repeat a part of the text.
		return nil, Errorf(CodeInternal, "the values of secret %s are not as this version writes them", id.Name)
	}
	return values, nil
}
