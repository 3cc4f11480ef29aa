package routing

import "strings"

// target is a request target in origin form, as received.
type target struct {
	path  string // raw; begins with "/"
	query string // raw, with its "?"; "" if there is none
}

// SplitRest takes what follows the canonical URL of an instance apart, as it
// came in somebody's hands: a path that begins with "/" and stays below the
// instance's prefix, and a query with its "?". See [Table.CanonicalURL].
func SplitRest(in *Instance, rest string) (path, query string, ok bool) {
	t, ok := parseTarget(rest, false)
	if !ok || in.Mode == BaseURL && climbs(t.path) {
		return "", "", false
	}
	return t.path, t.query, true
}

// splitAuthority takes the scheme and the authority off a target in absolute
// form. Such a target's authority is the host, whatever the Host header says.
func splitAuthority(s string) (authority, rest string, absolute bool) {
	rest, absolute = cutScheme(s)
	if !absolute {
		return "", s, false
	}
	end := strings.IndexAny(rest, "/?#")
	if end < 0 {
		end = len(rest)
	}
	return rest[:end], rest[end:], true
}

func cutScheme(s string) (rest string, found bool) {
	for _, scheme := range [...]string{"http://", "https://"} {
		if len(s) >= len(scheme) && equal(s[:len(scheme)], scheme, true) {
			return s[len(scheme):], true
		}
	}
	return s, false
}

// parseTarget checks the target and splits off its query. A path may be empty
// only after an authority, and is "/" then.
func parseTarget(s string, absolute bool) (target, bool) {
	if !validTarget(s) {
		return target{}, false
	}
	path, query := s, ""
	if mark := strings.IndexByte(s, '?'); mark >= 0 {
		path, query = s[:mark], s[mark:]
	}
	switch {
	case path != "":
		return target{path, query}, path[0] == '/'
	case absolute:
		return target{"/", query}, true
	default:
		return target{}, false
	}
}

// validTarget refuses control characters, "#" and percent signs that are not
// followed by two hexadecimal digits. All other bytes pass, as §5 has it.
func validTarget(s string) bool {
	for i := 0; i < len(s); {
		// Most of a target has no mark, and is looked at by the word.
		if i+8 <= len(s) && unmarked(word(s[i:i+8])) {
			i += 8
			continue
		}
		switch targetMarks[s[i]] {
		case targetBad:
			return false
		case targetEscape:
			if i+2 >= len(s) || (hexValue[s[i+1]]|hexValue[s[i+2]])&notHex != 0 {
				return false
			}
			i += 2
		}
		i++
	}
	return true
}

func word(s string) uint64 {
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24 |
		uint64(s[4])<<32 | uint64(s[5])<<40 | uint64(s[6])<<48 | uint64(s[7])<<56
}

// unmarked reports that none of eight bytes has a mark. It may say no of bytes
// from 0x80 on. A byte less than n gets its top bit by taking n off, and a byte
// that is c by taking 1 off its exclusive or with c.
func unmarked(w uint64) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	return (w|(w-ones*0x20)|(w^ones*'#'-ones)|(w^ones*'%'-ones)|(w^ones*0x7f-ones))&tops == 0
}

const (
	targetBad    = 1 + iota // not in a target
	targetEscape            // begins an escape
)

var targetMarks = func() (marks [256]byte) {
	for c := range 0x20 {
		marks[c] = targetBad
	}
	marks[0x7f], marks['#'], marks['%'] = targetBad, targetBad, targetEscape
	return marks
}()

// prefix is the "/instance/<ID>" that a raw path begins with, if it does.
type prefix struct {
	id    ID
	found bool
	upper bool   // the ID is not in its canonical spelling
	rest  string // the path after it; the whole path if there is none
}

// cutInstance finds "/instance/<ID>" where it is followed by "/" or the end.
func cutInstance(path string) prefix {
	const end = len(instancePrefix) + idLen
	if len(path) < end || path[:len(instancePrefix)] != instancePrefix ||
		len(path) > end && path[end] != '/' {
		return prefix{rest: path}
	}
	id, upper, ok := parseID(path[len(instancePrefix):end])
	if !ok {
		return prefix{rest: path}
	}
	return prefix{id: id, found: true, upper: upper, rest: path[end:]}
}

// climbs reports whether a valid raw path holds a segment that decodes to
// "..", where "%2f" separates segments as "/" does. Decoding is done once: in
// "%252e" there is no dot.
func climbs(path string) bool {
	const other = -1 // the segment holds something else than dots
	dots := 0
	for i := 0; i < len(path); i++ {
		c := path[i]
		if c == '%' {
			c = hexValue[path[i+1]]<<4 | hexValue[path[i+2]]&0xf
			i += 2
		}
		switch {
		case c == '/':
			if dots == 2 {
				return true
			}
			dots = 0
		case c == '.' && dots != other:
			dots++
		default:
			dots = other
		}
	}
	return dots == 2
}
