package console

import (
	"net/url"
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/routing"
)

const someID = "0b5ab1de-3a5e-4f0c-9d0f-5a0c0f6c1a01"

func TestASignInLeadsToPagesOfOursAlone(t *testing.T) {
	long := "/open/" + someID + "?rest=%2F" + strings.Repeat("a", 10<<10)
	for next, want := range map[string]string{
		"/": "/", "/tokens": "/tokens", "/device?code=BCDFGHJK": "/device?code=BCDFGHJK",
		"/open/" + someID + "?rest=%2Fa%3Fb&nonce=1": "/open/" + someID + "?rest=%2Fa%3Fb&nonce=1",
		"/instances/" + someID:                       "/instances/" + someID, "/instances/": "/", "/instances/" + someID + "/": "/",
		long: long, long + strings.Repeat("a", 11<<10): "/",
		"": "/", "tokens": "/", "//e": "/", "//evil.example/tokens": "/", "/\\evil.example": "/", "\\\\evil.example": "/", "/\\/evil.example/": "/",
		"https:evil.example": "/", "https://evil.example/tokens": "/", "https:/tokens": "/", "javascript:alert(1)": "/", "%2f%2fevil.example": "/",
		"/%2fevil.example": "/", "/%5cevil.example": "/", "/\tokens": "/", "\t/tokens": "/", "/\t/evil.example": "/", "/tokens\r\nX: y": "/", "/tokens\n": "/", " /tokens": "/",
		"/tokens\x00": "/", "/tokens#x": "/", "/logout": "/", "/login": "/", "/callback?code=1": "/", "/link?token=x": "/", "/api/v1/me": "/", "/open/x": "/",
		"/open/" + someID + "/../../logout": "/", "/./tokens": "/", "/tokens/": "/", "/../tokens": "/", "/open/../tokens": "/", "/toke%6es": "/",
		"/open/" + strings.ToUpper(someID): "/", "@evil.example/": "/", "/@evil.example": "/", "///evil.example/tokens": "/", "http:///tokens": "/", "/tökens": "/", "/tokens?\u2028": "/",
	} {
		if got := safeNext(next); got != want {
			t.Errorf("%.60q leads to %.60q, want %.60q", next, got, want)
		}
	}
}

func TestWhatIsEscapedIsReadAsItWas(t *testing.T) {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	for _, value := range []string{"", "/", "/a?b=c&d=%2F%252f+e#f;g", string(all)} {
		text := escaped("x", value, "y=1")
		q, err := url.ParseQuery(text)
		if err != nil || q.Get("x") != value || q.Get("y") != "1" || strings.ContainsFunc(text, unsafeInURL) {
			t.Errorf("%q becomes %q, %v", value, text, err)
		}
	}
}

func FuzzNext(f *testing.F) {
	for _, next := range []string{"/tokens", "//e", "/\\e", "/open/" + someID + "?rest=/", "https:e", "/%2fe", "/\t/e"} {
		f.Add(next)
	}
	console, err := url.Parse("https://console.example.com/login")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, next string) {
		to, err := console.Parse(safeNext(next))
		if err != nil || to.Scheme != "https" || to.Host != console.Host || to.User != nil || strings.HasPrefix(to.Path, "//") {
			t.Errorf("%q leads to %v, %v", next, to, err)
		}
	})
}

func TestFragments(t *testing.T) {
	for fragment, want := range map[string]string{
		"": "", "a": "#a", "/a?b=c&d=%20": "#/a?b=c&d=%20", "a b": "#a%20b", "a\r\nX: y": "#a%0D%0AX:%20y", "\"><script>": "#%22%3E%3Cscript%3E", "ü": "#%C3%BC",
		strings.Repeat("a", maxNext+1): "",
	} {
		if got := safeFragment(fragment); got != want {
			t.Errorf("%.40q becomes %.40q, want %.40q", fragment, got, want)
		}
	}
}

func TestWhereAnIDIsOne(t *testing.T) {
	for id, want := range map[string]bool{
		someID: true, "": false, someID[:35]: false, someID + "0": false, strings.ToUpper(someID): false, strings.ReplaceAll(someID, "-", "0"): false,
		"{" + someID[1:35] + "}": false,
	} {
		if isID(id) != want {
			t.Errorf("%q: %v", id, !want)
		}
		if _, ok := routing.ParseID(id); want && !ok {
			t.Errorf("routing does not know %q", id)
		}
	}
}
