package controlplane

import "context"

// Visit finds where a visit to an app leads: to the address of a link, or to the
// newest instance that the actor may open, their own before others'. The error
// is CodeConflict where there is none of those.
func (s *Service) Visit(ctx context.Context, actor Actor, id string) (link string, in *Instance, err error) {
	found, err := s.App(ctx, actor, id)
	if err != nil {
		return "", nil, err
	}
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		link, in = "", nil
		app, err := s.appFor(tx, actor, SeeApp, found.ID)
		if err != nil {
			return err
		}
		if app.Lifecycle == Link {
			link = app.Link
			return nil
		}
		roles, err := VisitorRoles(tx, app)
		if err != nil {
			return err
		}
		ids, err := tx.InstancesOf(app.ID)
		if err != nil {
			return err
		}
		for _, id := range ids {
			one, err := tx.Instance(id)
			if CodeOf(err) == CodeNotFound {
				continue
			}
			if err != nil {
				return err
			}
			may := one.Status.Live() && s.Access.Decide(&actor, OpenInstance, ResourceOfInstance(one, app, roles)) == Allowed
			if may && (in == nil || one.before(in, actor.User)) {
				in = one
			}
		}
		if in == nil {
			return Errorf(CodeConflict, "app %s has no instance that you may open", app.Label()).
				WithHint("start one: slipway app run %s", app.ID)
		}
		return nil
	})
	return link, in, err
}

// before reports whether an instance is rather visited than another.
func (in *Instance) before(other *Instance, user string) bool {
	if own := in.Owner == user; own != (other.Owner == user) {
		return own
	}
	return in.CreatedAt.After(other.CreatedAt)
}
