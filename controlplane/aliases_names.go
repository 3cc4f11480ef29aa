package controlplane

import (
	"regexp"
	"slices"
	"strings"
)

// DefaultReservedAliases may not be created, beside the console's label
// (setting reserved_aliases).
var DefaultReservedAliases = []string{"api", "www", "admin", "auth", "login", "instance", "static", "mail"}

var aliasName = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// checkAliasName holds the rules of spec interfaces.md §1.
func (s *Service) checkAliasName(name string) error {
	fault := ""
	switch {
	case name == "":
		fault = "is empty"
	case len(name) > 63:
		fault = "is longer than 63 characters"
	case !aliasName.MatchString(name):
		fault = "holds something else than letters, digits and inner hyphens"
	case len(name) > 3 && name[2:4] == "--":
		fault = "has hyphens at places 3 and 4, which encoded international names begin with"
	case looksLikeID(name):
		fault = "looks like an instance ID"
	case slices.Contains(s.ReservedAliases, name):
		fault = "is reserved"
	default:
		return nil
	}
	return Errorf(CodeInvalid, "alias name %q %s", name, fault).
		WithHint("use one DNS label such as sales or sales-2026: a-z, 0-9 and inner hyphens, up to 63 characters")
}

// looksLikeID: 32 hexadecimal digits, however hyphenated, could be taken for
// an instance ID.
func looksLikeID(s string) bool {
	hex := strings.ReplaceAll(s, "-", "")
	return len(hex) == 32 && strings.Trim(hex, "0123456789abcdef") == ""
}
