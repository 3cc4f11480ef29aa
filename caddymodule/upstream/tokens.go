package upstream

import "strings"

// tokenMark begins every credential that Slipway issues (spec interfaces.md §4),
// and tokenSize is how many characters at least come after it: those of a
// personal token, which are the fewest.
const (
	tokenMark = "slw_"
	tokenSize = 52
)

// holdsToken reports whether a value holds what begins like one of Slipway's
// credentials and has so many more characters at least, in whatever it stands:
// quotes, a list, name=value. It does not allocate.
func holdsToken(value string, size int) bool {
	for {
		at := strings.Index(value, tokenMark)
		if at < 0 {
			return false
		}
		begins := beginsWord(value[:at])
		value = value[at+len(tokenMark):]
		n := 0
		for n < len(value) && isTokenByte(value[n]) {
			n++
		}
		if begins && n >= size {
			return true
		}
	}
}

// beginsWord reports whether a word begins after before: at its end is no letter,
// digit or underscore of ASCII, unless an escape such as %22 ends there.
func beginsWord(before string) bool {
	n := len(before)
	return n == 0 || !isWordByte(before[n-1]) || n >= 3 && before[n-3] == '%' && isHex(before[n-2]) && isHex(before[n-1])
}

func isWordByte(c byte) bool {
	return c == '_' || '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}

func isTokenByte(c byte) bool { return isWordByte(c) || c == '-' || c == '.' }

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'F' || 'a' <= c && c <= 'f'
}

// without returns a list without the items that are ours: as it is, if it holds
// none, and "" if it holds nothing else.
func without(list, separator string, ours func(item string) bool) string {
	found := false
	for item := range strings.SplitSeq(list, separator) {
		found = found || ours(strings.Trim(item, " \t"))
	}
	if !found {
		return list
	}
	var kept []string
	for item := range strings.SplitSeq(list, separator) {
		if item = strings.Trim(item, " \t"); item != "" && !ours(item) {
			kept = append(kept, item)
		}
	}
	return strings.Join(kept, separator+" ")
}

func isOurItem(item string) bool { return holdsToken(item, tokenSize) }

func isOurCookieOrToken(cookie string) bool { return isOurCookie(cookie) || isOurItem(cookie) }
