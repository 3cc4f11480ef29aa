package routing

import (
	"cmp"
	"strings"
	"testing"
)

// TestCanonicalURL is the table of §2.
func TestCanonicalURL(t *testing.T) {
	site, table := testSite(t, false), testTable(t)
	for _, tc := range []struct{ name, id, want string }{
		{"DOMAIN", dom, "https://" + dom + ".apps.example.com:8443/"},
		{"DOMAIN, alias", domP, "https://dp.apps.example.com:8443/"},
		{"DOMAIN, custom domain", domC, "https://shop.example.org:8443/"},
		{"BASE_URL", base, origin + "/instance/" + base + "/"},
		{"BASE_URL, alias", baseP, "https://bp.apps.example.com:8443/instance/" + baseP + "/"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			in := table.Instance(mustID(t, tc.id))
			got := site.CanonicalURL(in)
			if got != tc.want {
				t.Fatalf("got %q, want %q", got, tc.want)
			}
			for _, method := range []string{"GET", "HEAD", "POST", "OPTIONS"} {
				d := table.Decide(site, Request{Method: method, Target: got})
				if d.Kind != Serve || d.Instance != in || d.Rest != "/" {
					t.Errorf("%s of the canonical URL: %s (%s)", method, short(d), d.Rule)
				}
			}
		})
	}
}

