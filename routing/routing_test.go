package routing

import (
	"strings"
	"testing"
)

// The world of the tables below. An ID begins with the mode's letter and a
// number, so that a row can be read.
const (
	dom     = "d0d0d0d0-0000-4000-8000-00000000000d" // DOMAIN, no primary
	domP    = "d1d1d1d1-0000-4000-8000-00000000000d" // DOMAIN, primary "dp", other alias "dother"
	domC    = "d2d2d2d2-0000-4000-8000-00000000000d" // DOMAIN, primary the custom domain, PUBLIC
	base    = "b0b0b0b0-0000-4000-8000-00000000000b" // BASE_URL, no primary
	baseP   = "b1b1b1b1-0000-4000-8000-00000000000b" // BASE_URL, primary "bp", other alias "bother"
	basePub = "b2b2b2b2-0000-4000-8000-00000000000b" // BASE_URL, primary "pub", other "pub2", PUBLIC
	gone    = "eeeeeeee-0000-4000-8000-00000000000e" // not in the table

	origin = "https://apps.example.com:8443"
)

func mustID(t testing.TB, s string) ID {
	t.Helper()
	id, ok := ParseID(s)
	if !ok {
		t.Fatalf("%q is not an ID", s)
	}
	return id
}

func testSite(t testing.TB, strict bool) *Site {
	t.Helper()
	site, err := NewSite(SiteConfig{BaseURL: origin, StrictAliasRedirect: strict})
	if err != nil {
		t.Fatal(err)
	}
	return site
}

func testTable(t testing.TB) *Table {
	t.Helper()
	id := func(s string) ID { return mustID(t, s) }
	return NewTable().Apply(7, []Change{
		PutInstance(Instance{ID: id(dom), Mode: Domain, Status: Deployed}),
		PutInstance(Instance{ID: id(domP), Mode: Domain, Primary: "dp", Status: Suspended}),
		PutInstance(Instance{ID: id(domC), Mode: Domain, Primary: "shop.example.org", Status: Failed, Visibility: Public}),
		PutInstance(Instance{ID: id(base), Mode: BaseURL, Status: Pending}),
		PutInstance(Instance{ID: id(baseP), Mode: BaseURL, Primary: "bp", Status: Resuming}),
		PutInstance(Instance{ID: id(basePub), Mode: BaseURL, Primary: "pub", Status: Unknown, Visibility: Public}),
		PutAlias(Alias{Name: "dalias", Instance: id(dom), Assigned: true}),
		PutAlias(Alias{Name: "dp", Instance: id(domP), Assigned: true}),
		PutAlias(Alias{Name: "dother", Instance: id(domP), Assigned: true}),
		PutAlias(Alias{Name: "shop.example.org", Instance: id(domC), Assigned: true}),
		PutAlias(Alias{Name: "dcother", Instance: id(domC), Assigned: true}),
		PutAlias(Alias{Name: "balias", Instance: id(base), Assigned: true}),
		PutAlias(Alias{Name: "bp", Instance: id(baseP), Assigned: true}),
		PutAlias(Alias{Name: "bother", Instance: id(baseP), Assigned: true}),
		PutAlias(Alias{Name: "pub", Instance: id(basePub), Assigned: true}),
		PutAlias(Alias{Name: "pub2", Instance: id(basePub), Assigned: true}),
		PutAlias(Alias{Name: "free"}),
		PutAlias(Alias{Name: "freed", Instance: id(dom), Assigned: false}),
		PutAlias(Alias{Name: "orphan", Instance: id(gone), Assigned: true}),
		// Names that no request may reach, whatever a store says.
		PutAlias(Alias{Name: gone, Instance: id(dom), Assigned: true}),
		PutAlias(Alias{Name: "console", Instance: id(dom), Assigned: true}),
		PutAlias(Alias{Name: "localhost", Instance: id(dom), Assigned: true}),
		PutAlias(Alias{Name: "10.0.0.1", Instance: id(dom), Assigned: true}),
		PutAlias(Alias{Name: "a.b.apps.example.com", Instance: id(dom), Assigned: true}),
	})
}

