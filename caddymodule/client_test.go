package caddymodule

import (
	"net/http/httptest"
	"testing"
)

// The client is the last address that no trusted proxy has: what it claims of
// itself stands before that.
func TestTheClientsAddress(t *testing.T) {
	trusted, err := parseTrustedProxies([]string{"10.0.0.0/8", "::1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct{ remote, sent, want string }{
		{"192.0.2.1:5", "", "192.0.2.1"},
		{"192.0.2.1:5", "203.0.113.9", "192.0.2.1"},
		{"10.0.0.1:5", "", "10.0.0.1"},
		{"10.0.0.1:5", "203.0.113.9", "203.0.113.9"},
		{"10.0.0.1:5", "1.1.1.1, 203.0.113.9", "203.0.113.9"},
		{"10.0.0.1:5", "1.1.1.1, 203.0.113.9, 10.2.3.4", "203.0.113.9"},
		{"10.0.0.1:5", "10.9.9.9,10.2.3.4", "10.9.9.9"},
		{"[::1]:5", "1.1.1.1,, garbage", "garbage"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = tc.remote
		if tc.sent != "" {
			r.Header.Set("X-Forwarded-For", tc.sent)
		}
		if got := trusted.client(r); got != tc.want {
			t.Errorf("%s with %q: %q, want %q", tc.remote, tc.sent, got, tc.want)
		}
	}
}
