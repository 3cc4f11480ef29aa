package controlplane

import (
	"context"
	"errors"
	"slices"
	"strings"
)

// Reasons says why each of the apps cannot be run now, in their order; nothing
// means that it can (spec apps.md §3). Only of apps that need secrets it asks the
// store.
func (s *Service) Reasons(ctx context.Context, apps ...*App) ([][]Reason, error) {
	missing, err := s.MissingSecrets(ctx, apps...)
	if err != nil {
		return nil, err
	}
	reasons := make([][]Reason, len(apps))
	for i, app := range apps {
		reasons[i] = s.reasons(app, missing[app.ID])
	}
	return reasons, nil
}

// ReasonsFor is Reasons as they are told to somebody: the details to who may read
// the manifest, which they quote, and to others each code with its sentence (see
// Reason.ForOthers).
func (s *Service) ReasonsFor(ctx context.Context, actor Actor, apps ...*App) ([][]Reason, error) {
	reasons, err := s.Reasons(ctx, apps...)
	for i := range reasons {
		reasons[i] = s.toldOf(actor, apps[i], reasons[i])
	}
	return reasons, err
}

func (s *Service) toldOf(actor Actor, app *App, reasons []Reason) []Reason {
	if len(reasons) == 0 || s.Access.Decide(&actor, DownloadApp, ResourceOfApp(app, nil)) == Allowed {
		return reasons
	}
	var told []Reason
	for _, r := range reasons {
		if short := r.ForOthers(); !slices.Contains(told, short) {
			told = append(told, short)
		}
	}
	return told
}

// reasons adds to what missingSecrets has found of an app. It is the one place
// that knows. A link runs nothing and lacks nothing.
func (s *Service) reasons(app *App, missing []Reason) []Reason {
	if app.Lifecycle == Link {
		return nil
	}
	return slices.Concat(missing, s.Offers.Unmet(app), s.Launchers.Check(app))
}

// RefreshApp checks at once what an app needs to run, and notes in its record
// and in the audit what has changed since it was checked last.
func (s *Service) RefreshApp(ctx context.Context, actor Actor, id string) (*App, error) {
	found, err := s.App(ctx, actor, id)
	if err != nil {
		return nil, err
	}
	var app *App
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		if app, err = s.appFor(tx, actor, UpdateApp, found.ID); err != nil {
			return err
		}
		if err := unchanged(ctx, app.Revision); err != nil {
			return err
		}
		detail, err := s.recheck(tx, app)
		if err != nil || detail == "" {
			return err
		}
		s.audit(tx, actor, "app.preconditions", "app/"+app.ID, detail)
		return tx.Put(app)
	})
	return app, err
}

// RefreshApps checks what every app needs to run, as the leader does every ten
// minutes. An app shows its reasons as of the moment that it is looked at; this
// is for the audit, which tells when an app came to be not runnable, and why.
// Checked is how many apps there were, changed what became of them.
func (s *Service) RefreshApps(ctx context.Context, actor Actor) (checked, changed int, err error) {
	if err := s.Allow(actor, RefreshAll); err != nil {
		return 0, 0, err
	}
	return s.refreshApps(ctx, func(tx Tx, app *App, detail string) {
		s.audit(tx, actor, "app.preconditions", "app/"+app.ID, detail)
	})
}

// CheckApps is RefreshApps by the leader itself.
func (s *Service) CheckApps(ctx context.Context) error {
	_, _, err := s.refreshApps(ctx, func(tx Tx, app *App, detail string) {
		AuditSystem(tx, s.now(), "app.preconditions", "app/"+app.ID, detail)
	})
	return err
}

func (s *Service) refreshApps(ctx context.Context, audit func(tx Tx, app *App, detail string)) (checked, changed int, err error) {
	stale, checked, err := s.staleApps(ctx)
	for _, id := range stale {
		if ctx.Err() != nil {
			break // each of the others would say so
		}
		detail := ""
		_, wrong := s.Store.Update(ctx, func(tx Tx) error {
			app, err := tx.App(id)
			if err != nil {
				return err
			}
			if detail, err = s.recheck(tx, app); err != nil || detail == "" {
				return err
			}
			audit(tx, app, detail)
			return tx.Put(app)
		})
		switch {
		case wrong == nil && detail != "":
			changed++
		case CodeOf(wrong) != CodeNotFound: // else it has just been deleted
			err = errors.Join(err, wrong)
		}
	}
	return checked, changed, errors.Join(err, ctx.Err())
}

// staleApps are the IDs of the apps of which the record says something else than
// Reasons, out of how many.
func (s *Service) staleApps(ctx context.Context) (ids []string, checked int, err error) {
	var apps []*App
	if err := every(ctx, s.Store.Apps, func(a *App) { apps = append(apps, a) }); err != nil {
		return nil, 0, err
	}
	const atOnce = 1000 // of which the secrets are read in one transaction
	for some := range slices.Chunk(apps, atOnce) {
		reasons, err := s.Reasons(ctx, some...)
		if err != nil {
			return ids, checked, err
		}
		for i, a := range some {
			if !slices.Equal(reasonCodes(reasons[i]), a.Unmet) {
				ids = append(ids, a.ID)
			}
		}
		checked += len(some)
	}
	return ids, checked, nil
}

// setUnmet writes into the app why it cannot be run.
func (s *Service) setUnmet(tx Tx, app *App) error {
	missing, err := s.missingSecrets(tx, app)
	if err != nil {
		return err
	}
	app.Unmet = reasonCodes(s.reasons(app, missing))
	return nil
}

// recheck is setUnmet, and words what of that is new; empty: nothing.
func (s *Service) recheck(tx Tx, app *App) (detail string, err error) {
	before := app.Unmet
	if err := s.setUnmet(tx, app); err != nil || slices.Equal(before, app.Unmet) {
		return "", err
	}
	return change("not runnable", joined(before), joined(app.Unmet)), nil
}

// reasonCodes are the codes, each once and sorted: texts change with the
// machine's state, and a new wording is no news.
func reasonCodes(reasons []Reason) (codes []ReasonCode) {
	for _, r := range reasons {
		codes = append(codes, r.Code)
	}
	slices.Sort(codes)
	return slices.Compact(codes)
}

func joined(codes []ReasonCode) string {
	words := make([]string, len(codes))
	for i, c := range codes {
		words[i] = string(c)
	}
	return strings.Join(words, ", ")
}
