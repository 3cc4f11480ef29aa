package up

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/routing"
)

// TestGreet: the console's line signs in where no provider does.
func TestGreet(t *testing.T) {
	const plain = `(?m)^  Console     http://console\.localhost/$`
	provider := "https://auth.example.com"
	for _, tc := range []struct {
		name  string
		info  v1.LoginInfo
		link  int // the status of the answer about the link
		quiet bool
		want  string
	}{
		{"without a provider", v1.LoginInfo{}, 201, false,
			`(?m)^  Console     http://console\.localhost/link\?token=slw_l_X  \(once, within (59|60) s; slipway login --link gives another\)$`},
		{"with a provider", v1.LoginInfo{Provider: &provider}, 409, false, plain},
		{"where no link can be made", v1.LoginInfo{}, 503, false, plain},
		{"quiet", v1.LoginInfo{}, 201, true, `^ready\n$`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			asked := 0
			mux := http.NewServeMux()
			answer := func(w http.ResponseWriter, status int, v any) {
				w.Header().Set("Content-Type", "application/json")
				w.WriteHeader(status)
				json.NewEncoder(w).Encode(v)
			}
			mux.HandleFunc("GET localhost/api/v1/login", func(w http.ResponseWriter, r *http.Request) { answer(w, 200, tc.info) })
			mux.HandleFunc("POST localhost/api/v1/login/link", func(w http.ResponseWriter, r *http.Request) {
				if asked++; r.Header.Get("Authorization") != "Bearer slw_admin" {
					t.Errorf("Authorization: %q", r.Header.Get("Authorization"))
				}
				answer(w, tc.link, v1.LoginLink{URL: "http://console.localhost/link?token=slw_l_X", ExpiresAt: time.Now().Add(time.Minute)})
			})
			s := httptest.NewServer(mux)
			defer s.Close()
			site, err := routing.NewSite(routing.SiteConfig{BaseURL: "http://localhost"})
			if err != nil {
				t.Fatal(err)
			}
			var out strings.Builder
			r := &run{Options: Options{Listen: s.Listener.Addr().String(), Quiet: tc.quiet, Out: &out}, site: site, token: "slw_admin"}
			r.greet(t.Context(), "")
			if !regexp.MustCompile(tc.want).MatchString(out.String()) || !strings.HasSuffix(out.String(), "ready\n") {
				t.Errorf("it prints\n%s", out.String())
			}
			if (tc.link == 409 || tc.quiet) && asked > 0 {
				t.Error("it makes a link that nobody sees")
			}
		})
	}
}
