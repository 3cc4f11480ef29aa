package caddymodule_test

import (
	"os"
	"strings"
	"testing"
)

func TestAServerWithoutAGuardIsWarnedOf(t *testing.T) {
	for name, tc := range map[string]struct {
		wrappers []any
		want     bool
	}{
		"with it":      {[]any{settings{"wrapper": "slipway"}}, false},
		"without":      {nil, true},
		"with another": {[]any{settings{"wrapper": "http_redirect"}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t, nil)
			e.change(func(_, server map[string]any) { server["listener_wrappers"] = tc.wrappers })
			e.load()
			e.load() // a reload, too
			stopCaddy(t)()
			log, err := os.ReadFile(e.log)
			if err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(string(log), "nothing checks the framing"); got != tc.want {
				t.Errorf("warned: %v, want %v", got, tc.want)
			}
		})
	}
}
