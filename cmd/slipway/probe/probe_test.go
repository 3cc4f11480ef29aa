package probe_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/seed-dbc68772/slipway/cmd/slipway/probe"
)

func TestProbe(t *testing.T) {
	var asked atomic.Int32
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Host != "apps.test", r.URL.Path == "/never":
			w.WriteHeader(http.StatusNotFound)
		case r.URL.Path == "/elsewhere":
			http.Redirect(w, r, "/", http.StatusFound)
		case r.URL.Path == "/later" && asked.Add(1) == 1:
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	plain, secure := httptest.NewServer(handler), httptest.NewTLSServer(handler)
	defer plain.Close()
	defer secure.Close()
	to := func(s *httptest.Server) string { return "--connect=" + s.Listener.Addr().String() }
	for name, tc := range map[string]struct {
		args []string
		want string // in the error; empty: there is none
	}{
		"two that answer":           {[]string{to(plain), "http://apps.test/", "http://apps.test/x"}, ""},
		"one that answers later":    {[]string{to(plain), "http://apps.test/later"}, ""},
		"one of them does not":      {[]string{to(plain), "--within=600ms", "http://apps.test/", "http://apps.test/never"}, "/never"},
		"an answer that is no good": {[]string{to(plain), "--within=600ms", "http://apps.test/never"}, "404"},
		"a redirect":                {[]string{to(plain), "--within=600ms", "http://apps.test/elsewhere"}, "302"},
		"nobody there":              {[]string{"--connect=127.0.0.1:1", "--within=600ms", "http://apps.test/"}, "refused"},
		"a strange certificate":     {[]string{to(secure), "--within=600ms", "https://apps.test/"}, "certificate"},
		"one that may be strange":   {[]string{to(secure), "--insecure", "https://apps.test/"}, ""},
		"no URL":                    {nil, "at least 1"},
	} {
		t.Run(name, func(t *testing.T) {
			var out strings.Builder
			cmd := probe.Command(&out)
			cmd.SetArgs(tc.args)
			cmd.SilenceUsage, cmd.SilenceErrors = true, true
			err := cmd.Execute()
			if tc.want == "" && err != nil || tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("the error is %v, wanted %q", err, tc.want)
			}
		})
	}
}
