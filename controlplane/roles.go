package controlplane

import (
	"cmp"
	"context"
	"slices"
)

// The most that a provider says of who signs in, and what is above of roles
// counts as not given.
const (
	maxSubject   = 1 << 10 // bytes of sub, and of iss
	maxUserRoles = 1000
	maxUserRole  = 256 // bytes
)

// cutRoles returns an identity with its roles sorted, and with no more of them
// than a user may have: those of the settings stay, before all others those
// that a tag names.
func (s *Service) cutRoles(ctx context.Context, who *Identity) (*Identity, error) {
	if who.Roles == nil {
		return who, nil
	}
	out := *who
	out.Roles = slices.DeleteFunc(slices.Clone(who.Roles), func(r string) bool { return r == "" || len(r) > maxUserRole })
	slices.Sort(out.Roles)
	out.Roles = slices.Compact(out.Roles)
	if len(out.Roles) <= maxUserRoles {
		return &out, nil
	}
	const setting, tagged, other = 0, 1, 2
	rank := map[string]int{}
	err := every(ctx, s.Store.Tags, func(t *Tag) {
		for _, role := range slices.Concat(t.VisitorRoles, t.AdminRoles) {
			rank[role] = tagged
		}
	})
	if err != nil {
		return nil, err
	}
	rank[s.Rights.AdminRole], rank[s.Rights.FullRole] = setting, setting
	of := func(role string) int {
		if r, named := rank[role]; named {
			return r
		}
		return other
	}
	slices.SortStableFunc(out.Roles, func(a, b string) int { return cmp.Compare(of(a), of(b)) })
	out.Roles = out.Roles[:maxUserRoles]
	slices.Sort(out.Roles)
	return &out, nil
}
