package routing

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// TestSteps is what an operator reads of each kind of decision.
func TestSteps(t *testing.T) {
	const host = ".apps.example.com"
	const parsed, taken = "parse 0 the host is a host name and the target a path", "method 0 the method is taken"
	table, site := testTable(t), testSite(t, false)
	for _, tc := range []struct {
		name    string
		request Request
		want    []string
		found   string // of the last step
	}{
		{"TRACE, whatever the host", Request{Method: "TRACE", Host: "[::1]", Target: "/"},
			[]string{"method 405 " + RuleMethod.String()}, "TRACE"},
		{"another protocol", Request{Method: "CONNECT", Protocol: "udp", Host: "dp" + host, Target: "/"},
			[]string{"method 501 " + RuleProtocol.String()}, "CONNECT with :protocol udp"},
		{"bad host", Request{Method: "GET", Host: "[::1]", Target: "/"},
			[]string{"parse 400 " + RuleHost.String()}, `host "[::1]", target "/"`},
		{"bad target", Request{Method: "GET", Target: "http://dp" + host + "/%zz"},
			[]string{"parse 400 " + RuleTarget.String()}, `host "dp` + host + `" of the target, target "/%zz"`},
		{"unknown label", Request{Method: "GET", Host: "nobody" + host, Target: "/"},
			[]string{parsed, taken, "known 404 " + RuleUnknownLabel.String()}, "an unknown host"},
		{"unassigned", Request{Method: "GET", Host: "freed" + host, Target: "/"},
			[]string{parsed, taken, "known 404 " + RuleInactiveAlias.String()}, "alias freed, unassigned"},
		{"unknown path", Request{Method: "GET", Host: host[1:], Target: "/x"},
			[]string{parsed, taken, "known 404 " + RuleUnknownPath.String()}, `the base domain, path "/x"`},
		{"control plane", Request{Method: "GET", Host: host[1:], Target: "/api/"},
			[]string{parsed, taken, "known 0 " + RuleControl.String()}, `the base domain, path "/api/"`},
		{"root", Request{Method: "GET", Host: host[1:], Target: "/"},
			[]string{parsed, taken, "known 0 the base domain is known", "canonical 302 " + RuleConsoleRoot.String()},
			"to https://console.apps.example.com:8443/"},
		{"climb", Request{Method: "GET", Host: "bp" + host, Target: "/.."},
			[]string{parsed, taken, "known 0 the alias leads to a live instance", "canonical 400 " + RuleClimb.String()}, `path "/.."`},
		{"alias", Request{Method: "GET", Host: "dother" + host, Target: "/a"},
			[]string{parsed, taken, "known 0 the alias leads to a live instance", "canonical 302 " + RuleOtherAlias.String()},
			"to https://dp.apps.example.com:8443/a"},
		{"foreign", Request{Method: "GET", Host: "bp" + host, Target: "/instance/" + dom + "/"},
			[]string{parsed, taken, "known 0 the path names another live instance than the alias does", "canonical 307 " + RuleForeign.String()},
			"to https://" + dom + host + ":8443/"},
		{"path", Request{Method: "GET", Host: host[1:], Target: "/instance/" + base + "/a"},
			[]string{parsed, taken, "known 0 the path begins with a live instance's prefix", "canonical 0 " + RuleServePath.String()},
			`mode BASE_URL, path "/a" below the instance's name`},
		{"socket with a bearer", Request{Method: "GET", Host: "dother" + host, Target: "/a", Upgrade: true, Bearer: true},
			[]string{parsed, taken, "known 0 the alias leads to a live instance", "canonical 0 " + RuleServeUpgrade.String()},
			"the request carries a bearer"},
		{"own", Request{Method: "GET", Host: dom + host, Target: "/.slipway/x"},
			[]string{parsed, taken, "known 0 the label is a live instance's ID", "canonical 0 " + RuleOwn.String()},
			`mode DOMAIN, path "/.slipway/x" below the instance's name`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := table.Decide(site, tc.request)
			steps := table.Steps(site, tc.request, d)
			var got []string
			for _, s := range steps {
				got = append(got, fmt.Sprintf("%s %d %s", s.Name, s.Status, s.Rule))
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("steps\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(tc.want, "\n"))
			}
			if last := steps[len(steps)-1]; last.Found != tc.found {
				t.Errorf("found %s, want %s", last.Found, tc.found)
			}
		})
	}
}

// The last step is the decision's, whatever is decided, and no earlier one ends.
func TestTheLastStepIsTheDecision(t *testing.T) {
	table, site := testTable(t), testSite(t, false)
	seen := map[Rule]bool{}
	order := []string{StepParse, StepMethod, StepKnown, StepCanonical}
	for _, r := range everyRequest() {
		d := table.Decide(site, r)
		steps := table.Steps(site, r, d)
		seen[d.Rule] = true
		last := steps[len(steps)-1]
		if last.Rule != d.Rule.String() || last.Status != d.Status {
			t.Errorf("%+v: the last step is %+v, the decision %s", r, last, short(d))
		}
		for i, s := range steps[:len(steps)-1] {
			if s.Status != 0 || s.Rule == "" || s.Found == "" || s.Name != order[i] {
				t.Errorf("%+v: step %d is %+v", r, i, s)
			}
		}
	}
	for rule := RuleMethod; int(rule) < len(ruleSentences); rule++ {
		if !seen[rule] {
			t.Errorf("no request is decided by: %s", rule)
		}
	}
}

// everyRequest is every host with every target, method and way to ask.
func everyRequest() (all []Request) {
	const host = ".apps.example.com"
	hosts := []string{"", "a b", host[1:], "console" + host, "nobody" + host, "a.b" + host, "else.example", "shop.example.org",
		"free" + host, "orphan" + host, gone + host, dom + host + "."}
	for _, name := range []string{dom, domP, domC, base, baseP, basePub, "dalias", "dp", "dother", "dcother", "balias", "bp", "bother", "pub", "pub2"} {
		hosts = append(hosts, name+host)
	}
	targets := []string{"*", "/", "/a?b", "/..", "/%zz", "/api/x", "/.slipway/x", "http://dp" + host + "/x"}
	for _, id := range []string{dom, domP, base, baseP, basePub, gone} {
		targets = append(targets, "/instance/"+id, "/instance/"+id+"/a", "/instance/"+strings.ToUpper(id)+"/.slipway/x", "/instance/"+id+"/..")
	}
	for _, r := range []Request{{Method: "GET"}, {Method: "GET", Upgrade: true}, {Method: "GET", Upgrade: true, Bearer: true},
		{Method: "POST"}, {Method: "OPTIONS"}, {Method: "TRACE"}, {Method: "CONNECT"}, {Method: "CONNECT", Protocol: "websocket"}, {Method: "CONNECT", Protocol: "x"}} {
		for _, r.Host = range hosts {
			for _, r.Target = range targets {
				all = append(all, r)
			}
		}
	}
	return all
}
