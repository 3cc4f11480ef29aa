package caddymodule

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// TestACallEndsThoughTheControlPlaneStandsStill: it may take a connection and
// never say a word on it.
func TestACallEndsThoughTheControlPlaneStandsStill(t *testing.T) {
	for _, tc := range []struct {
		name, method, target, body string
		reads                      bool // it reads the request
		want                       time.Duration
	}{
		{"a question", "GET", "/api/v1/apps", "", true, 20 * time.Second},
		{"a change", "POST", "/api/v1/instances", "{}", true, 20 * time.Second},
		{"what takes no byte", "GET", "/api/v1/apps", "", false, 20 * time.Second},
		{"what takes nothing of a bundle", "POST", "/api/v1/bundles", strings.Repeat("x", 1<<20), false, 20 * time.Second},
		{"a wait for edges", "GET", "/api/v1/edges?revision=1&wait=30s", "", true, time.Minute},
		{"a bundle", "POST", "/api/v1/bundles?visibility=PUBLIC", "zip", true, 5 * time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rt, peer := pipeTransport()
				r, err := http.NewRequest(tc.method, "http://control-plane"+tc.target, strings.NewReader(tc.body))
				if err != nil {
					t.Fatal(err)
				}
				if tc.reads {
					go io.Copy(io.Discard, peer)
				}
				began := time.Now()
				resp, err := rt.RoundTrip(r)
				if err == nil {
					resp.Body.Close()
					t.Fatalf("it gives %d", resp.StatusCode)
				}
				if took := time.Since(began); took != tc.want {
					t.Errorf("it ends after %s, want %s: %v", took, tc.want, err)
				}
				rt.CloseIdleConnections()
				peer.Close()
			})
		})
	}
}

// TestAnAnswerOfTheControlPlaneMayPause: logs and watches go on for hours.
func TestAnAnswerOfTheControlPlaneMayPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt, peer := pipeTransport()
		go func() {
			defer peer.Close()
			if _, err := http.ReadRequest(bufio.NewReader(peer)); err != nil {
				t.Error(err)
			}
			io.WriteString(peer, "HTTP/1.1 200 OK\r\n\r\n")
			for range 3 {
				time.Sleep(time.Hour)
				io.WriteString(peer, "line\n")
			}
		}()
		r, err := http.NewRequest(http.MethodGet, "http://control-plane/api/v1/instances/x/logs?follow=true", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := rt.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if body, err := io.ReadAll(resp.Body); err != nil || string(body) != "line\nline\nline\n" {
			t.Errorf("%q, %v", body, err)
		}
	})
}

// pipeTransport is a transport whose one connection leads to peer.
func pipeTransport() (rt remoteTransport, peer net.Conn) {
	ours, peer := net.Pipe()
	return newRemoteTransport(func(context.Context, string, string) (net.Conn, error) {
		return progressConn{ours}, nil
	}), peer
}
