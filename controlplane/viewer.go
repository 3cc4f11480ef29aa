package controlplane

import (
	"context"
	"strings"
)

// viewer says what an actor may see. What that depends on besides the record
// itself is read before any record is: so what is hidden costs as many reads as
// what is not there.
type viewer struct {
	service *Service
	actor   Actor
	owned   Owned
	roles   map[string][]string // of a visitor: the visitor roles of each tag
}

func (s *Service) viewer(ctx context.Context, actor Actor) (v *viewer, err error) {
	return s.viewerAt(ctx, actor, 0)
}

// viewerAt is a viewer of a list at this revision, 0 is now. Whose something is
// never changes, so what the actor owned then is theirs now, if it is there; all
// else is as it is now.
func (s *Service) viewerAt(ctx context.Context, actor Actor, revision int64) (v *viewer, err error) {
	v = &viewer{service: s, actor: actor}
	if actor.User == "" || actor.Admin {
		return v, nil
	}
	if v.owned, err = s.Store.Owned(ctx, actor.User, revision); err != nil {
		return v, err
	}
	err = v.readRoles(ctx)
	return v, err
}

// appViewer is a viewer of apps alone, whose records say whose they are: what
// the actor owns is not read.
func (s *Service) appViewer(ctx context.Context, actor Actor) (v *viewer, err error) {
	v = &viewer{service: s, actor: actor}
	if actor.User == "" || actor.Admin {
		return v, nil
	}
	err = v.readRoles(ctx)
	return v, err
}

func (v *viewer) readRoles(ctx context.Context) error {
	if v.actor.Full {
		return nil
	}
	s := v.service
	v.roles = map[string][]string{}
	return every(ctx, s.Store.Tags, func(t *Tag) { v.roles[t.Name] = t.VisitorRoles })
}

func (v *viewer) app(a *App) error {
	var roles []string
	for _, tag := range a.Tags {
		roles = append(roles, v.roles[tag]...)
	}
	return v.see(SeeApp, ResourceOfApp(a, roles), "app", a.ID)
}

func (v *viewer) instance(in *Instance) error {
	return v.see(SeeInstance, v.resource(in), "instance", in.ID)
}

func (v *viewer) resource(in *Instance) *Resource {
	of := ResourceOfInstance(in, nil, nil)
	if v.owned.Apps[in.AppID] {
		of.AppOwner = v.actor.User
	}
	return of
}

// told is an instance as it is told to the actor: the details of why it failed
// are for who may read its logs, which say the same.
func (v *viewer) told(in *Instance) *Instance {
	if in.Reason == nil || v.service.Access.Decide(&v.actor, ReadLogs, v.resource(in)) == Allowed {
		return in
	}
	out, why := *in, in.Reason.ForOthers()
	out.Reason = &why
	return &out
}

// see is Service.allow, which words what is refused only where it is: lists ask
// of thousands.
func (v *viewer) see(do Action, of *Resource, kind, id string) error {
	if v.service.Access.Decide(&v.actor, do, of) == Allowed {
		return nil
	}
	return v.service.allow(v.actor, do, of, noSuch(v.actor, kind, id))
}

// alias is seen by who owns the instance that it leads to.
func (v *viewer) alias(a *Alias) error {
	of := &Resource{}
	if v.owned.Instances[a.InstanceID] {
		of.Owner = v.actor.User
	}
	return v.service.allow(v.actor, SeeAlias, of, noSuch(v.actor, "alias", a.Name))
}

// seen is what is not, or not to this actor, to be told from what is not there.
func seen[T any](get func() (T, error), may func(T) error, absent error) (found T, err error) {
	found, err = get()
	if CodeOf(err) == CodeNotFound {
		return found, absent
	}
	if err == nil {
		err = may(found)
	}
	if CodeOf(err) == CodeNotFound {
		err = absent
	}
	return found, err
}

// kind is how one kind of record is found and listed.
type kind[T any] struct {
	name string
	get  func(context.Context, string) (T, error)
	list func(context.Context, Page) (List[T], error)
	id   func(T) string
	may  func(T) error
	// ahead reads what may asks of these; nil: nothing.
	ahead func([]T) error
}

func (v *viewer) apps() kind[*App] {
	return kind[*App]{name: "app", get: v.service.Store.App, list: v.service.Store.Apps, id: func(a *App) string { return a.ID }, may: v.app}
}

