package controlplane

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// VisitorRoles are the roles that make a visitor see an app: those of its tags,
// sorted. A tag that there is no record of has none.
func VisitorRoles(tx Tx, a *App) ([]string, error) {
	var roles []string
	for _, name := range a.Tags {
		tag, err := tx.Tag(name)
		switch {
		case CodeOf(err) == CodeNotFound:
		case err != nil:
			return nil, err
		default:
			roles = append(roles, tag.VisitorRoles...)
		}
	}
	slices.Sort(roles)
	return slices.Compact(roles), nil
}

// maxTags is how many tags an app has at most, and maxRoles a tag roles of
// either kind.
const (
	maxTags  = 20
	maxRoles = 50
)

// setTags gives an app the tags that a change asks for. Each that comes or goes
// needs the right to assign it. Who may update the app needs no more; others
// need one of the tag's own admin roles: a tag that everybody assigns would
// else show anybody's app to its visitors.
func (s *Service) setTags(tx Tx, actor Actor, app *App, c AppChange) (detail string, err error) {
	if c.Tags == nil {
		return "", nil
	}
	want := append([]string{}, *c.Tags...)
	slices.Sort(want)
	want = slices.Compact(want)
	if len(want) > maxTags {
		return "", Errorf(CodeInvalid, "%d tags are more than an app may have: %d", len(want), maxTags)
	}
	roles, err := VisitorRoles(tx, app)
	if err != nil {
		return "", err
	}
	theirs := s.allow(actor, UpdateApp, ResourceOfApp(app, roles), noSuch(actor, "app", app.ID))
	var moved []string
	for _, name := range slices.Compact(slices.Sorted(slices.Values(slices.Concat(want, app.Tags)))) {
		had, has := slices.Contains(app.Tags, name), slices.Contains(want, name)
		if had == has {
			continue
		}
		tag, err := findTag(tx, actor, name)
		switch {
		case err == nil:
			if err = s.allow(actor, AssignTag, tagResource(tag), noSuch(actor, "tag", name)); err == nil && len(tag.AdminRoles) == 0 {
				err = theirs
			}
		case CodeOf(err) != CodeNotFound:
		case has:
			err = Errorf(CodeUnprocessable, "no tag %q", name).WithHint("slipway tag list shows the tags; admins create them")
		default:
			err = theirs
		}
		if err != nil {
			return "", err
		}
		if has {
			moved = append(moved, "+"+name)
		} else {
			moved = append(moved, "-"+name)
		}
	}
	if len(moved) == 0 {
		return "", theirs
	}
	app.Tags = want
	return "tags " + strings.Join(moved, " "), nil
}

// manifestTags gives a new app those tags of its manifest that exist and that
// its importer may assign, and warns of the others.
func (s *Service) manifestTags(tx Tx, actor Actor, app *App) (warnings []Fault, err error) {
	app.Tags = []string{}
	for _, name := range slices.Compact(slices.Sorted(slices.Values(app.Manifest.Tags))) {
		fault := Fault{Code: "tag", Where: "app.toml", Field: "App.Tags", Value: name}
		var tag *Tag
		if tagName.MatchString(name) {
			tag, err = tx.Tag(name)
		} else {
			err = noSuch(actor, "tag", name)
		}
		switch {
		case CodeOf(err) == CodeNotFound:
			fault.Message, fault.Hint = "there is no such tag: the app does not get it", "admins create tags"
		case err != nil:
			return nil, err
		case s.allow(actor, AssignTag, tagResource(tag), noSuch(actor, "tag", name)) != nil:
			fault.Message, fault.Hint = "you may not assign this tag: the app does not get it", "who has one of the tag's admin roles can"
		case len(app.Tags) == maxTags:
			fault.Message = fmt.Sprintf("an app has at most %d tags: it does not get this one", maxTags)
		default:
			app.Tags = append(app.Tags, name)
			continue
		}
		warnings = append(warnings, fault)
	}
	return warnings, nil
}

func tagResource(t *Tag) *Resource { return &Resource{AdminRoles: t.AdminRoles} }

// TagChange is what of a tag is to be changed; nil is to stay.
type TagChange struct {
	Title, Description, Color *string
	IsCategory                *bool
	VisitorRoles, AdminRoles  *[]string
}

// Tag finds a tag.
func (s *Service) Tag(ctx context.Context, actor Actor, name string) (tag *Tag, err error) {
	if err := s.Allow(actor, SeeTags); err != nil {
		return nil, err
	}
	_, err = s.Store.Update(ctx, func(tx Tx) error {
		tag, err = findTag(tx, actor, name)
		return err
	})
	return tag, err
}

func findTag(tx Tx, actor Actor, name string) (*Tag, error) {
	if !tagName.MatchString(name) {
		return nil, noSuch(actor, "tag", name)
	}
	tag, err := tx.Tag(name)
	if CodeOf(err) == CodeNotFound {
		err = noSuch(actor, "tag", name)
	}
	return tag, err
}

// Tags lists the tags.
func (s *Service) Tags(ctx context.Context, actor Actor, p Page) (out List[*Tag], err error) {
	if err := s.Allow(actor, SeeTags); err != nil {
		return out, err
	}
	return s.Store.Tags(ctx, p)
}

