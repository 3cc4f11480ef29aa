package controlplane

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// secretRef is one reference of a manifest to a secret.
type secretRef struct {
	where     string // "Env NAME" or "File PATH"
	name, key string
	optional  bool
	env       bool // a variable, which holds text alone
}

func secretRefs(m *Manifest) (refs []secretRef) {
	for _, e := range m.Env {
		if e.Secret != "" {
			refs = append(refs, secretRef{"Env " + e.Name, e.Secret, e.SecretKey, e.Optional, true})
		}
	}
	for _, f := range m.Files {
		if f.Secret != "" {
			refs = append(refs, secretRef{"File " + f.Path, f.Secret, f.SecretKey, f.Optional, false})
		}
	}
	return refs
}

// secretFor finds the secret of that name that an app refers to: a PRIVATE one
// of whoever imported it, then one of the app's own, if an admin imported it,
// then one of ALL_USERS; never one of whoever starts it (spec apps.md §6). An
// APP secret is no other importer's, or whoever takes an app's name first would
// read what is meant for another's. Nil: there is none.
func secretFor(tx Tx, rights Rights, app *App, name string) (*Secret, error) {
	ids := []SecretID{
		{Visibility: Private, Owner: app.Owner, Name: name},
		{Visibility: AppWide, Parent: "app:" + app.Name, Name: name},
		{Visibility: AllUsers, Name: name},
	}
	for _, id := range ids {
		secret, err := tx.Secret(id)
		if CodeOf(err) == CodeNotFound {
			continue
		}
		if err == nil && id.Visibility == AppWide {
			var admin bool
			if admin, err = importedByAdmin(tx, rights, app); err == nil && !admin {
				continue
			}
		}
		return secret, err
	}
	return nil, nil
}

func importedByAdmin(tx Tx, rights Rights, app *App) (bool, error) {
	user, err := tx.User(app.Owner)
	if CodeOf(err) == CodeNotFound {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	actor := rights.Actor(user)
	return actor.Admin && !user.Disabled, nil
}

// missingSecrets says which secrets an app needs that are not there, or lack the
// key that it needs, or have a value there that no variable can hold; the last is
// true of optional ones, too (SecretResolver.Resolve).
func (s *Service) missingSecrets(tx Tx, app *App) (reasons []Reason, err error) {
	if app.Lifecycle == Link {
		return nil, nil
	}
	for _, ref := range secretRefs(&app.Manifest) {
		if ref.optional && !ref.env {
			continue
		}
		secret, err := secretFor(tx, s.Rights, app, ref.name)
		if err != nil {
			return nil, err
		}
		if lack := ref.lack(secret); lack != "" {
			if ref.optional {
				continue
			}
			reasons = append(reasons, Reason{MissingSecret, fmt.Sprintf("%s needs %s", ref.where, lack)})
		} else if ref.env && slices.Contains(secret.NotText, ref.key) {
			reasons = append(reasons, Reason{MissingSecret, ref.noText()})
		}
	}
	return reasons, nil
}

// lack says what is not there; empty: it is. The app's owner reads it, admins, and
// who may read the log of an instance that failed for it.
func (r secretRef) lack(secret *Secret) string {
	switch {
	case secret == nil:
		return fmt.Sprintf("the secret %q, and whoever imported the app has none of that name, nor is there one for all users: slipway secret create %s %s", r.name, r.name, r.key)
	case !slices.Contains(secret.Keys, r.key):
		return fmt.Sprintf("the key %q of the secret %q, which has no such key; its owner sees by slipway secret list which it has", r.key, r.name)
	}
	return ""
}

// noText says that the value is there, and cannot be had by a variable.
func (r secretRef) noText() string {
	return fmt.Sprintf("%s cannot hold the key %q of the secret %q, which is not text; have it as a [[File]]", r.where, r.key, r.name)
}

// MissingSecrets are the reasons of apps, by ID, which cannot run since a secret
// is not there. Apps that need none cost nothing.
func (s *Service) MissingSecrets(ctx context.Context, apps ...*App) (map[string][]Reason, error) {
	apps = slices.DeleteFunc(slices.Clone(apps), func(a *App) bool { return len(secretRefs(&a.Manifest)) == 0 })
	if len(apps) == 0 {
		return nil, nil
	}
	var reasons map[string][]Reason
	_, err := s.Store.Update(ctx, func(tx Tx) error { // reads each secret once
		reasons = map[string][]Reason{}
		for _, app := range apps {
			missing, err := s.missingSecrets(tx, app)
			if err != nil {
				return err
			}
			reasons[app.ID] = missing
		}
		return nil
	})
	return reasons, err
}

// usersOf are the apps that refer to a secret. An import at the same time may be
// missed: then it is as one right after the end of the secret.
func (s *Service) usersOf(ctx context.Context, id SecretID) (users []*App, err error) {
	refers := func(app *App) bool {
		return slices.ContainsFunc(secretRefs(&app.Manifest), func(ref secretRef) bool { return ref.name == id.Name })
	}
	var candidates []*App
	if id.Visibility == Private {
		owned, err := s.Store.Owned(ctx, id.Owner, 0)
		if err != nil {
			return nil, err
		}
		for app := range owned.Apps {
			a, err := s.Store.App(ctx, app)
			if CodeOf(err) == CodeNotFound {
				continue
			}
			if err != nil {
				return nil, err
			}
			candidates = append(candidates, a)
		}
	} else if err := every(ctx, s.Store.Apps, func(a *App) { candidates = append(candidates, a) }); err != nil {
		return nil, err
	}
	candidates = slices.DeleteFunc(candidates, func(a *App) bool { return !refers(a) })
	if len(candidates) == 0 {
		return nil, nil
	}
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		users = nil
		for _, app := range candidates {
			secret, err := secretFor(tx, s.Rights, app, id.Name)
			if err != nil {
				return err
			}
			if secret != nil && secret.ID().Key() == id.Key() {
				users = append(users, app)
			}
		}
		return nil
	})
	return users, err
}

// inUse refuses to delete a secret, and names the apps to whom may see them.
func (s *Service) inUse(actor Actor, id SecretID, users []*App) error {
	var names []string
	hidden := 0
	for _, app := range users {
		if s.allow(actor, SeeApp, ResourceOfApp(app, nil), noSuch(actor, "app", app.ID)) != nil {
			hidden++
			continue
		}
		names = append(names, fmt.Sprintf("%s %s (%s)", app.Name, app.Version, app.ID))
	}
	slices.Sort(names)
	const most = 20
	if len(names) > most {
		hidden, names = hidden+len(names)-most, names[:most]
	}
	which := strings.Join(names, ", ")
	if hidden > 0 {
		which = strings.TrimPrefix(fmt.Sprintf("%s and %d more", which, hidden), " and ")
	}
	return Errorf(CodeConflict, "the secret %s is referred to by %d apps: %s", id.Name, len(users), which).
		WithHint("delete those apps first, or replace the values: %s", id.command("update"))
}
