package routing

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestParseID(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		ok         bool
	}{
		{"lower case", dom, true},
		{"upper case", strings.ToUpper(dom), true},
		{"nil UUID", "00000000-0000-0000-0000-000000000000", true},
		{"all digits", "01234567-89ab-cdef-ABCD-EF0123456789", true},
		{"empty", "", false},
		{"short", dom[1:], false},
		{"long", dom + "0", false},
		{"no hyphens", strings.ReplaceAll(dom, "-", "0"), false},
		{"hyphen elsewhere", "d0d0d0d00-000-4000-8000-00000000000d", false},
		{"not hexadecimal", "g" + dom[1:], false},
		{"not hexadecimal at the end", dom[:35] + "G", false},
		{"braces", "{" + dom[1:35] + "}", false},
		{"beyond ASCII", dom[:34] + "\xc3\xa9", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			id, ok := ParseID(tc.text)
			if ok != tc.ok {
				t.Fatalf("parsed: %t", ok)
			}
			if ok && id.String() != strings.ToLower(tc.text) || !ok && id != (ID{}) {
				t.Errorf("got %s", id)
			}
		})
	}
}

func TestParseEndpoint(t *testing.T) {
	for _, tc := range []struct{ name, text, network, address string }{
		{"IPv4", "10.0.0.1:8080", "tcp", "10.0.0.1:8080"},
		{"IPv6", "[2001:DB8::0:1]:80", "tcp", "[2001:db8::1]:80"},
		{"IPv6 with zone", "[fe80::1%eth0]:80", "tcp", "[fe80::1%eth0]:80"},
		{"socket", "/run/slipway/a.sock", "unix", "/run/slipway/a.sock"},
		{"longest socket", "/" + strings.Repeat("a", 106), "unix", "/" + strings.Repeat("a", 106)},
		{"socket too long", "/" + strings.Repeat("a", 107), "", "socket path is longer"},
		{"folder", "/run/", "", "names a folder"},
		{"root", "/", "", "names a folder"},
		{"relative path", "run/a.sock", "", "neither"},
		{"placeholder", "/run/{env.HOME}", "", "braces"},
		{"placeholder as a zone", "[fe80::1%{a}]:80", "", "braces"},
		{"control character", "/run/a\n", "", "control character"},
		{"host name", "localhost:80", "", "neither"},
		{"no port", "10.0.0.1", "", "neither"},
		{"no address", ":80", "", "neither"},
		{"port 0", "10.0.0.1:0", "", "port is 0"},
		{"port too high", "10.0.0.1:65536", "", "neither"},
		{"URL", "http://10.0.0.1:80", "", "neither"},
		{"empty", "", "", `parse endpoint "": empty`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e, err := ParseEndpoint(tc.text)
			switch {
			case tc.network == "" && (err == nil || !strings.Contains(err.Error(), tc.address)):
				t.Errorf("got %v, want %q", err, tc.address)
			case tc.network != "" && err != nil:
				t.Error(err)
			case tc.network != "" && (e.Network() != tc.network || e.Address() != tc.address || e.IsZero()):
				t.Errorf("got %s %s", e.Network(), e.Address())
			}
		})
	}
	if zero := (Endpoint{}); !zero.IsZero() || zero.Network() != "" || zero.Address() != "" {
		t.Error("the zero endpoint is somewhere")
	}
}

// TestText is what a record of the store or a page of the console shows.
func TestText(t *testing.T) {
	type record struct {
		ID         ID
		Mode       Mode
		Status     Status
		Visibility Visibility
		Wake       WakePolicy
		Endpoint   Endpoint
	}
	const text = `{"ID":"` + dom + `","Mode":"BASE_URL","Status":"SUSPENDED","Visibility":"ALL_USERS","Wake":"owner","Endpoint":"10.0.0.1:80"}`
	var r record
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		t.Fatal(err)
	}
	if r.Mode != BaseURL || r.Status != Suspended || r.Visibility != AllUsers || r.Wake != WakeOwner {
		t.Errorf("got %+v", r)
	}
	if again, err := json.Marshal(r); err != nil || string(again) != text {
		t.Errorf("got %s, %v", again, err)
	}
	for _, tc := range []struct{ text, want string }{
		{`{"ID":"x"}`, "parse instance id: "},
		{`{"Mode":"domain"}`, `parse mode: unknown value "domain"`},
		{`{"Status":"TERMINATING"}`, "parse status: "},
		{`{"Visibility":""}`, "parse visibility: "},
		{`{"Wake":"VISITORS"}`, "parse wake policy: "},
		{`{"Endpoint":"x"}`, "parse endpoint "},
	} {
		if err := json.Unmarshal([]byte(tc.text), &r); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: got %v", tc.text, err)
		}
	}
	if err := json.Unmarshal([]byte(`{"Endpoint":""}`), &r); err != nil || !r.Endpoint.IsZero() {
		t.Errorf("an empty endpoint is %v, %v", r.Endpoint, err)
	}
	if _, err := json.Marshal(record{Mode: 9}); err == nil {
		t.Error("a mode without a name was encoded")
	}
}

func TestNames(t *testing.T) {
	for _, tc := range []struct{ got, want string }{
		{Domain.String(), "DOMAIN"}, {Failed.String(), "FAILED"}, {Unknown.String(), "UNKNOWN"},
		{Public.String(), "PUBLIC"}, {WakeVisitors.String(), "visitors"}, {Status(99).String(), "routing.Status(99)"},
		{Serve.String(), "serve"}, {Kind(99).String(), "Kind(99)"}, {Rule(99).String(), "Rule(99)"},
	} {
		if tc.got != tc.want {
			t.Errorf("got %q, want %q", tc.got, tc.want)
		}
	}
	if len(kindNames) != int(Console)+1 || len(ruleSentences) != int(RuleOwn)+1 {
		t.Error("a kind or a rule has no name")
	}
	for rule, sentence := range ruleSentences {
		if sentence == "" {
			t.Errorf("rule %d has no sentence", rule)
		}
	}
	for s, want := range map[string]Status{"PENDING": Pending, "DEPLOYED": Deployed, "UNKNOWN": Unknown} {
		if got, ok := ParseStatus(s); !ok || got != want {
			t.Errorf("ParseStatus(%q): %v, %t", s, got, ok)
		}
	}
	if _, ok := ParseStatus("TERMINATING"); ok {
		t.Error("TERMINATING is in the table")
	}
}
