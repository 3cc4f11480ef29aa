package controlplane

import (
	"context"
	"slices"
	"strings"
)

// TagKind is what a tag is to people (spec apps.md §5).
type TagKind string

// The kinds. A tag may be a category and an authorization tag at once; one that
// is neither is a badge.
const (
	CategoryTag      TagKind = "category"      // apps are found by it
	AuthorizationTag TagKind = "authorization" // visitors see apps by it
	BadgeTag         TagKind = "badge"         // it tells something of an app
)

// TagKinds says what a tag is, in the order of the kinds: never nothing.
func (s *Service) TagKinds(t *Tag) (kinds []TagKind) {
	if t.IsCategory || len(s.Offers.Categories([]string{t.Name})) > 0 {
		kinds = append(kinds, CategoryTag)
	}
	if len(t.VisitorRoles) > 0 {
		kinds = append(kinds, AuthorizationTag)
	}
	if kinds == nil {
		kinds = append(kinds, BadgeTag)
	}
	return kinds
}

// Categories are those tags of each of the apps that are categories, by their
// record or by the setting category_tags, in the order of the apps and of their
// tags. The tags are read once, whatever the number of apps; of apps without
// tags the store is not asked.
func (s *Service) Categories(ctx context.Context, apps ...*App) ([][]string, error) {
	of := func([]string) []string { return []string{} }
	if slices.ContainsFunc(apps, func(a *App) bool { return len(a.Tags) > 0 }) {
		var err error
		if of, err = s.categories(ctx); err != nil {
			return nil, err
		}
	}
	out := make([][]string, len(apps))
	for i, a := range apps {
		out[i] = of(a.Tags)
	}
	return out, nil
}

// categories reads the tags, and picks from the tags of an app those that are
// categories.
func (s *Service) categories(ctx context.Context) (of func(tags []string) []string, err error) {
	recorded := map[string]bool{}
	err = every(ctx, s.Store.Tags, func(t *Tag) {
		if t.IsCategory {
			recorded[t.Name] = true
		}
	})
	return func(tags []string) []string {
		set, out := s.Offers.Categories(tags), []string{}
		for _, tag := range tags {
			if recorded[tag] || slices.Contains(set, tag) {
				out = append(out, tag)
			}
		}
		return out
	}, err
}

// inCategory picks the apps of a category: one of their tags, or the older
// App.Category. Empty picks all.
func (s *Service) inCategory(ctx context.Context, category string) (func(*App) bool, error) {
	if category == "" {
		return func(*App) bool { return true }, nil
	}
	of, err := s.categories(ctx)
	return func(a *App) bool {
		return strings.EqualFold(a.Manifest.Category, category) || slices.ContainsFunc(of(a.Tags), equalFold(category))
	}, err
}
