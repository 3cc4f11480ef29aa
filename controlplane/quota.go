package controlplane

import (
	"slices"
	"time"
)

// Quotas bound what one user has and starts. A zero bounds nothing, and admins
// are bound by none.
type Quotas struct {
	Instances        int // of one user (setting instances_per_user)
	VisitorInstances int // of one visitor (instances_per_visitor)
	Versions         int // of apps, of one user (versions_per_user)
	Secrets          int // PRIVATE ones, of one user (secrets_per_user)
	Starts           int // by one user within an hour (starts_per_user)
}

// startsWindow is what starts are counted within.
const startsWindow = time.Hour

// unbound reports whether no quota is the actor's: they may change what is
// anybody's.
func (s *Service) unbound(actor Actor) bool {
	return s.Access.Decide(&actor, ChangeInstance, &Resource{}) == Allowed
}

// oneMoreInstance refuses an instance over the quota.
func (s *Service) oneMoreInstance(tx Tx, actor Actor) error {
	limit := s.Quotas.Instances
	if !actor.Full {
		limit = s.Quotas.VisitorInstances
	}
	if limit == 0 || s.unbound(actor) {
		return nil
	}
	n, err := tx.InstancesOwned(actor.User)
	if err != nil || n < limit {
		return err
	}
	return Errorf(CodeQuota, "you have %d instances, and may have %d", n, limit).
		WithHint("terminate one that you do not need: slipway instance terminate ID; or ask an admin, whose setting that is")
}

// oneMoreVersion refuses a version of an app over the quota.
func (s *Service) oneMoreVersion(tx Tx, actor Actor) error {
	limit := s.Quotas.Versions
	if limit == 0 || s.unbound(actor) {
		return nil
	}
	n, err := tx.AppsOwned(actor.User)
	if err != nil || n < limit {
		return err
	}
	return Errorf(CodeQuota, "you have %d versions of apps, and may have %d", n, limit).
		WithHint("delete one that you do not need: slipway app delete ID; or ask an admin, whose setting versions_per_user is")
}

// oneMoreStart counts a start, or refuses it.
func (s *Service) oneMoreStart(tx Tx, actor Actor) error {
	limit := s.Quotas.Starts
	if limit == 0 || s.unbound(actor) {
		return nil
	}
	now := s.now()
	starts, wait, err := OneMoreStart(tx, StartsOfUser, actor.User, limit, now)
	if err != nil {
		return err
	}
	if wait > 0 {
		refused := Errorf(CodeTooManyStarts, "you have started %d instances within the last hour, and may start %d", len(starts), limit).
			WithHint("try again in %s, or leave running what you have started", (wait + time.Second - 1).Truncate(time.Second))
		refused.RetryAfter = wait
		return refused
	}
	tx.SetStarts(StartsOfUser, actor.User, append(starts, now))
	return nil
}

// OneMoreStart are the starts that count within the limit, the oldest first, and
// for how long there may be no further one; 0: there may.
func OneMoreStart(tx Tx, kind StartKind, of string, limit int, now time.Time) (starts []time.Time, wait time.Duration, err error) {
	starts, err = tx.Starts(kind, of)
	if err != nil {
		return nil, 0, err
	}
	starts = slices.DeleteFunc(starts, func(at time.Time) bool { return now.Sub(at) >= startsWindow })
	if n := len(starts); n >= limit {
		wait = startsWindow - now.Sub(starts[n-limit])
	}
	return starts, wait, nil
}
