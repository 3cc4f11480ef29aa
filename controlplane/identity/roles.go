package identity

import (
	"fmt"
	"strings"
)

// rolesIn looks a claim up in the first of several sets of claims that has it.
func rolesIn(said []map[string]any, claim string) (roles []string, found bool, err error) {
	for _, all := range said {
		value, ok := lookUp(all, claim)
		if !ok {
			continue
		}
		roles, err = rolesOf(value)
		if err != nil {
			return nil, false, fmt.Errorf("the claim %s of the sign-in service %w", claim, err)
		}
		return roles, true, nil
	}
	return nil, false, nil
}

// lookUp finds a claim by a path of names with dots between them. A name may
// hold dots itself: the longest that there is counts.
func lookUp(all map[string]any, path string) (any, bool) {
	if value, ok := all[path]; ok {
		return value, true
	}
	for at := strings.LastIndexByte(path, '.'); at >= 0; at = strings.LastIndexByte(path[:at], '.') {
		if inner, ok := all[path[:at]].(map[string]any); ok {
			if value, ok := lookUp(inner, path[at+1:]); ok {
				return value, true
			}
		}
	}
	return nil, false
}

// rolesOf is a list of texts, or a single one.
func rolesOf(value any) ([]string, error) {
	switch v := value.(type) {
	case nil:
		return []string{}, nil
	case string:
		return []string{v}, nil
	case []any:
		roles := make([]string, 0, len(v))
		for _, item := range v {
			role, ok := item.(string)
			if !ok {
				return nil, fmt.Errorf("holds something else than texts")
			}
			roles = append(roles, role)
		}
		return roles, nil
	}
	return nil, fmt.Errorf("is no list of texts")
}
