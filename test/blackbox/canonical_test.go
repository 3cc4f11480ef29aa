package blackbox

import (
	"bytes"
	"strings"
	"testing"
)

// canonical is §2's table, and all names of each instance in it.
var canonical = []struct {
	mode, primary, letter, url string
	names                      []string
}{
	{"DOMAIN", "none", "D", "{D}.{base}/", []string{"{D}.{base}/", "{base}/instance/{D}/", "d-alias.{base}/"}},
	{"DOMAIN", "P", "P", "p-main.{base}/", []string{"p-main.{base}/", "{P}.{base}/", "{base}/instance/{P}/", "p-other.{base}/", "b-alias.{base}/instance/{P}/"}},
	{"DOMAIN", "a custom P", "C", "custom.example/", []string{"custom.example/", "{C}.{base}/", "{base}/instance/{C}/", "other.example/", "q-main.{base}/instance/{C}/"}},
	{"BASE_URL", "none", "B", "{base}/instance/{B}/", []string{
		"{base}/instance/{B}/", "{B}.{base}/", "b-alias.{base}/", "b-alias.{base}/instance/{B}/", "{B}.{base}/instance/{B}/", "q-other.{base}/instance/{B}/",
	}},
	{"BASE_URL", "P", "Q", "q-main.{base}/instance/{Q}/", []string{
		"q-main.{base}/instance/{Q}/", "q-main.{base}/", "{Q}.{base}/", "{base}/instance/{Q}/", "q-other.{base}/", "q-other.{base}/instance/{Q}/",
		"b-alias.{base}/instance/{Q}/",
	}},
}

// Exactly one URL is an instance's own; it serves, and each other name leads
// there in one hop, with the scheme and the port of the base URL.
func TestCanonicalURLs(t *testing.T) {
	w := setUp(t)
	for _, x := range canonical {
		w.both(t, x.mode+" "+x.primary, func(t *testing.T, e *edge) {
			ownHost, ownPath, _ := strings.Cut(e.fill(x.url), "/")
			for _, name := range x.names {
				for _, spelling := range spellings(name) {
					t.Run(spelling, func(t *testing.T) {
						host, path, _ := strings.Cut(spelling, "/")
						a, kept := e.talk(t, request("GET", host, "/"+path))
						if !kept {
							t.Error("the connection was closed")
						}
						if strings.EqualFold(e.fill(host), ownHost) && e.fill(path) == ownPath {
							e.wantServed(t, a, x.letter, "/"+path)
							return
						}
						if a.status != 302 && a.status != 307 || a.location != e.url(x.url) {
							t.Fatalf("%d to %s, want %s", a.status, a.location, e.url(x.url))
						}
						wantOwn(t, a)
						e.wantFollowed(t, a.location, x.letter)
					})
				}
			}
		})
	}
}

// spellings are a name as it is, with a trailing dot, a port and capitals.
func spellings(name string) []string {
	host, path, _ := strings.Cut(name, "/")
	capitals := strings.NewReplacer("{D}", "{DD}", "{P}", "{PP}", "{C}", "{CC}", "{B}", "{BB}", "{Q}", "{QQ}")
	return []string{name, host + ".:81/" + path, capitals.Replace(host) + "/" + path, host + "/" + capitals.Replace(path)}
}

// wantFollowed goes to a Location as a browser would, and wants to be served.
func (e *edge) wantFollowed(t *testing.T, location, letter string) {
	t.Helper()
	rest, found := strings.CutPrefix(location, e.start)
	host, path, _ := strings.Cut(rest, "/")
	if !found || !strings.HasSuffix(host, e.port) {
		t.Fatalf("%s is not with the scheme and port of the base URL", location)
	}
	a, _ := e.talk(t, request("GET", host, "/"+path))
	e.wantServed(t, a, letter, "/"+path)
}

// The API says the same URL, in the scheme and port of its own edge.
func TestTheAPIKnowsTheCanonicalURL(t *testing.T) {
	w := setUp(t)
	for _, x := range canonical {
		t.Run(x.mode+" "+x.primary, func(t *testing.T) {
			in, err := w.api.Instance(t.Context(), w.ids[x.letter])
			if err != nil || in.URL != w.up.url(x.url) {
				t.Errorf("%v, %v, want %s", in, err, w.up.url(x.url))
			}
		})
	}
}

// The prefix stays under an alias because the app serves under it: what it
// reads begins with the prefix, whatever the name.
func TestTheAppServesUnderItsPrefix(t *testing.T) {
	w := setUp(t)
	for name, letter := range map[string]string{"{base}": "B", "q-main.{base}": "Q"} {
		w.both(t, name, func(t *testing.T, e *edge) {
			prefix := "/instance/{" + letter + "}/"
			a, _ := e.talk(t, request("GET", name, prefix+"a"))
			got := e.wantServed(t, a, letter, prefix+"a")
			if !bytes.HasPrefix(got.Raw, []byte("GET "+e.fill(prefix)+"a HTTP/1.1\r\nHost: "+e.fill(name)+"\r\n")) {
				t.Errorf("the app read %.200q", got.Raw)
			}
		})
	}
}
