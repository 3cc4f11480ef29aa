package manual_test

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/launchertest"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/manual"
)

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")}

func TestConformance(t *testing.T) {
	launchertest.Run(t, func(t *testing.T) launchertest.Fixture {
		servers := map[string]*httptest.Server{}
		return launchertest.Fixture{
			Launcher: lead(t, manual.New(manual.Config{Allow: loopback, Interval: 20 * time.Millisecond})),
			Workload: func(t *testing.T, id string, g int64, b launchertest.Behaviour) launcher.Workload {
				s := httptest.NewUnstartedServer(http.NotFoundHandler())
				address := s.Listener.Addr().String()
				t.Cleanup(s.Close)
				switch b {
				case launchertest.Serves, launchertest.Stubborn:
					s.Start()
					servers[address] = s
				case launchertest.SlowStart:
					s.Listener.Close()
					timer := time.AfterFunc(500*time.Millisecond, func() {
						if l, err := net.Listen("tcp", address); err == nil {
							s.Listener = l
							s.Start()
						}
					})
					t.Cleanup(func() {
						if !timer.Stop() {
							time.Sleep(50 * time.Millisecond)
						}
					})
				default:
					s.Listener.Close()
				}
				return workload(id, g, "http://"+address, "")
			},
			End: func(_ *testing.T, f launcher.Fact) { servers[f.Endpoint].Close() },
		}
	})
}

func lead(t *testing.T, l *manual.Launcher) *manual.Launcher {
	t.Helper()
	if err := l.Lead(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	return l
}

func workload(id string, g int64, address, health string) launcher.Workload {
	return launcher.Workload{InstanceID: id, Generation: g, App: app(address, health)}
}

func app(address, health string) *controlplane.App {
	return &controlplane.App{
		AppMode: controlplane.Manual,
		Manifest: controlplane.Manifest{
			Runtime: controlplane.Runtime{Address: address, HealthPath: health},
		},
	}
}

func TestCheck(t *testing.T) {
	l := manual.New(manual.Config{
		Allow: loopback,
		Deny:  func(a netip.AddrPort) bool { return a.Port() == 8088 },
	})
	defer l.Close(t.Context(), false, 0)
	for _, c := range []struct{ name, address, code, text string }{
		{"loopback is allowed", "http://127.0.0.1:8080", "", ""},
		{"IPv6 loopback is allowed", "http://[::1]:8080", "", ""},
		{"a mapped address is what it maps to", "http://[::ffff:10.0.0.1]:80", "launcher_down", "10.0.0.1:80 is not in a network"},
		{"a host name is looked at later", "http://localhost:8080/", "", ""},
		{"another network is not", "http://10.0.0.1:80", "launcher_down", "address 10.0.0.1:80 is not in a network that this launcher may use (launcher manual { allow"},
		{"an own port is not", "http://127.0.0.1:8088", "launcher_down", "8088"},
		{"https is not", "https://127.0.0.1:80", "bad_bundle", "http://host:port"},
		{"a path is not", "http://127.0.0.1:80/x", "bad_bundle", "http://host:port"},
		{"nothing is not", "", "bad_bundle", "http://host:port"},
		{"port 0 is not", "http://127.0.0.1:0", "bad_bundle", "port"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := l.Check(app(c.address, ""))
			switch {
			case c.code == "" && len(got) == 0:
			case len(got) == 1 && string(got[0].Code) == c.code && strings.Contains(got[0].Text, c.text):
			default:
				t.Errorf("got %v, want %s %q", got, c.code, c.text)
			}
		})
	}
	if got := l.Check(&controlplane.App{AppMode: controlplane.Python}); len(got) != 1 {
		t.Errorf("a Python app: %v", got)
	}
	wide := manual.New(manual.Config{Allow: []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0"), netip.MustParsePrefix("169.254.7.0/24")}})
	defer wide.Close(t.Context(), false, 0)
	for address, taken := range map[string]bool{
		"10.0.0.1": true, "[2001:db8::1]": true, "169.254.7.1": true,
		"127.0.0.1": false, "127.9.9.9": false, "[::1]": false, "[::ffff:127.0.0.1]": false, "0.0.0.0": false, "[::]": false,
		"169.254.169.254": false, "[fe80::1]": false, "224.0.0.1": false, "[ff02::1]": false,
		"[fd00:ec2::254]": false, "[fd20:ce::254]": false, "100.100.100.200": false, "192.0.0.192": false, "168.63.129.16": false,
	} {
		got := wide.Check(app("http://"+address+":80", ""))
		if (len(got) == 0) != taken || !taken && got[0].Code != controlplane.LauncherDown {
			t.Errorf("every network is allowed, and %s gives %v", address, got)
		}
	}
	none := manual.New(manual.Config{})
	defer none.Close(t.Context(), false, 0)
	if got := none.Check(app("http://127.0.0.1:80", "")); len(got) != 1 {
		t.Errorf("nothing is allowed by default, but %v", got)
	}
}

func TestAHostNameIsCheckedAtEachProbe(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	var refuse atomic.Bool
	l := lead(t, manual.New(manual.Config{
		Allow:    loopback,
		Deny:     func(netip.AddrPort) bool { return refuse.Load() },
		Interval: 10 * time.Millisecond,
	}))
	defer l.Close(t.Context(), false, 0)
	o := launchertest.Observe(t, l)
	if err := l.Start(t.Context(), workload("i", 1, "http://localhost:"+port, "")); err != nil {
		t.Fatal(err)
	}
	o.Ready("i", 1)
	refuse.Store(true)
	if end := o.Ended("i", 1); !end.WasReady || end.Reason == nil || end.Reason.Code != controlplane.LauncherDown {
		t.Errorf("end %+v (%v)", end, end.Reason)
	}
}

func TestHealth(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		code   controlplane.ReasonCode
	}{
		{"200 is ready", 200, ""},
		{"302 is ready", 302, ""},
		{"503 is not", 503, controlplane.HealthTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path != "/healthz" || "http://"+r.Host != fmt.Sprintf("http://%s", r.Context().Value(http.LocalAddrContextKey)) {
					w.WriteHeader(http.StatusTeapot)
					return
				}
				w.WriteHeader(c.status)
			}))
			defer server.Close()
			l := lead(t, manual.New(manual.Config{Allow: loopback}))
			defer l.Close(t.Context(), false, 0)
			o := launchertest.Observe(t, l)
			w := workload("i", 1, server.URL, "/healthz")
			w.HealthTimeout = 10 * time.Second
			if c.code != "" {
				w.HealthTimeout = 200 * time.Millisecond
			}
			if err := l.Start(t.Context(), w); err != nil {
				t.Fatal(err)
			}
			if c.code == "" {
				o.Ready("i", 1)
				return
			}
			if end := o.Ended("i", 1); end.Reason == nil || end.Reason.Code != c.code {
				t.Errorf("end %+v (%v), want %s", end, end.Reason, c.code)
			}
		})
	}
}