func (v *viewer) instances() kind[*Instance] {
	return kind[*Instance]{name: "instance", get: v.service.Store.Instance, list: v.service.Store.Instances, id: func(in *Instance) string { return in.ID }, may: v.instance}
}

// minIDPrefix is how much of an ID people must type.
const minIDPrefix = 6

// find finds what has this ID, or begins with it as nothing else does that the
// actor may see.
func find[T any](ctx context.Context, actor Actor, of kind[T], id string) (none T, err error) {
	id = strings.ToLower(id)
	absent := noSuch(actor, of.name, id)
	if len(id) == 36 {
		return seen(func() (T, error) { return of.get(ctx, id) }, of.may, absent)
	}
	if len(id) < minIDPrefix || len(id) > 36 || strings.Trim(id, "0123456789abcdef-") != "" {
		if actor.Anonymous() {
			return none, absent
		}
		return none, Errorf(CodeNotFound, "no %s %q", of.name, id).
			WithHint("give its ID, or at least the first %d characters of it; slipway %s list shows them", minIDPrefix, of.name)
	}
	found, err := visible(ctx, of, Page{Prefix: id, Limit: 5})
	switch {
	case err != nil:
		return none, err
	case len(found.Items) == 0:
		return none, absent
	case len(found.Items) == 1:
		return found.Items[0], nil
	}
	candidates := make([]string, len(found.Items))
	for i, item := range found.Items {
		candidates[i] = of.id(item)
	}
	return none, Errorf(CodeInvalid, "%q begins the IDs of several %ss: %s", id, of.name, strings.Join(candidates, ", ")).
		WithHint("give more of the ID")
}

// maxScan bounds how many records one page of a list looks at.
const maxScan = 10_000

// visible is a page of those that the actor may see: full, unless the list ends
// or maxScan records were looked at. Then it may be short, and goes on after.
func visible[T any](ctx context.Context, of kind[T], p Page) (out List[T], err error) {
	limit := p.Limit
	if limit <= 0 {
		limit = 100
	}
	limit = min(limit, 1000)
	out = List[T]{Items: []T{}, Revision: p.Revision}
	next, last := p, p.After
	for scanned := 0; ; {
		// Of what is hidden there may be as much again; to know whether the list
		// goes on takes little.
		next.Limit = min(1100, max(100, 2*(limit-len(out.Items))))
		page, err := of.list(ctx, next)
		if err != nil {
			return out, err
		}
		out.Revision = page.Revision
		if of.ahead != nil {
			if err := of.ahead(page.Items); err != nil {
				return out, err
			}
		}
		for _, item := range page.Items {
			err := of.may(item)
			switch {
			case err == nil && len(out.Items) == limit:
				out.NextAfter = of.id(out.Items[limit-1])
				return out, nil
			case err == nil:
				out.Items = append(out.Items, item)
			case CodeOf(err) != CodeNotFound && CodeOf(err) != CodeUnauthorized:
				return out, err
			}
			if scanned++; scanned == maxScan {
				switch {
				case len(out.Items) == limit:
					out.NextAfter = of.id(out.Items[limit-1])
				case err == nil:
					out.NextAfter = of.id(item)
				default:
					out.NextAfter = between(last, of.id(item))
				}
				return out, nil
			}
			last = of.id(item)
		}
		if page.NextAfter == "" {
			return out, nil
		}
		next.After, next.Revision = page.NextAfter, page.Revision
	}
}

// between is as little of a key as is needed to go on after the one before it:
// a cursor must not tell what its reader may not know. The key itself is looked
// at again.
func between(before, key string) string {
	for n := range len(key) {
		if key[:n] > before {
			return key[:n]
		}
	}
	return before
}

// mayList refuses who sees nothing of the kind, whatever there is: who is not
// signed in, mostly.
func (s *Service) mayList(actor Actor, see Action) error {
	return s.allow(actor, see, &Resource{Owner: actor.User, Visibility: Public}, signIn())
}

// every calls f with every record of a list, at one revision.
func every[T any](ctx context.Context, list func(context.Context, Page) (List[T], error), f func(T)) error {
	for p := (Page{Limit: 1000}); ; {
		page, err := list(ctx, p)
		if err != nil {
			return err
		}
		for _, item := range page.Items {
			f(item)
		}
		if page.NextAfter == "" {
			return nil
		}
		p.After, p.Revision = page.NextAfter, page.Revision
	}
}
