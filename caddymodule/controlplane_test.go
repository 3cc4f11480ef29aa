package caddymodule_test

import (
	"net/http"
	"strings"
	"testing"
)

func TestTheControlPlaneAnswersOnItsHostsAlone(t *testing.T) {
	e := startEdge(t, settings{"control_plane": settings{
		"blobs":     t.TempDir(),
		"launchers": settings{"manual": settings{"allow": []string{"127.0.0.0/8"}}, "process": settings{"data": t.TempDir()}},
	}})
	for range 2 { // before and after a reload
		for url, want := range map[string]int{
			"http://" + base + "/api/v1/apps":         http.StatusUnauthorized,
			"http://" + base + "/api/openapi.json":    http.StatusOK,
			"http://" + base + "/api/v1/../v1/apps":   http.StatusNotFound,
			"http://console." + base + "/":            http.StatusOK,
			"http://nobody." + base + "/api/v1/apps":  http.StatusNotFound,
			"http://else.example/api/openapi.json":    http.StatusNotFound,
			"http://" + base + "/ocs/v2.php/anything": http.StatusNotFound,
		} {
			resp := e.raw("GET " + strings.TrimPrefix(url, "http://"+hostOf(url)) + " HTTP/1.1\r\nHost: " + hostOf(url) + "\r\n\r\n")
			if resp.StatusCode != want {
				t.Errorf("%s gives %d, want %d", url, resp.StatusCode, want)
			}
		}
		e.load()
	}
	e.wantNoErrors()
}

func hostOf(url string) string {
	host, _, _ := strings.Cut(strings.TrimPrefix(url, "http://"), "/")
	return host
}