// short is a decision in short: "serve /rest", "own rest", "302 https://…",
// "404", "control", "console".
func short(d Decision) string {
	switch d.Kind {
	case Serve:
		return "serve " + d.Rest
	case Own:
		return "own " + d.Own
	case Redirect:
		return map[int]string{302: "302 ", 307: "307 "}[d.Status] + d.Location
	case Control, Console:
		return d.Kind.String()
	default:
		return map[int]string{200: "200", 400: "400", 404: "404", 405: "405", 501: "501"}[d.Status]
	}
}

// TestHosts is the grammar and the table of §1, by host.
func TestHosts(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, tc := range []struct{ name, host, want string }{
		{"base domain", "apps.example.com", "control"},
		{"console", "console.apps.example.com", "console"},
		{"ID", dom + ".apps.example.com", "serve /livez"},
		{"alias", "dp.apps.example.com", "serve /livez"},
		{"custom domain", "shop.example.org", "serve /livez"},
		{"other label", "nobody.apps.example.com", "404"},
		{"unknown ID", gone + ".apps.example.com", "404"},
		{"a label of UUID shape is never an alias", gone + ".apps.example.com", "404"},
		{"more labels", "a.dp.apps.example.com", "404"},
		{"more labels, an alias of that name", "a.b.apps.example.com", "404"},
		{"another domain", "example.net", "404"},
		{"suffix without a dot", "evilapps.example.com", "404"},
		{"parent of the base domain", "example.com", "404"},
		{"base domain as a prefix", "apps.example.com.evil.net", "404"},
		{"single label is no label below the base", "dp", "404"},
		{"single label that is an alias", "localhost", "404"},
		{"IPv4", "192.0.2.1", "404"},
		{"IPv4 with port", "192.0.2.1:443", "404"},
		{"IPv4 that is an alias", "10.0.0.1", "404"},
		{"custom domain below another", "www.shop.example.org", "404"},

		{"upper case base", "APPS.Example.COM", "control"},
		{"upper case console", "Console.apps.example.com", "console"},
		{"upper case ID", strings.ToUpper(dom) + ".apps.example.com", "serve /livez"},
		{"upper case alias", "DP.apps.example.com", "serve /livez"},
		{"upper case custom domain", "Shop.Example.ORG", "serve /livez"},
		{"upper case unknown", "NOBODY.apps.example.com", "404"},
		{"trailing dot, base", "apps.example.com.", "control"},
		{"trailing dot, console", "console.apps.example.com.", "console"},
		{"trailing dot, ID", dom + ".apps.example.com.", "307 https://" + dom + ".apps.example.com:8443/livez"},
		{"trailing dot, alias", "dp.apps.example.com.", "307 https://dp.apps.example.com:8443/livez"},
		{"trailing dot before the port", "apps.example.com.:443", "control"},
		{"trailing dot after the port", "apps.example.com:443.", "400"},
		{"two trailing dots", "apps.example.com..", "400"},
		{"port", "apps.example.com:443", "control"},
		{"another port", "dp.apps.example.com:1", "serve /livez"},
		{"empty port", "apps.example.com:", "control"},
		{"highest port", "apps.example.com:65535", "control"},
		{"leading zero", "apps.example.com:00080", "control"},
		{"port 0", "apps.example.com:0", "400"},
		{"port too high", "apps.example.com:65536", "400"},
		{"port overflows", "apps.example.com:18446744073709551617", "400"},
		{"port with a letter", "apps.example.com:80a", "400"},
		{"port with a sign", "apps.example.com:+80", "400"},
		{"two ports", "apps.example.com:80:80", "400"},
		{"label of 63", long + ".apps.example.com", "404"},
		{"label of 64", long + "a.apps.example.com", "400"},
		{"name of 253", strings.Repeat(long+".", 3) + long[:61], "404"},
		{"name of 253 and a dot", strings.Repeat(long+".", 3) + long[:61] + ".", "404"},
		{"name of 254", strings.Repeat(long+".", 3) + long[:62], "400"},
		{"hyphens anywhere", "-a-.apps.example.com", "404"},
		{"empty", "", "400"},
		{"dot", ".", "400"},
		{"only a port", ":443", "400"},
		{"empty label", "dp..apps.example.com", "400"},
		{"leading dot", ".apps.example.com", "400"},
		{"underscore", "d_p.apps.example.com", "400"},
		{"userinfo", "user@apps.example.com", "400"},
		{"userinfo with password", "user:1@apps.example.com", "400"},
		{"bracketed IPv6", "[::1]", "400"},
		{"bracketed IPv6 with port", "[::1]:443", "400"},
		{"bare IPv6", "::1", "400"},
		{"bracketed IPv4", "[192.0.2.1]", "400"},
		{"two hosts", "apps.example.com,apps.example.com", "400"},
		{"two hosts, space", "apps.example.com apps.example.com", "400"},
		{"escape", "apps%2eexample.com", "400"},
		{"slash", "apps.example.com/", "400"},
		{"control character", "apps.example.com\x00", "400"},
		{"leading space", " apps.example.com", "400"},
		{"beyond ASCII", "åpps.example.com", "400"},
		{"full-width dot", "apps。example.com", "400"},
		{"Kelvin sign", "\u212a.apps.example.com", "400"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := Request{Method: "GET", Host: tc.host, Target: "/livez"}
			if got := short(testTable(t).Decide(testSite(t, false), r)); got != tc.want {
				t.Errorf("host %q: got %q, want %q", tc.host, got, tc.want)
			}
		})
	}
}

