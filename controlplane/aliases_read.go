package controlplane

import (
	"context"
	"strings"
)

// AliasState is an alias and what follows from the instance that it names.
type AliasState struct {
	*Alias
	Primary bool // the instance names it as its primary alias
	Active  bool // it leads to a live instance
	// Warnings tell what a change did beside what was asked for.
	Warnings []string
	// ChangedAt is the store revision of the change, or one at which everything
	// was already as asked for.
	ChangedAt int64
}

// follow fills in what the instance of an alias says of it.
func (a *AliasState) follow(in *Instance) {
	a.Active = in.Status.Live()
	a.Primary = a.Active && in.PrimaryAlias == a.Name
}

// Alias finds an alias by name or ID.
func (s *Service) Alias(ctx context.Context, actor Actor, nameOrID string) (*AliasState, error) {
	a, err := s.findAlias(ctx, actor, nameOrID)
	if err != nil {
		return nil, err
	}
	return s.aliasState(ctx, a)
}

func (s *Service) findAlias(ctx context.Context, actor Actor, nameOrID string) (*Alias, error) {
	v, err := s.viewer(ctx, actor)
	if err != nil {
		return nil, err
	}
	nameOrID = strings.ToLower(nameOrID)
	return seen(func() (*Alias, error) { return s.Store.Alias(ctx, nameOrID) }, v.alias, noSuch(actor, "alias", nameOrID))
}

// Aliases lists the aliases that the actor may see.
func (s *Service) Aliases(ctx context.Context, actor Actor, p Page) (out List[*AliasState], err error) {
	if err := s.mayList(actor, SeeAlias); err != nil {
		return out, err
	}
	v, err := s.viewer(ctx, actor)
	if err != nil {
		return out, err
	}
	page, err := visible(ctx, kind[*Alias]{list: s.Store.Aliases, id: func(a *Alias) string { return a.Name }, may: v.alias}, p)
	if err != nil {
		return out, err
	}
	out.NextAfter, out.Revision = page.NextAfter, page.Revision
	out.Items = make([]*AliasState, len(page.Items))
	for i, a := range page.Items {
		if out.Items[i], err = s.aliasState(ctx, a); err != nil {
			return out, err
		}
	}
	return out, nil
}

func (s *Service) aliasState(ctx context.Context, a *Alias) (*AliasState, error) {
	state := &AliasState{Alias: a}
	if a.InstanceID == "" {
		return state, nil
	}
	in, err := s.Store.Instance(ctx, a.InstanceID)
	if CodeOf(err) == CodeNotFound {
		return state, nil
	}
	if err != nil {
		return nil, err
	}
	state.follow(in)
	return state, nil
}
