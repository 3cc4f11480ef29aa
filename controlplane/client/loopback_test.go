package client

import (
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

func TestLocalhostNamesAreLoopback(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answerJSON(w, 200, v1.Me{User: r.Host})
	}))
	defer s.Close()
	_, port, _ := net.SplitHostPort(s.Listener.Addr().String())
	for _, host := range []string{"localhost", "console.localhost", "a.b.LOCALHOST", "x.localhost."} {
		me, err := connect(t, "http://"+host+":"+port).Me(t.Context())
		if err != nil || me.User != host+":"+port {
			t.Errorf("%s: %v, %v", host, me, err)
		}
	}
	for _, host := range []string{"notlocalhost", "localhost.example.com", "127.0.0.1"} {
		if IsLocalhost(host) {
			t.Errorf("%s is taken for localhost", host)
		}
	}
}

func TestLocalhostFallsBackToIPv6(t *testing.T) {
	l, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6: ", err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	conn, err := DialLoopback(t.Context(), "tcp", "x.localhost:"+port)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
}