// TestBaseDomain is the table of §1 by path, and what is not "/instance/".
func TestBaseDomain(t *testing.T) {
	const console = "https://console.apps.example.com:8443/"
	for _, tc := range []struct{ name, method, target, want string }{
		{"instance by path", "GET", "/instance/" + base + "/a", "serve /a"},
		{"API", "GET", "/api/v1/apps", "control"},
		{"API, any method", "DELETE", "/api/v1/apps", "control"},
		{"API, bare", "GET", "/api/", "control"},
		{"API without the slash", "GET", "/api", "404"},
		{"API, upper case", "GET", "/API/v1", "404"},
		{"API, double slash", "GET", "//api/v1", "404"},
		{"livez", "GET", "/livez", "control"},
		{"livez with query", "GET", "/livez?verbose", "control"},
		{"livez with more", "GET", "/livez/x", "404"},
		{"readyz", "HEAD", "/readyz", "control"},
		{"callback of an ExApp", "PUT", "/ocs/v1.php/apps/app_api/ex-app/status", "control"},
		{"root", "GET", "/", "302 " + console},
		{"root, HEAD", "HEAD", "/", "302 " + console},
		{"root, POST", "POST", "/", "307 " + console},
		{"root with query", "GET", "/?a=b", "302 " + console},
		{"two slashes", "GET", "//", "404"},
		{"other path", "GET", "/favicon.ico", "404"},
		{"own path without instance", "GET", "/.slipway/wait", "404"},

		{"no ID", "GET", "/instance/", "404"},
		{"no slash", "GET", "/instance", "404"},
		{"not a UUID", "GET", "/instance/abc/", "404"},
		{"unknown ID", "GET", "/instance/" + gone + "/", "404"},
		{"ID and more", "GET", "/instance/" + base + "x/", "404"},
		{"ID without hyphens", "GET", "/instance/" + strings.ReplaceAll(base, "-", "") + "/", "404"},
		{"ID in braces", "GET", "/instance/{" + base + "}/", "404"},
		{"upper-case prefix", "GET", "/INSTANCE/" + base + "/", "404"},
		{"double slash", "GET", "//instance/" + base + "/", "404"},
		{"double slash inside", "GET", "/instance//" + base + "/", "404"},
		{"dot segment", "GET", "/./instance/" + base + "/", "404"},
		{"escaped letter", "GET", "/%69nstance/" + base + "/", "404"},
		{"escaped slash", "GET", "/instance%2f" + base + "/", "404"},
		{"escaped slash after", "GET", "/instance/" + base + "%2f", "404"},
		{"escape in the ID", "GET", "/instance/%620" + base[2:] + "/", "404"},
		{"parameter after the ID", "GET", "/instance/" + base + ";x", "404"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := Request{Method: tc.method, Host: "apps.example.com", Target: tc.target}
			if got := short(testTable(t).Decide(testSite(t, false), r)); got != tc.want {
				t.Errorf("%s %s: got %q, want %q", tc.method, tc.target, got, tc.want)
			}
		})
	}
}