// TestRedirects is the table of §3. Where post or socket is empty, a POST or a
// WebSocket gets what a GET gets; strict is POST under alias_redirect strict.
func TestRedirects(t *testing.T) {
	const (
		host     = ".apps.example.com"
		atDom    = "https://" + dom + host + ":8443"
		atDP     = "https://dp" + host + ":8443"
		atShop   = "https://shop.example.org:8443"
		atBase   = origin + "/instance/" + base
		atBP     = "https://bp" + host + ":8443/instance/" + baseP
		atPub    = "https://pub" + host + ":8443/instance/" + basePub
		baseHost = "apps.example.com"
	)
	upper := strings.ToUpper
	for _, tc := range []struct {
		name, host, target      string
		get, post, socket, rule string
	}{
		{name: "ID host, DOMAIN, none", host: dom + host, target: "/a?b", get: "serve /a"},
		{name: "ID host, DOMAIN, P", host: domP + host, target: "/a?b", get: "302 " + atDP + "/a?b", post: "307 " + atDP + "/a?b"},
		{name: "ID host, DOMAIN, P, public", host: domC + host, target: "/a?b", get: "302 " + atShop + "/a?b", post: "307 " + atShop + "/a?b", socket: "serve /a"},
		{name: "ID host, BASE_URL, none", host: base + host, target: "/a?b", get: "307 " + atBase + "/a?b"},
		{name: "ID host, BASE_URL, none, own prefix", host: base + host, target: "/instance/" + base + "/a?b", get: "307 " + atBase + "/a?b"},
		{name: "ID host, BASE_URL, none, own bare prefix", host: base + host, target: "/instance/" + base + "?b", get: "307 " + atBase + "/?b"},
		{name: "ID host, BASE_URL, none, another's prefix", host: base + host, target: "/instance/" + dom + "/a", get: "307 " + atBase + "/instance/" + dom + "/a"},
		{name: "ID host, BASE_URL, P", host: baseP + host, target: "/a?b", get: "307 " + atBP + "/a?b"},
		{name: "ID host, BASE_URL, P, public", host: basePub + host, target: "/a", get: "307 " + atPub + "/a"},
		{name: "ID host, BASE_URL, P, public, own prefix", host: basePub + host, target: "/instance/" + basePub + "/a", get: "307 " + atPub + "/a"},

		{name: "path, DOMAIN, none", host: baseHost, target: "/instance/" + dom + "/a?b", get: "307 " + atDom + "/a?b"},
		{name: "path, DOMAIN, none, no slash", host: baseHost, target: "/instance/" + dom + "?b", get: "307 " + atDom + "/?b"},
		{name: "path, DOMAIN, none, twice", host: baseHost, target: "/instance/" + dom + "/instance/" + dom + "/a", get: "307 " + atDom + "/instance/" + dom + "/a"},
		{name: "path, DOMAIN, P", host: baseHost, target: "/instance/" + domP + "/a?b", get: "307 " + atDP + "/a?b"},
		{name: "path, DOMAIN, P, public", host: baseHost, target: "/instance/" + domC + "/a", get: "307 " + atShop + "/a"},
		{name: "path, BASE_URL, none", host: baseHost, target: "/instance/" + base + "/a?b", get: "serve /a"},
		{name: "path, BASE_URL, none, root", host: baseHost, target: "/instance/" + base + "/", get: "serve /"},
		{name: "path, BASE_URL, none, no slash", host: baseHost, target: "/instance/" + base, get: "307 " + atBase + "/"},
		{name: "path, BASE_URL, none, no slash, query", host: baseHost, target: "/instance/" + base + "?a&b", get: "307 " + atBase + "/?a&b"},
		{name: "path, BASE_URL, none, no slash, empty query", host: baseHost, target: "/instance/" + base + "?", get: "307 " + atBase + "/?"},
		{name: "path, BASE_URL, P", host: baseHost, target: "/instance/" + baseP + "/a?b", get: "302 " + atBP + "/a?b", post: "307 " + atBP + "/a?b"},
		{name: "path, BASE_URL, P, no slash", host: baseHost, target: "/instance/" + baseP, get: "302 " + atBP + "/", post: "307 " + atBP + "/"},
		{name: "path, BASE_URL, P, public", host: baseHost, target: "/instance/" + basePub + "/a", get: "302 " + atPub + "/a", post: "307 " + atPub + "/a", socket: "serve /a"},
		{name: "path, BASE_URL, P, public, no slash", host: baseHost, target: "/instance/" + basePub, get: "302 " + atPub + "/", post: "307 " + atPub + "/"},

		{name: "P, DOMAIN", host: "dp" + host, target: "/a?b", get: "serve /a"},
		{name: "P, DOMAIN, instance path", host: "dp" + host, target: "/instance/" + domP + "/a", get: "serve /instance/" + domP + "/a"},
		{name: "P, DOMAIN, another's path", host: "dp" + host, target: "/instance/" + base, get: "serve /instance/" + base},
		{name: "P, DOMAIN, custom domain", host: "shop.example.org", target: "/a", get: "serve /a"},
		{name: "P, BASE_URL, prefix", host: "bp" + host, target: "/instance/" + baseP + "/a?b", get: "serve /a"},
		{name: "P, BASE_URL, prefix, no slash", host: "bp" + host, target: "/instance/" + baseP + "?b", get: "307 " + atBP + "/?b"},
		{name: "P, BASE_URL, another path", host: "bp" + host, target: "/a?b", get: "307 " + atBP + "/a?b"},
		{name: "P, BASE_URL, another path, public", host: "pub" + host, target: "/a", get: "307 " + atPub + "/a"},
		{name: "P, BASE_URL, root", host: "bp" + host, target: "/", get: "307 " + atBP + "/"},
		{name: "P, BASE_URL, not quite the prefix", host: "bp" + host, target: "/instance/" + baseP + "x", get: "307 " + atBP + "/instance/" + baseP + "x"},
		{name: "P, BASE_URL, not a UUID", host: "bp" + host, target: "/instance/x/a", get: "307 " + atBP + "/instance/x/a"},

		{name: "another alias, DOMAIN, none", host: "dalias" + host, target: "/a?b", get: "302 " + atDom + "/a?b", post: "307 " + atDom + "/a?b"},
		{name: "another alias, DOMAIN, P", host: "dother" + host, target: "/a?b", get: "302 " + atDP + "/a?b", post: "307 " + atDP + "/a?b"},
		{name: "another alias, DOMAIN, own prefix is the app's", host: "dother" + host, target: "/instance/" + domP, get: "302 " + atDP + "/instance/" + domP, post: "307 " + atDP + "/instance/" + domP},
		{name: "another alias, DOMAIN, public", host: "dcother" + host, target: "/a", get: "302 " + atShop + "/a", post: "307 " + atShop + "/a", socket: "serve /a"},
		{name: "another alias, BASE_URL, none", host: "balias" + host, target: "/a?b", get: "302 " + atBase + "/a?b", post: "307 " + atBase + "/a?b"},
		{name: "another alias, BASE_URL, none, prefix", host: "balias" + host, target: "/instance/" + base + "/a", get: "302 " + atBase + "/a", post: "307 " + atBase + "/a"},
		{name: "another alias, BASE_URL, P", host: "bother" + host, target: "/a?b", get: "302 " + atBP + "/a?b", post: "307 " + atBP + "/a?b"},
		{name: "another alias, BASE_URL, P, prefix", host: "bother" + host, target: "/instance/" + baseP + "/a", get: "302 " + atBP + "/a", post: "307 " + atBP + "/a"},
		{name: "another alias, BASE_URL, public", host: "pub2" + host, target: "/a", get: "302 " + atPub + "/a", post: "307 " + atPub + "/a"},
		{name: "another alias, BASE_URL, public, prefix", host: "pub2" + host, target: "/instance/" + basePub + "/a", get: "302 " + atPub + "/a", post: "307 " + atPub + "/a", socket: "serve /a"},

		{name: "alias, BASE_URL, X live, DOMAIN", host: "bother" + host, target: "/instance/" + dom + "/a?b", get: "307 " + atDom + "/a?b"},
		{name: "alias, BASE_URL, X live, DOMAIN, P", host: "bp" + host, target: "/instance/" + domP + "/a?b", get: "307 " + atDP + "/a?b"},
		{name: "alias, BASE_URL, X live, BASE_URL", host: "bp" + host, target: "/instance/" + base + "/a?b", get: "307 " + atBase + "/a?b"},
		{name: "alias, BASE_URL, X live, BASE_URL, P", host: "balias" + host, target: "/instance/" + baseP + "/a?b", get: "307 " + atBP + "/a?b"},
		{name: "alias, BASE_URL, X live, no slash", host: "balias" + host, target: "/instance/" + upper(baseP) + "?b", get: "307 " + atBP + "/?b"},
		{name: "alias, BASE_URL, X live, public", host: "bp" + host, target: "/instance/" + basePub + "/a", get: "307 " + atPub + "/a"},
		{name: "alias, BASE_URL, X not live", host: "bp" + host, target: "/instance/" + gone + "/a", get: "404"},
		{name: "another alias, BASE_URL, X not live", host: "balias" + host, target: "/instance/" + gone, get: "404"},

		{name: "unassigned alias", host: "free" + host, target: "/", get: "404"},
		{name: "alias that was unassigned", host: "freed" + host, target: "/", get: "404"},
		{name: "alias of a terminated instance", host: "orphan" + host, target: "/", get: "404"},
		{name: "unknown ID, host", host: gone + host, target: "/", get: "404"},
		{name: "unknown ID, path", host: baseHost, target: "/instance/" + gone + "/", get: "404"},
		{name: "unknown label", host: "nobody" + host, target: "/", get: "404"},

		{name: "trailing dot, canonical", host: dom + host + ".", target: "/a?b", get: "307 " + atDom + "/a?b"},
		{name: "trailing dot, P", host: "dp" + host + ".", target: "/a?b", get: "307 " + atDP + "/a?b"},
		{name: "trailing dot, custom domain", host: "shop.example.org.", target: "/a", get: "307 " + atShop + "/a"},
		{name: "trailing dot, own path", host: dom + host + ".", target: "/.slipway/wait", get: "307 " + atDom + "/.slipway/wait"},
		{name: "trailing dot, path", host: baseHost + ".", target: "/instance/" + base + "/a", get: "307 " + atBase + "/a"},
		{name: "trailing dot, no extra hop", host: domP + host + ".:443", target: "/a", get: "302 " + atDP + "/a", post: "307 " + atDP + "/a"},
		{name: "upper-case ID in the path", host: baseHost, target: "/instance/" + upper(base) + "/a?b", get: "307 " + atBase + "/a?b"},
		{name: "upper-case ID below P", host: "bp" + host, target: "/instance/" + upper(baseP) + "/a", get: "307 " + atBP + "/a"},
		{name: "upper-case ID, no slash", host: baseHost, target: "/instance/" + upper(base), get: "307 " + atBase + "/"},
		{name: "upper-case ID, no extra hop", host: baseHost, target: "/instance/" + upper(baseP) + "/a", get: "302 " + atBP + "/a", post: "307 " + atBP + "/a"},
		{name: "upper-case ID, wrong mode", host: baseHost, target: "/instance/" + upper(dom) + "/a", get: "307 " + atDom + "/a"},
		{name: "upper-case Host", host: "DP" + upper(host), target: "/a", get: "serve /a"},
		{name: "upper-case ID in Host", host: upper(dom) + host, target: "/a", get: "serve /a"},
		{name: "public, upper-case ID", host: "pub2" + host, target: "/instance/" + upper(basePub) + "/a", get: "302 " + atPub + "/a", post: "307 " + atPub + "/a"},

		{name: "hostile rest, two slashes", host: baseHost, target: "/instance/" + dom + "//evil.example", get: "307 " + atDom + "//evil.example"},
		{name: "hostile rest, backslash", host: baseHost, target: "/instance/" + dom + `/\evil.example`, get: "307 " + atDom + `/\evil.example`},
		{name: "hostile rest, line break", host: baseHost, target: "/instance/" + dom + "/%0d%0aSet-Cookie:x", get: "307 " + atDom + "/%0d%0aSet-Cookie:x"},
		{name: "hostile rest, userinfo", host: "dother" + host, target: "/@evil", get: "302 " + atDP + "/@evil", post: "307 " + atDP + "/@evil"},
		{name: "rest as received", host: "bp" + host, target: "/a%2fb;c//./%2e/d?x=%00;y?&?", get: "307 " + atBP + "/a%2fb;c//./%2e/d?x=%00;y?&?"},
		{name: "query as received", host: "bp" + host, target: "/?a;b=1&c", get: "307 " + atBP + "/?a;b=1&c"},

		{name: "own path, ID host", host: dom + host, target: "/.slipway/wait?x", get: "own wait"},
		{name: "own path, P", host: "dp" + host, target: "/.slipway/status", get: "own status"},
		{name: "own path, bare", host: "dp" + host, target: "/.slipway/", get: "own "},
		{name: "own path, prefix", host: baseHost, target: "/instance/" + base + "/.slipway/ticket", get: "own ticket"},
		{name: "own path, prefix below P", host: "bp" + host, target: "/instance/" + baseP + "/.slipway/wait", get: "own wait"},
		{name: "own path, without the slash", host: "dp" + host, target: "/.slipway", get: "serve /.slipway"},
		{name: "own path, escaped", host: "dp" + host, target: "/%2eslipway/wait", get: "serve /%2eslipway/wait"},
		{name: "own path, upper case", host: "dp" + host, target: "/.Slipway/wait", get: "serve /.Slipway/wait"},
		{name: "own path, deeper", host: "dp" + host, target: "/a/.slipway/wait", get: "serve /a/.slipway/wait"},
		{name: "own path, another alias", host: "dcother" + host, target: "/.slipway/wait", get: "302 " + atShop + "/.slipway/wait", post: "307 " + atShop + "/.slipway/wait"},
		{name: "own path, wrong mode", host: baseHost, target: "/instance/" + dom + "/.slipway/wait", get: "307 " + atDom + "/.slipway/wait"},
		{name: "own path, P without the prefix", host: "bp" + host, target: "/.slipway/wait", get: "307 " + atBP + "/.slipway/wait"},

		{name: "climb, path", host: baseHost, target: "/instance/" + base + "/../x", get: "400"},
		{name: "climb, at the end", host: baseHost, target: "/instance/" + base + "/a/..", get: "400"},
		{name: "climb, escaped dots", host: baseHost, target: "/instance/" + base + "/%2e%2E/x", get: "400"},
		{name: "climb, one escaped dot", host: baseHost, target: "/instance/" + base + "/.%2e/x", get: "400"},
		{name: "climb, escaped slash", host: baseHost, target: "/instance/" + base + "/a%2f..", get: "400"},
		{name: "climb, escaped slashes, upper case", host: baseHost, target: "/instance/" + base + "/a%2F%2e.%2Fb", get: "400"},
		{name: "climb, ID host", host: base + host, target: "/a/../b", get: "400"},
		{name: "climb, P", host: "bp" + host, target: "/..", get: "400"},
		{name: "climb, another alias", host: "bother" + host, target: "/..%2fx", get: "400"},
		{name: "climb, no slash in P's path", host: "bp" + host, target: "/instance/" + baseP + "/..", get: "400"},
		{name: "climb, own path", host: baseHost, target: "/instance/" + base + "/.slipway/../x", get: "400"},
		{name: "climb, X", host: "bp" + host, target: "/instance/" + base + "/../x", get: "400"},
		{name: "climb, X without a prefix", host: "bp" + host, target: "/instance/" + dom + "/../x", get: "307 " + atDom + "/../x"},
		{name: "climb, DOMAIN", host: dom + host, target: "/../a", get: "serve /../a"},
		{name: "climb, DOMAIN by path", host: baseHost, target: "/instance/" + dom + "/../a", get: "307 " + atDom + "/../a"},
		{name: "no climb, query", host: baseHost, target: "/instance/" + base + "/a?/../", get: "serve /a"},
		{name: "no climb, three dots", host: baseHost, target: "/instance/" + base + "/...", get: "serve /..."},
		{name: "no climb, three dots inside", host: baseHost, target: "/instance/" + base + "/.../a", get: "serve /.../a"},
		{name: "no climb, one dot", host: baseHost, target: "/instance/" + base + "/./a", get: "serve /./a"},
		{name: "no climb, dots in a name", host: baseHost, target: "/instance/" + base + "/a..b/..c/d..", get: "serve /a..b/..c/d.."},
		{name: "no climb, escaped twice", host: baseHost, target: "/instance/" + base + "/%252e%252e/", get: "serve /%252e%252e/"},
		{name: "no climb, backslash", host: baseHost, target: "/instance/" + base + `/a%5c..%5cb`, get: `serve /a%5c..%5cb`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			table, site, strict := testTable(t), testSite(t, false), testSite(t, true)
			post := cmp.Or(tc.post, tc.get)
			socket := cmp.Or(tc.socket, tc.get)
			connect := cmp.Or(tc.socket, post)
			for _, try := range []struct {
				name string
				site *Site
				r    Request
				want string
			}{
				{"GET", site, Request{Method: "GET"}, tc.get},
				{"HEAD", site, Request{Method: "HEAD"}, tc.get},
				{"GET with a bearer", site, Request{Method: "GET", Bearer: true}, tc.get},
				{"POST", site, Request{Method: "POST"}, post},
				{"PUT", site, Request{Method: "PUT"}, post},
				{"OPTIONS", site, Request{Method: "OPTIONS"}, post},
				{"strict GET", strict, Request{Method: "GET"}, tc.get},
				{"strict POST", strict, Request{Method: "POST"}, tc.get},
				{"WebSocket", site, Request{Method: "GET", Upgrade: true}, socket},
				{"WebSocket over HTTP/2", site, Request{Method: "CONNECT", Protocol: "websocket"}, connect},
			} {
				try.r.Host, try.r.Target = tc.host, tc.target
				d := table.Decide(try.site, try.r)
				if got := short(d); got != try.want {
					t.Errorf("%s: got %q, want %q (%s)", try.name, got, try.want, d.Rule)
				}
			}
		})
	}
}

