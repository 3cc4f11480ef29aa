package controlplane

import (
	"context"
	"slices"
	"strings"
)

// AppFilter picks apps; what is empty picks all. Texts are compared without
// regard to case.
type AppFilter struct {
	Name       string
	Owner      string
	Tag        string
	Category   string // a tag that is one, or the older App.Category
	Visibility Visibility
	Search     string // words, each in name, title, description, keywords or a tag
	Runnable   *bool
	Mine       bool // the actor's own
}

// InstanceFilter picks instances likewise.
type InstanceFilter struct {
	App        string // its ID or the beginning of that, or its name
	Owner      string
	Status     Status
	Visibility Visibility
	Mine       bool
}

// Apps lists the apps that the actor may see.
func (s *Service) Apps(ctx context.Context, actor Actor, p Page) (List[*App], error) {
	return s.FindApps(ctx, actor, AppFilter{}, p)
}

// FindApps lists those apps of them that the filter picks.
func (s *Service) FindApps(ctx context.Context, actor Actor, f AppFilter, p Page) (out List[*App], err error) {
	if err := s.mayList(actor, SeeApp); err != nil {
		return out, err
	}
	if f.Visibility != "" && !f.Visibility.Valid() {
		return out, invalidVisibility(f.Visibility)
	}
	v, err := s.appViewer(ctx, actor)
	if err != nil {
		return out, err
	}
	in, err := s.inCategory(ctx, f.Category)
	if err != nil {
		return out, err
	}
	words := strings.Fields(strings.ToLower(f.Search))
	apps := v.apps().only(func(a *App) (bool, error) { return in(a) && s.picks(actor, f, words, a), nil })
	if f.Runnable != nil {
		apps = s.onlyRunnable(ctx, *f.Runnable, apps)
	}
	return visible(ctx, apps, p)
}

// onlyRunnable are those of them that can be run now, or cannot. What says so is
// read once for each page.
func (s *Service) onlyRunnable(ctx context.Context, want bool, of kind[*App]) kind[*App] {
	var can map[string]bool
	picked := of.may
	of = of.only(func(a *App) (bool, error) { return can[a.ID] == want, nil })
	of.ahead = func(page []*App) error {
		page = slices.DeleteFunc(slices.Clone(page), func(a *App) bool { return picked(a) != nil })
		reasons, err := s.Reasons(ctx, page...)
		if err != nil {
			return err
		}
		can = make(map[string]bool, len(page))
		for i, a := range page {
			can[a.ID] = a.Lifecycle != Link && len(reasons[i]) == 0
		}
		return nil
	}
	return of
}

func (s *Service) picks(actor Actor, f AppFilter, words []string, a *App) bool {
	switch {
	case f.Name != "" && !strings.EqualFold(f.Name, a.Name),
		f.Owner != "" && !strings.EqualFold(f.Owner, a.Owner),
		f.Mine && a.Owner != actor.User,
		f.Visibility != "" && a.Visibility != f.Visibility,
		f.Tag != "" && !slices.ContainsFunc(a.Tags, equalFold(f.Tag)),
		!a.says(words):
		return false
	}
	return true
}

func equalFold(s string) func(string) bool {
	return func(t string) bool { return strings.EqualFold(s, t) }
}

// says reports whether each of these words, in lower case, is somewhere in what
// people read of the app.
func (a *App) says(words []string) bool {
	if len(words) == 0 {
		return true
	}
	texts := append([]string{a.Name, a.Title, a.Description}, a.Manifest.Keywords...)
	text := strings.ToLower(strings.Join(append(texts, a.Tags...), "\n"))
	return !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(text, word) })
}

// Instances lists the instances whose metadata the actor may see.
func (s *Service) Instances(ctx context.Context, actor Actor, p Page) (List[*Instance], error) {
	return s.FindInstances(ctx, actor, InstanceFilter{}, p)
}

// FindInstances lists those instances of them that the filter picks. Why one
// failed is told as by Instance.
func (s *Service) FindInstances(ctx context.Context, actor Actor, f InstanceFilter, p Page) (out List[*Instance], err error) {
	if err := s.mayList(actor, SeeInstance); err != nil {
		return out, err
	}
	if f.Visibility != "" && !f.Visibility.Valid() {
		return out, invalidVisibility(f.Visibility)
	}
	if f.Status != "" && !slices.Contains(Statuses, f.Status) {
		return out, Errorf(CodeInvalid, "there is no status %q", f.Status).WithHint("one of %s", allStatuses())
	}
	v, err := s.viewerAt(ctx, actor, p.Revision)
	if err != nil {
		return out, err
	}
	p.Revision = max(p.Revision, v.owned.Revision) // both of one revision
	out, err = visible(ctx, v.instances().only(func(in *Instance) (bool, error) { return f.picks(actor, in), nil }), p)
	for i, found := range out.Items {
		out.Items[i] = v.told(found)
	}
	return out, err
}

func allStatuses() string {
	words := make([]string, len(Statuses))
	for i, status := range Statuses {
		words[i] = string(status)
	}
	return strings.Join(words, ", ")
}

func (f InstanceFilter) picks(actor Actor, in *Instance) bool {
	return (f.App == "" || len(f.App) >= minIDPrefix && strings.HasPrefix(in.AppID, strings.ToLower(f.App)) || strings.EqualFold(in.AppName, f.App)) &&
		(f.Owner == "" || strings.EqualFold(in.Owner, f.Owner)) &&
		(!f.Mine || in.Owner == actor.User) &&
		(f.Status == "" || in.Status == f.Status) &&
		(f.Visibility == "" || in.Visibility == f.Visibility)
}

// notPicked is of what a list leaves out. Nobody reads it.
var notPicked = Errorf(CodeNotFound, "not asked for")

// only are those of a kind that are picked, too. An error ends the list.
func (k kind[T]) only(picked func(T) (bool, error)) kind[T] {
	may := k.may
	k.may = func(item T) error {
		if err := may(item); err != nil {
			return err
		}
		ok, err := picked(item)
		if err == nil && !ok {
			err = notPicked
		}
		return err
	}
	return k
}
