package diagnose

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The longest texts, in bytes.
const (
	maxReason = 480
	maxQuote  = 160 // of what others have written, within a reason
)

// clean makes one printable line of at most limit bytes of what anybody may
// have written.
func clean(s string, limit int) string {
	if len(s) > 8*limit {
		s = s[:8*limit]
	}
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, ""), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	if len(s) <= limit {
		return s
	}
	const more = "…"
	cut := limit - len(more)
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return strings.TrimSpace(s[:cut]) + more
}

// quote is what others have written, as part of a sentence.
func quote(s string) string { return clean(s, maxQuote) }

// between is what stands after the first and before the next; empty where they
// do not both occur.
func between(s, after, before string) string {
	_, s, found := strings.Cut(s, after)
	if !found {
		return ""
	}
	s, _, found = strings.Cut(s, before)
	if !found {
		return ""
	}
	return quote(s)
}

// has reports whether one of the texts occurs, in whatever case.
func has(s string, texts ...string) bool {
	s = strings.ToLower(s)
	for _, text := range texts {
		if strings.Contains(s, strings.ToLower(text)) {
			return true
		}
	}
	return false
}
