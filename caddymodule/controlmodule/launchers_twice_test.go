package controlmodule

import (
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

func TestWhatALauncherIsGivenTwice(t *testing.T) {
	for block, want := range map[string]string{ // empty: it is accepted
		"process {\n data /a\n data /b\n}":                                 "data is given twice",
		"process {\n stop_on_exit\n stop_on_exit\n}":                       "stop_on_exit is given twice",
		"process {\n hide /a\n hide /b\n}":                                 "",
		"kubernetes {\n namespace a\n namespace b\n}":                      "namespace is given twice",
		"kubernetes {\n user 1000\n user 1001\n}":                          "user is given twice",
		"kubernetes {\n image a\n image b\n}":                              "image is given twice",
		"kubernetes {\n pods {\n }\n pods {\n }\n}":                        "pods is given twice",
		"kubernetes {\n network off\n network off\n}":                      "network is given twice",
		"kubernetes {\n pods {\n runtime_class a\n runtime_class b\n }\n}": "runtime_class is given twice",
		"kubernetes {\n pods {\n toleration a\n toleration b\n }\n}":       "",
		"kubernetes {\n pull_secret a\n pull_secret b\n}":                  "",
		"kubernetes {\n profile a {\n }\n profile b {\n }\n}":              "",
	} {
		var l caddyfile.Unmarshaler = new(Kubernetes)
		if strings.HasPrefix(block, "process") {
			l = new(Process)
		}
		err := l.UnmarshalCaddyfile(caddyfile.NewTestDispenser(block))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: error %v, want %q", block, err, want)
		}
	}
}
