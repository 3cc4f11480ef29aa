package caddymodule_test

import (
	"io"
	"net/http"
	"testing"
)

// TestABrokenBodyIsTheClientsFault: 502 says that an app does not answer, and
// no client may make an app look like that.
func TestABrokenBodyIsTheClientsFault(t *testing.T) {
	e := startEdge(t, nil)
	in := instance(1, serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "hello")
	}))
	e.put(in)
	head := "POST / HTTP/1.1\r\nHost: " + in.ID + "." + base + "\r\n"
	for name, rest := range map[string]string{
		"no chunk size":       "Transfer-Encoding: chunked\r\n\r\nzz\r\nabc\r\n",
		"bare LF at the end":  "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\n",
		"a folded trailer":    "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: 1\r\n 2\r\n\r\n",
		"bare LF in the size": "Transfer-Encoding: chunked\r\n\r\n1;a\nb\r\nx\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			resp := e.raw(head + rest)
			if resp.StatusCode != http.StatusBadRequest || !resp.Close || resp.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s, closes %v, %v", resp.Status, resp.Close, resp.Header)
			}
		})
	}
	if resp := e.raw(head + "Content-Length: 3\r\nConnection: close\r\n\r\nabc"); text(resp) != "hello" {
		t.Errorf("a whole body: %s", resp.Status)
	}
}
