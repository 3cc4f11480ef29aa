package bundle

import (
	"regexp"
	"slices"
	"strings"
)

// markerVariables are those of PEP 508, with the older spellings that pip
// still reads.
var markerVariables = []string{
	"python_version", "python_full_version", "os_name", "sys_platform", "platform_release", "platform_system",
	"platform_version", "platform_machine", "platform_python_implementation", "implementation_name",
	"implementation_version", "extra", "os.name", "sys.platform", "platform.version", "platform.machine",
	"platform.python_implementation", "python_implementation",
}

var markerToken = regexp.MustCompile(`^(?:"[^"\\]*"|'[^'\\]*'|===|==|~=|!=|<=|>=|<|>|\(|\)|[A-Za-z][A-Za-z0-9_.]*)`)

const maxMarkerTokens = 200

// validMarker reports whether s is an environment marker of PEP 508:
// comparisons joined by and, or and parentheses.
func validMarker(s string) bool {
	var tokens []string
	for s = strings.TrimLeft(s, " \t"); s != ""; s = strings.TrimLeft(s, " \t") {
		t := markerToken.FindString(s)
		if t == "" || len(tokens) >= maxMarkerTokens {
			return false
		}
		tokens, s = append(tokens, t), s[len(t):]
	}
	rest, ok := markerOr(tokens)
	return ok && len(rest) == 0
}

// markerOr reads comparisons joined by "and" and "or". Which binds tighter is
// of no matter for whether it is a marker.
func markerOr(t []string) ([]string, bool) {
	for {
		ok := false
		if len(t) > 0 && t[0] == "(" {
			if t, ok = markerOr(t[1:]); !ok || len(t) == 0 || t[0] != ")" {
				return nil, false
			}
			t = t[1:]
		} else if t, ok = comparison(t); !ok {
			return nil, false
		}
		if len(t) == 0 || t[0] != "and" && t[0] != "or" {
			return t, true
		}
		t = t[1:]
	}
}

func comparison(t []string) ([]string, bool) {
	if len(t) < 3 || !operand(t[0]) {
		return nil, false
	}
	op := 1
	switch {
	case strings.ContainsAny(t[1][:1], "<>=!~"), t[1] == "in":
	case t[1] == "not" && t[2] == "in":
		op = 2
	default:
		return nil, false
	}
	if len(t) < op+2 || !operand(t[op+1]) {
		return nil, false
	}
	return t[op+2:], true
}

func operand(t string) bool {
	return t[0] == '"' || t[0] == '\'' || slices.Contains(markerVariables, t)
}
