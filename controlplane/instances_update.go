package controlplane

import (
	"context"
	"fmt"
)

// InstanceChange is what to change of an instance; nil changes nothing.
type InstanceChange struct {
	Visibility *Visibility
	Wake       *WakePolicy
	// NoAutosuspend is the admins' to change.
	NoAutosuspend *bool
}

// UpdateInstance changes who may open an instance, whose visits wake it, and
// whether it goes to sleep by itself.
func (s *Service) UpdateInstance(ctx context.Context, actor Actor, id string, c InstanceChange) (*Instance, error) {
	return s.change(ctx, actor, id, "update", func(tx Tx, in *Instance) (string, error) {
		var changed []string
		if c.Visibility != nil && *c.Visibility != in.Visibility {
			if !c.Visibility.Valid() {
				return "", invalidVisibility(*c.Visibility)
			}
			if err := s.mayBe(*c.Visibility, in.RoutingMode); err != nil {
				return "", err
			}
			changed = append(changed, change("visibility", in.Visibility, *c.Visibility))
			in.Visibility = *c.Visibility
		}
		if c.Wake != nil && *c.Wake != in.wake() {
			if !c.Wake.Valid() {
				return "", Errorf(CodeInvalid, "there is no wake policy %q", *c.Wake).
					WithHint("give %s, %s or %s", WakeVisitors, WakeOwner, WakeNever)
			}
			changed = append(changed, change("wake", in.wake(), *c.Wake))
			in.Wake = *c.Wake
		}
		if c.NoAutosuspend != nil && *c.NoAutosuspend != in.NoAutosuspend {
			if !s.unbound(actor) {
				return "", forAdmins(actor, Errorf(CodeForbidden, "whether an instance goes to sleep by itself is for admins to say").WithHint("ask an admin"))
			}
			changed = append(changed, fmt.Sprintf("no_autosuspend %t → %t", in.NoAutosuspend, *c.NoAutosuspend))
			in.NoAutosuspend = *c.NoAutosuspend
		}
		if len(changed) == 0 {
			return "", nil
		}
		detail := details(changed...)
		tx.AddEvent(in.ID, Event{Time: s.now(), Type: EventChanged, Text: detail + " by " + actor.User})
		return detail, nil
	})
}

func (in *Instance) wake() WakePolicy {
	if in.Wake == "" {
		return WakeVisitors
	}
	return in.Wake
}
