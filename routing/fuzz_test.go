package routing

import (
	"math/rand/v2"
	"net/netip"
	"regexp"
	"strings"
	"testing"
)

func FuzzHost(f *testing.F) {
	for _, seed := range []string{
		"apps.example.com", "DP.apps.example.com.:443", dom + ".apps.example.com", "shop.example.org",
		"[::1]:80", "user@apps.example.com", "a..b", "127.0.0.1", ":", ".", "", "a:0", "a:65536", "\xff",
	} {
		f.Add(seed)
	}
	table, site := testTable(f), testSite(f, false)
	f.Fuzz(func(t *testing.T, s string) {
		host, ok := parseHost(s, site.base)
		if kind := table.Host(site, s).Kind; (kind == HostInvalid) == ok {
			t.Fatalf("%q: parsed %t, but its kind is %d", s, ok, kind)
		}
		if got, want := host.name, wantHost(s); ok != (want != "") || !strings.EqualFold(got, want) {
			t.Fatalf("%q: got %q, %t, want %q", s, got, ok, want)
		}
		if !ok {
			return
		}
		lower := strings.ToLower(host.name)
		if host.upper != (lower != host.name) {
			t.Errorf("%q: upper is %t", s, host.upper)
		}
		a, b := table.Host(site, s), table.Host(site, lower)
		if b.dot = a.dot; a != b {
			t.Errorf("%q: is %+v, but %q is %+v", s, a, lower, b)
		}
		if addr, err := netip.ParseAddr(lower); err == nil && a.Kind != HostUnknown {
			t.Errorf("%q: the address %s is of kind %d", s, addr, a.Kind)
		}
	})
}

// wantHost says §1 once more, plainly: the host's name in lower case, or "".
func wantHost(s string) string {
	name, port, _ := strings.Cut(strings.ToLower(s), ":")
	if strings.Trim(port, "0123456789") != "" {
		return ""
	}
	if port != "" {
		if port = strings.TrimLeft(port, "0"); port == "" || len(port) > 5 || len(port) == 5 && port > "65535" {
			return ""
		}
	}
	name = strings.TrimSuffix(name, ".")
	if len(name) > 253 {
		return ""
	}
	for label := range strings.SplitSeq(name, ".") {
		if len(label) < 1 || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return ""
		}
	}
	// ToLower maps the Kelvin sign to a letter; the grammar knows bytes only.
	if strings.ContainsFunc(s, func(r rune) bool { return r > 0x7f }) {
		return ""
	}
	return name
}

func FuzzDecide(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		q := randomRequest(r)
		f.Add(r.Uint64(), q.Method, q.Host, q.Target, q.Upgrade, q.Bearer)
	}
	f.Add(uint64(0), "OPTIONS", "", "*", false, false)
	f.Add(uint64(1), "GET", "", "http://a.apps.example.com", false, false)
	site := testSite(f, false)
	tables := make([]*Table, 64)
	for i := range tables {
		tables[i] = randomTable(f, rand.New(rand.NewPCG(uint64(i), 3)))
	}
	f.Fuzz(func(t *testing.T, seed uint64, method, host, target string, upgrade, bearer bool) {
		table := tables[seed%uint64(len(tables))]
		request := Request{Method: method, Host: host, Target: target, Upgrade: upgrade, Bearer: bearer}
		checkDecision(t, table, site, request, table.Decide(site, request))
	})
}

func FuzzID(f *testing.F) {
	for _, seed := range []string{
		dom, strings.ToUpper(base), "0123456789abcdefABCDEF", "g" + dom[1:], "@" + dom[1:], ":" + dom[1:], dom[:35] + "`",
	} {
		f.Add(seed)
	}
	pattern := regexp.MustCompile("^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$")
	f.Fuzz(func(t *testing.T, s string) {
		id, upper, ok := parseID(s)
		if ok != (pattern.MatchString(s) && len(s) == idLen) {
			t.Fatalf("%q: parsed %t", s, ok)
		}
		if ok && (id.String() != strings.ToLower(s) || upper != (strings.ToLower(s) != s)) {
			t.Errorf("%q: got %s, upper %t", s, id, upper)
		}
	})
}

// TestEveryByteOfAnID puts each byte at each place of an ID.
func TestEveryByteOfAnID(t *testing.T) {
	for at := range idLen {
		for c := range 256 {
			text := []byte(dom)
			text[at] = byte(c)
			want := strings.IndexByte("0123456789abcdefABCDEF", byte(c)) >= 0
			if dom[at] == '-' {
				want = c == '-'
			}
			id, ok := ParseID(string(text))
			if ok != want || ok && id.String() != strings.ToLower(string(text)) {
				t.Errorf("%q: %s, %t", text, id, ok)
			}
		}
	}
}

func FuzzEndpoint(f *testing.F) {
	for _, seed := range []string{
		"10.0.0.1:8080", "[::1]:80", "[fe80::1%eth0]:80", "/run/a.sock", "/run/{env.X}", "[::1%{a}]:1",
		"localhost:80", ":80", "1.2.3.4", "1.2.3.4:0", "", "/", "a/b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e, err := ParseEndpoint(s)
		if (err != nil) != e.IsZero() {
			t.Fatalf("%q: %+v, %v", s, e, err)
		}
		if err != nil {
			return
		}
		if strings.ContainsAny(e.Address(), "{}\x00\r\n\x7f") {
			t.Errorf("%q: address %q", s, e.Address())
		}
		again, err := ParseEndpoint(e.Address())
		if err != nil || again != e {
			t.Errorf("%q: %q parses as %q, %v", s, e.Address(), again.Address(), err)
		}
		if _, err := netip.ParseAddrPort(e.Address()); (err == nil) != (e.Network() == "tcp") {
			t.Errorf("%q: network %s, %v", s, e.Network(), err)
		}
	})
}
