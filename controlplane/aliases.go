package controlplane

import (
	"context"
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// NewAlias is what CreateAlias makes.
type NewAlias struct {
	Name       string
	InstanceID string // optional
	Primary    bool
}

// CreateAlias creates an alias, assigned and primary if asked for.
func (s *Service) CreateAlias(ctx context.Context, actor Actor, n NewAlias) (*AliasState, error) {
	if err := s.mayChangeAliases(actor); err != nil {
		return nil, err
	}
	if n.InstanceID == "" {
		if err := s.Allow(actor, ManageAliases); err != nil {
			return nil, err
		}
	}
	name := strings.ToLower(n.Name)
	if err := s.checkAliasName(name); err != nil {
		return nil, err
	}
	id := uuid.NewString()
	return s.changeAlias(ctx, func(tx Tx, out *AliasState) error {
		switch old, err := tx.Alias(name); {
		case err == nil:
			return Errorf(CodeConflict, "alias %q exists already", old.Name).
				WithHint("slipway admin alias assign %s INSTANCE moves it", old.Name)
		case CodeOf(err) != CodeNotFound:
			return err
		}
		now := s.now()
		out.Alias = &Alias{ID: id, Name: name, CreatedAt: now, UpdatedAt: now}
		if n.InstanceID == "" {
			if n.Primary {
				out.Warnings = append(out.Warnings, "primary is ignored without an instance")
			}
			s.audit(tx, actor, "alias.create", "alias/"+name, "")
			return tx.Put(out.Alias)
		}
		if err := s.assign(ctx, tx, actor, out, n); err != nil {
			return err
		}
		s.audit(tx, actor, "alias.create", "alias/"+name, led("", out.InstanceID, n.Primary))
		return nil
	})
}

// led words where an alias leads to.
func led(from, to string, primary bool) string {
	detail := change("instance", from, to)
	switch {
	case from == "" && to == "":
		return ""
	case from == to:
		detail = "instance " + to
	}
	if primary && to != "" {
		detail += ", primary"
	}
	return detail
}

// AssignAlias moves an alias to an instance, or away from all with an empty
// instance ID. As in the App Store, an alias that is not asked to be primary
// is not primary any more; with primary it becomes that in the same revision.
func (s *Service) AssignAlias(ctx context.Context, actor Actor, nameOrID, instanceID string, primary bool) (*AliasState, error) {
	if err := s.mayChangeAliases(actor); err != nil {
		return nil, err
	}
	found, err := s.findAlias(ctx, actor, nameOrID)
	if err != nil {
		return nil, err
	}
	return s.changeAlias(ctx, func(tx Tx, out *AliasState) (err error) {
		if out.Alias, err = s.aliasFor(tx, actor, found.Name); err != nil {
			return err
		}
		if err := unchanged(ctx, out.Revision); err != nil {
			return err
		}
		before := out.InstanceID
		if instanceID == "" {
			if primary {
				out.Warnings = append(out.Warnings, "primary is ignored without an instance")
			}
			if before == "" {
				return nil
			}
			if _, err := s.demote(tx, out.Alias); err != nil {
				return err
			}
			out.InstanceID, out.UpdatedAt = "", s.now()
			s.audit(tx, actor, "alias.unassign", "alias/"+out.Name, led(before, "", false))
			return tx.Put(out.Alias)
		}
		out.UpdatedAt = s.now()
		if err := s.assign(ctx, tx, actor, out, NewAlias{InstanceID: instanceID, Primary: primary}); err != nil {
			return err
		}
		s.audit(tx, actor, "alias.assign", "alias/"+out.Name, led(before, out.InstanceID, primary))
		return nil
	})
}

// assign points out.Alias at an instance and writes both, if that changes
// anything.
func (s *Service) assign(ctx context.Context, tx Tx, actor Actor, out *AliasState, to NewAlias) error {
	found, err := s.Instance(ctx, actor, to.InstanceID)
	if err != nil {
		return unusableTarget(err, to.InstanceID)
	}
	target, err := s.instanceFor(tx, actor, ChangeAlias, found.ID)
	if err != nil {
		return unusableTarget(err, to.InstanceID)
	}
	if !target.Status.Live() {
		return Errorf(CodeUnprocessable, "instance %s is terminated", target.ID).WithHint("slipway instance list shows the live ones")
	}
	if out.InstanceID == target.ID && (target.PrimaryAlias == out.Name) == to.Primary {
		out.Alias, err = tx.Alias(out.Name) // as it was
		return err
	}
	wasPrimary, err := s.demote(tx, out.Alias)
	if err != nil {
		return err
	}
	out.InstanceID = target.ID
	if err := tx.Put(out.Alias); err != nil {
		return err
	}
	if to.Primary {
		return s.setPrimary(tx, target.ID, out.Name)
	}
	if wasPrimary {
		out.Warnings = append(out.Warnings, fmt.Sprintf("%s is not primary any more; slipway admin alias promote %s makes it so again", out.Name, out.Name))
	}
	return nil
}

func unusableTarget(err error, id string) error {
	if CodeOf(err) != CodeNotFound {
		return err
	}
	return Errorf(CodeUnprocessable, "no instance %q", id).
		WithHint("slipway instance list shows the instances; link apps have none, and terminated ones are gone")
}

// demote takes the primary bit from an alias, if it has it.
func (s *Service) demote(tx Tx, a *Alias) (wasPrimary bool, err error) {
	if a.InstanceID == "" {
		return false, nil
	}
	old, err := tx.Instance(a.InstanceID)
	if CodeOf(err) == CodeNotFound {
		return false, nil
	}
	if err != nil || old.PrimaryAlias != a.Name {
		return false, err
	}
	return true, s.setPrimary(tx, old.ID, "")
}

func (s *Service) setPrimary(tx Tx, instanceID, name string) error {
	in, err := tx.Instance(instanceID)
	if err != nil {
		return err
	}
	in.PrimaryAlias, in.UpdatedAt = name, s.now()
	return tx.Put(in)
}

// PromoteAlias makes an alias the primary one of its instance.
func (s *Service) PromoteAlias(ctx context.Context, actor Actor, nameOrID string) (*AliasState, error) {
	if err := s.mayChangeAliases(actor); err != nil {
		return nil, err
	}
	found, err := s.findAlias(ctx, actor, nameOrID)
	if err != nil {
		return nil, err
	}
	return s.changeAlias(ctx, func(tx Tx, out *AliasState) (err error) {
		if out.Alias, err = s.aliasFor(tx, actor, found.Name); err != nil {
			return err
		}
		if err := unchanged(ctx, out.Revision); err != nil {
			return err
		}
		hint := "slipway admin alias assign %s INSTANCE True assigns and promotes it at once"
		if out.InstanceID == "" {
			return Errorf(CodeConflict, "alias %q is not assigned to an instance", out.Name).WithHint(hint, out.Name)
		}
		in, err := tx.Instance(out.InstanceID)
		if CodeOf(err) == CodeNotFound || err == nil && !in.Status.Live() {
			return Errorf(CodeConflict, "the instance of alias %q is terminated", out.Name).WithHint(hint, out.Name)
		}
		if err != nil || in.PrimaryAlias == out.Name {
			return err
		}
		out.UpdatedAt = s.now()
		if err := tx.Put(out.Alias); err != nil {
			return err
		}
		s.audit(tx, actor, "alias.promote", "alias/"+out.Name, "of instance "+in.ID+": "+change("primary", in.PrimaryAlias, out.Name))
		return s.setPrimary(tx, in.ID, out.Name)
	})
}

// DeleteAlias deletes an alias.
func (s *Service) DeleteAlias(ctx context.Context, actor Actor, nameOrID string) (revision int64, err error) {
	if err := s.mayChangeAliases(actor); err != nil {
		return 0, err
	}
	found, err := s.findAlias(ctx, actor, nameOrID)
	if err != nil {
		return 0, err
	}
	return s.Store.Update(ctx, func(tx Tx) error {
		a, err := s.aliasFor(tx, actor, found.Name)
		if err != nil {
			return err
		}
		if err := unchanged(ctx, a.Revision); err != nil {
			return err
		}
		if _, err := s.demote(tx, a); err != nil {
			return err
		}
		s.audit(tx, actor, "alias.delete", "alias/"+a.Name, led(a.InstanceID, "", false))
		return tx.Delete(a)
	})
}

// changeAlias runs f in a transaction and completes the state that it leaves.
func (s *Service) changeAlias(ctx context.Context, f func(Tx, *AliasState) error) (out *AliasState, err error) {
	revision, err := s.Store.Update(ctx, func(tx Tx) error {
		out = new(AliasState)
		if err := f(tx, out); err != nil {
			return err
		}
		if out.InstanceID == "" {
			return nil
		}
		in, err := tx.Instance(out.InstanceID)
		if err == nil {
			out.follow(in)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	out.ChangedAt = revision
	return out, nil
}

// aliasFor reads an alias that the actor wants to change, within a transaction.
func (s *Service) aliasFor(tx Tx, actor Actor, name string) (*Alias, error) {
	absent := noSuch(actor, "alias", name)
	a, err := tx.Alias(name)
	if CodeOf(err) == CodeNotFound {
		return nil, absent
	}
	if err != nil {
		return nil, err
	}
	of := &Resource{}
	if a.InstanceID != "" {
		in, err := tx.Instance(a.InstanceID)
		if err == nil {
			of, err = instanceResource(tx, in)
		}
		if err != nil && CodeOf(err) != CodeNotFound {
			return nil, err
		}
	}
	if err := s.allow(actor, SeeAlias, of, absent); err != nil {
		return nil, err
	}
	return a, s.allow(actor, ChangeAlias, of, absent)
}

// mayChangeAliases refuses who changes no alias, whatever there is: aliases are
// the admins', and with user_aliases the owners' for their own instances.
func (s *Service) mayChangeAliases(actor Actor) error {
	return s.allow(actor, ChangeAlias, &Resource{Owner: actor.User}, signIn())
}
