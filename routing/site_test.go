package routing

import (
	"strings"
	"testing"
)

func TestNewSite(t *testing.T) {
	for _, tc := range []struct{ name, base, console, origin, consoleURL string }{
		{"plain", "https://apps.example.com", "", "https://apps.example.com", "https://console.apps.example.com/"},
		{"slash", "https://apps.example.com/", "", "https://apps.example.com", "https://console.apps.example.com/"},
		{"port", "https://apps.example.com:8443", "", "https://apps.example.com:8443", "https://console.apps.example.com:8443/"},
		{"default port of https", "https://apps.example.com:443", "", "https://apps.example.com", "https://console.apps.example.com/"},
		{"default port of http", "http://apps.example.com:80", "", "http://apps.example.com", "http://console.apps.example.com/"},
		{"other's default port", "http://apps.example.com:443", "", "http://apps.example.com:443", "http://console.apps.example.com:443/"},
		{"localhost", "http://localhost:8080", "", "http://localhost:8080", "http://console.localhost:8080/"},
		{"upper case and dot", "HTTPS://Apps.Example.COM.", "", "https://apps.example.com", "https://console.apps.example.com/"},
		{"console elsewhere", "https://apps.example.com:8443", "Console.example.net", "https://apps.example.com:8443", "https://console.example.net:8443/"},
		{"console further below", "https://apps.example.com", "a.b.apps.example.com", "https://apps.example.com", "https://a.b.apps.example.com/"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			site, err := NewSite(SiteConfig{BaseURL: tc.base, ConsoleHost: tc.console})
			if err != nil {
				t.Fatal(err)
			}
			if site.Origin() != tc.origin || site.ConsoleURL() != tc.consoleURL {
				t.Errorf("got %s and %s", site.Origin(), site.ConsoleURL())
			}
			if got := site.Scheme() + "://" + site.BaseDomain() + site.port; got != tc.origin {
				t.Errorf("its parts make %s", got)
			}
			d := NewTable().Decide(site, Request{Method: "GET", Host: site.ConsoleHost(), Target: "/"})
			if d.Kind != Console {
				t.Errorf("the console's host is %s", d.Kind)
			}
		})
	}
}

func TestNewSiteRefuses(t *testing.T) {
	const good = "https://apps.example.com"
	for _, tc := range []struct{ name, base, console, want string }{
		{"empty", "", "", `parse base url "": scheme must be http or https`},
		{"no scheme", "apps.example.com", "", "scheme must be"},
		{"another scheme", "ftp://apps.example.com", "", "scheme must be"},
		{"opaque", "https:apps.example.com", "", "must not have a path"},
		{"no host", "https://", "", "host is missing"},
		{"path", good + "/a", "", "must not have a path"},
		{"query", good + "/?a", "", "must not have a query"},
		{"empty query", good + "?", "", "must not have a query"},
		{"fragment", good + "#a", "", "must not have a query or a fragment"},
		{"user", "https://u@apps.example.com", "", "must not name a user"},
		{"port 0", good + ":0", "", "port must be"},
		{"port too high", good + ":65536", "", "port must be"},
		{"IPv4", "https://192.0.2.1", "", "IP address"},
		{"IPv6", "https://[::1]:80", "", "IP address"},
		{"number", "https://apps.1", "", "must not end in a number"},
		{"underscore", "https://a_b.example.com", "", "labels of"},
		{"too long", "https://" + strings.Repeat("a.", 100) + "com", "", "no label fits"},
		{"not a URL", "https://a b", "", "not a URL"},
		{"console is the base domain", good, "Apps.example.com.", `parse console host "Apps.example.com.": is the base domain`},
		{"console with a port", good, "console.example.com:80", "labels of"},
		{"console with a scheme", good, "https://console.example.com", "labels of"},
		{"console like an instance", good, dom + ".apps.example.com", "shape of an instance"},
		{"console is an address", good, "192.0.2.1", "IP address"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := NewSite(SiteConfig{BaseURL: tc.base, ConsoleHost: tc.console})
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
		})
	}
}

func TestAliasNames(t *testing.T) {
	site := testSite(t, false)
	for _, tc := range []struct{ name, url, host string }{
		{"dp", "https://dp.apps.example.com:8443/", "dp.apps.example.com"},
		{"shop.example.org", "https://shop.example.org:8443/", "shop.example.org"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if site.AliasURL(tc.name) != tc.url || site.AliasHost(tc.name) != tc.host {
				t.Errorf("got %q and %q", site.AliasURL(tc.name), site.AliasHost(tc.name))
			}
		})
	}
	for name, want := range map[string]bool{
		"a": true, "a-b": true, "1": true, "a.example.org": true, strings.Repeat("a", 63): true,
		"": false, "A": false, "a.": false, "a:1": false, "a_b": false, ".a": false, dom: false,
		"192.0.2.1": false, "a.1": false, strings.Repeat("a", 64): false, "a:": false,
	} {
		if got := ValidAliasName(name); got != want {
			t.Errorf("ValidAliasName(%q) is %t", name, got)
		}
	}
}

func TestHostLive(t *testing.T) {
	site, table := testSite(t, false), testTable(t)
	for host, want := range map[string]bool{
		"apps.example.com": true, "console.apps.example.com": true, dom + ".apps.example.com": true,
		"DP.apps.example.com.": true, "shop.example.org": true,
		gone + ".apps.example.com": false, "free.apps.example.com": false, "orphan.apps.example.com": false,
		"nobody.apps.example.com": false, "example.net": false, "[::1]": false, "": false,
	} {
		if got := table.Host(site, host).Live(); got != want {
			t.Errorf("host %q: live is %t", host, got)
		}
	}
}
