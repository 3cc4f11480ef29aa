package routing

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
)

// The grammar of a target, of a prefix and of a climb, said once more.
var (
	validPattern  = regexp.MustCompile(`^(?s:[^\x00-\x20#%\x7f]|[ ]|%[0-9A-Fa-f]{2})*$`)
	prefixPattern = regexp.MustCompile(`^/instance/([0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})((?s:/.*)?)$`)
	slashPattern  = regexp.MustCompile(`/|%2[fF]`)
)

// FuzzTarget: what a path is, and what it begins with, is what the plain
// patterns above say, whatever the bytes.
func FuzzTarget(f *testing.F) {
	for _, seed := range []string{
		"/", "/?", "?", "", "*", "/a#b", "/a%2", "/%zz", "/%2F..%2f", "/\x00", "/a b", "/\xff\x7f", "/instance/" + dom,
		"/instance/" + strings.ToUpper(base) + "/x?y", "/instance/" + dom + "x", "/%69nstance/" + dom, "//instance/" + dom,
		"/12345678/123456%", "/1234567\x1f12345678", "/1234567%4112345678#", "/...%2e/%2e%2e", "/%252e%252e",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := parseTarget(s, false)
		// Bytes and not runes: every byte from 0x80 on passes.
		if want := validPattern.MatchString(latin1(s)) && strings.HasPrefix(s, "/"); ok != want {
			t.Fatalf("%q: parsed %t", s, ok)
		}
		if !ok {
			return
		}
		if got.path+got.query != s || strings.Contains(got.path, "?") || got.query != "" && got.query[0] != '?' {
			t.Errorf("%q: path %q, query %q", s, got.path, got.query)
		}
		cut, want := cutInstance(got.path), prefixPattern.FindStringSubmatch(latin1(got.path))
		if cut.found != (want != nil) {
			t.Fatalf("%q: prefix found %t", s, cut.found)
		}
		if cut.found && (cut.id.String() != strings.ToLower(want[1]) || latin1(cut.rest) != want[2] ||
			cut.upper != (want[1] != strings.ToLower(want[1]))) {
			t.Errorf("%q: %+v", s, cut)
		}
		if !cut.found && cut.rest != got.path {
			t.Errorf("%q: rest %q", s, cut.rest)
		}
		if got, want := climbs(got.path), hasDotDot(got.path); got != want {
			t.Errorf("%q: climbs %t, want %t", s, got, want)
		}
	})
}

// latin1 makes each byte a rune of its own, so that patterns see bytes.
func latin1(s string) string {
	runes := make([]rune, len(s))
	for i := range len(s) {
		runes[i] = rune(s[i])
	}
	return string(runes)
}

func hasDotDot(path string) bool {
	for _, segment := range slashPattern.Split(path, -1) {
		if decoded, err := url.PathUnescape(segment); err == nil && decoded == ".." {
			return true
		}
	}
	return false
}

// FuzzRedirect: whatever follows a name of an instance in whatever mode, the
// Location is one of ours and no second redirect follows it.
func FuzzRedirect(f *testing.F) {
	table, site := testTable(f), testSite(f, false)
	names := []string{"dp", "dother", "dalias", "bp", "bother", "balias", "dcother", dom, domP, base, baseP}
	for _, rest := range pool.rests {
		f.Add(uint8(0), "GET", rest)
		f.Add(uint8(4), "POST", rest)
		f.Add(uint8(14), "GET", "/instance/"+baseP+rest)
	}
	f.Fuzz(func(t *testing.T, at uint8, method, rest string) {
		name := names[int(at)%len(names)]
		r := Request{Method: method, Host: name + ".apps.example.com", Target: rest}
		if id, ok := ParseID(name); ok && int(at) >= len(names) {
			r.Host, r.Target = "apps.example.com", "/instance/"+id.String()+rest
		}
		checkDecision(t, table, site, r, table.Decide(site, r))
	})
}