var (
	tagName  = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$`)
	tagColor = regexp.MustCompile(`^(#[0-9A-Fa-f]{6})?$`)
)

// CreateTag creates a tag.
func (s *Service) CreateTag(ctx context.Context, actor Actor, name string, c TagChange) (*Tag, error) {
	if err := s.Allow(actor, ManageTags); err != nil {
		return nil, err
	}
	if !tagName.MatchString(name) {
		return nil, Errorf(CodeInvalid, "tag name %q holds something else than letters, digits and inner dots, hyphens and underscores, or more than 63", name)
	}
	// An app that kept the name of a deleted tag must not get the new one's roles.
	if err := s.MendTags(ctx); err != nil {
		return nil, err
	}
	var tag *Tag
	_, err := s.Store.Update(ctx, func(tx Tx) error {
		switch _, err := tx.Tag(name); {
		case err == nil:
			return Errorf(CodeConflict, "tag %q exists already", name).WithHint("slipway tag update %s changes it", name)
		case CodeOf(err) != CodeNotFound:
			return err
		}
		now := s.now()
		tag = &Tag{Name: name, CreatedAt: now, UpdatedAt: now}
		changed, err := tag.change(c)
		if err != nil {
			return err
		}
		s.audit(tx, actor, "tag.create", "tag/"+name, details(changed...))
		return tx.Put(tag)
	})
	return tag, err
}

// UpdateTag changes a tag. At the revision edges are told of its visitor roles
// for all apps that have it.
func (s *Service) UpdateTag(ctx context.Context, actor Actor, name string, c TagChange) (tag *Tag, revision int64, err error) {
	if tag, err = s.Tag(ctx, actor, name); err != nil {
		return nil, 0, err
	}
	may := func() error {
		if err := s.allow(actor, AssignTag, tagResource(tag), noSuch(actor, "tag", name)); err != nil || c.AdminRoles == nil {
			return err
		}
		return s.Allow(actor, ManageTags) // else a tag of everybody's were its first taker's
	}
	if err := may(); err != nil {
		return nil, 0, err
	}
	revision, err = s.changeTag(ctx, name, c.VisitorRoles != nil, func(tx Tx) (changed bool, err error) {
		if tag, err = findTag(tx, actor, name); err != nil {
			return false, err
		}
		if err := may(); err != nil {
			return false, err
		}
		if err := unchanged(ctx, tag.Revision); err != nil {
			return false, err
		}
		what, err := tag.change(c)
		if err != nil || len(what) == 0 {
			return false, err
		}
		tag.UpdatedAt = s.now()
		s.audit(tx, actor, "tag.update", "tag/"+name, details(what...))
		return true, tx.Put(tag)
	})
	return tag, revision, err
}

// DeleteTag deletes a tag, and takes it from the apps that have it.
func (s *Service) DeleteTag(ctx context.Context, actor Actor, name string) (revision int64, err error) {
	if err := s.Allow(actor, ManageTags); err != nil {
		return 0, err
	}
	return s.changeTag(ctx, name, true, func(tx Tx) (changed bool, err error) {
		tag, err := findTag(tx, actor, name)
		if err != nil {
			return false, err
		}
		if err := unchanged(ctx, tag.Revision); err != nil {
			return false, err
		}
		s.audit(tx, actor, "tag.delete", "tag/"+name, "")
		return true, tx.Delete(tag)
	})
}

// change takes over what is to be changed and tells it.
func (t *Tag) change(c TagChange) (what []string, err error) {
	for _, f := range []struct {
		name string
		into *string
		to   *string
	}{{"title", &t.Title, c.Title}, {"description", &t.Description, c.Description}, {"color", &t.Color, c.Color}} {
		if f.to != nil && *f.to != *f.into {
			what = append(what, change(f.name, *f.into, *f.to))
			*f.into = *f.to
		}
	}
	if !tagColor.MatchString(t.Color) {
		return nil, Errorf(CodeInvalid, "color %q is not one such as #1f77b4", t.Color)
	}
	if !isLine(t.Title, 100) {
		return nil, Errorf(CodeInvalid, "a tag's title is one line of at most 100 bytes")
	}
	if !isLine(t.Description, 300) {
		return nil, Errorf(CodeInvalid, "a tag's description is one line of at most 300 bytes")
	}
	if c.IsCategory != nil && *c.IsCategory != t.IsCategory {
		what = append(what, map[bool]string{true: "category no → yes", false: "category yes → no"}[*c.IsCategory])
		t.IsCategory = *c.IsCategory
	}
	for _, f := range []struct {
		name string
		into *[]string
		to   *[]string
	}{{"visitor roles", &t.VisitorRoles, c.VisitorRoles}, {"admin roles", &t.AdminRoles, c.AdminRoles}} {
		if f.to == nil {
			continue
		}
		roles := slices.Compact(slices.Sorted(slices.Values(*f.to)))
		if len(roles) > maxRoles || slices.ContainsFunc(roles, func(r string) bool { return r == "" || !isLine(r, 100) }) {
			return nil, Errorf(CodeInvalid, "%s are at most %d, each one line of at most 100 bytes", f.name, maxRoles)
		}
		if !slices.Equal(roles, *f.into) {
			what = append(what, change(f.name, strings.Join(*f.into, ", "), strings.Join(roles, ", ")))
			*f.into = roles
		}
	}
	return what, nil
}

// isLine reports whether s is text without control characters.
func isLine(s string, limit int) bool {
	return len(s) <= limit && utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl)
}
