package controlplane

import "slices"

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