// A bearer opens the way that PUBLIC opens, and only in the right mode.
func TestUpgradeWithBearer(t *testing.T) {
	const host = ".apps.example.com"
	for _, tc := range []struct{ name, host, target, want string }{
		{"ID host, DOMAIN, P", domP + host, "/a", "serve /a"},
		{"another alias, DOMAIN", "dother" + host, "/a", "serve /a"},
		{"another alias, DOMAIN, none", "dalias" + host, "/instance/" + dom + "/", "serve /instance/" + dom + "/"},
		{"path, BASE_URL, P", "apps.example.com", "/instance/" + baseP + "/a", "serve /a"},
		{"another alias, BASE_URL, prefix", "bother" + host, "/instance/" + baseP + "/a", "serve /a"},
		{"another alias, BASE_URL, no prefix", "bother" + host, "/a", "302 https://bp" + host + ":8443/instance/" + baseP + "/a"},
		{"P, BASE_URL, no prefix", "bp" + host, "/a", "307 https://bp" + host + ":8443/instance/" + baseP + "/a"},
		{"ID host, BASE_URL", base + host, "/a", "307 " + origin + "/instance/" + base + "/a"},
		{"ID host, BASE_URL, prefix", base + host, "/instance/" + base + "/a", "307 " + origin + "/instance/" + base + "/a"},
		{"path, DOMAIN", "apps.example.com", "/instance/" + dom + "/a", "307 https://" + dom + host + ":8443/a"},
		{"own path", "dother" + host, "/.slipway/wait", "302 https://dp" + host + ":8443/.slipway/wait"},
		{"trailing dot", "dp" + host + ".", "/a", "307 https://dp" + host + ":8443/a"},
		{"climb", "bother" + host, "/instance/" + baseP + "/..", "400"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := Request{Method: "GET", Host: tc.host, Target: tc.target, Upgrade: true, Bearer: true}
			if got := short(testTable(t).Decide(testSite(t, false), r)); got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
		})
	}
}
