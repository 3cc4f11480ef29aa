package console

import (
	"fmt"
	"net/url"
	"strings"
)

// maxNext is the length of the longest way back that survives a sign-in, in
// bytes: a URL of 10 KB whose every character is escaped grows to 17 KB in it.
// A request has 32 KiB of target and 64 KiB of head at most (spec routing.md §7).
const maxNext = 20 << 10

// escaped is a query of one value that is likely to be long. It escapes no more
// than it must, since what it escapes may be escaped again.
func escaped(name, value, more string) string {
	var out strings.Builder
	out.WriteString(name + "=")
	for _, c := range []byte(value) {
		if c <= ' ' || c >= 0x7f || strings.IndexByte("%&+#;\"'<>\\^`{|}", c) >= 0 {
			fmt.Fprintf(&out, "%%%02X", c)
		} else {
			out.WriteByte(c)
		}
	}
	if more != "" {
		out.WriteString("&" + more)
	}
	return out.String()
}

// safeNext is where a sign-in may lead: a page of the console, "/" for anything
// else. What is no path to begin with never comes near a Location.
func safeNext(next string) string {
	if len(next) > maxNext || !strings.HasPrefix(next, "/") || strings.ContainsFunc(next, unsafeInURL) {
		return "/"
	}
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.User != nil || u.Opaque != "" || u.Fragment != "" || u.RawPath != "" {
		return "/"
	}
	id, open := strings.CutPrefix(u.Path, "/open/")
	if !open {
		id, open = strings.CutPrefix(u.Path, "/instances/")
	}
	if open && isID(id) || u.Path == "/device" || u.Path == "/tokens" {
		return next
	}
	return "/"
}

// unsafeInURL is what browsers drop from URLs, or read as a slash.
func unsafeInURL(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }

// safeFragment is a fragment as it may stand in a Location, with "#"; empty
// where there is none.
func safeFragment(fragment string) string {
	if fragment == "" || len(fragment) > maxNext {
		return ""
	}
	if strings.ContainsFunc(fragment, func(r rune) bool { return unsafeInURL(r) || strings.ContainsRune("\"<>`", r) }) {
		return "#" + url.PathEscape(fragment)
	}
	return "#" + fragment
}

// isID reports whether it is an instance's ID in its one spelling.
func isID(s string) bool {
	if len(s) != 36 {
		return false
	}
	for i, c := range []byte(s) {
		switch {
		case i == 8 || i == 13 || i == 18 || i == 23:
			if c != '-' {
				return false
			}
		case (c < '0' || c > '9') && (c < 'a' || c > 'f'):
			return false
		}
	}
	return true
}
