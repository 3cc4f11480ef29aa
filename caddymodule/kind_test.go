package caddymodule

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
)

const (
	chrome = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
	html   = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"
)

func TestWhatARequestIs(t *testing.T) {
	navigation := "Accept: " + html + "|User-Agent: " + chrome + "|Sec-Fetch-Mode: navigate|Sec-Fetch-Dest: document"
	for _, tc := range []struct {
		name, method, rest string
		headers            string // with | between them
		want               kind
	}{
		{"a navigation", "GET", "/", navigation, kindPage},
		{"a navigation in a frame", "GET", "/", "Accept: " + html + "|Sec-Fetch-Mode: navigate|Sec-Fetch-Dest: iframe", kindPage},
		{"an old browser", "GET", "/", "Accept: " + html + "|User-Agent: " + chrome, kindPage},
		{"a script's fetch of HTML", "GET", "/", "Accept: " + html + "|Sec-Fetch-Mode: cors", kindRequest},
		{"an image", "GET", "/a.png", "Accept: image/*|Sec-Fetch-Mode: no-cors", kindRequest},
		{"curl", "GET", "/", "Accept: */*|User-Agent: curl/8.5.0", kindRequest},
		{"no Accept", "GET", "/", "", kindRequest},
		{"JSON", "GET", "/", "Accept: application/json, text/html;q=0.5", kindRequest},
		{"a form's POST", "POST", "/", navigation, kindRequest},
		{"a POST", "POST", "/", "Content-Type: application/json", kindRequest},
		{"a WebSocket", "GET", "/", "Sec-Fetch-Mode: websocket|websocket: yes", kindWebSocket},
		{"events", "GET", "/", "Accept: text/event-stream|Sec-Fetch-Mode: cors", kindStream},
		{"gRPC", "POST", "/", "Content-Type: application/grpc+proto|h2: yes", kindGRPC},
		{"gRPC over HTTP/1.1 is none", "POST", "/", "Content-Type: application/grpc", kindRequest},
		{"gRPC-Web", "POST", "/", "Content-Type: application/grpc-web|h2: yes", kindRequest},
		{"respond-async", "POST", "/", "Prefer: wait=5, Respond-Async;x=1", kindAsync},
		{"respond-async of a page", "GET", "/", navigation + "|Prefer: respond-async", kindAsync},
		{"another preference", "GET", "/", "Prefer: return=minimal", kindRequest},
		{"a preflight", "OPTIONS", "/", "Origin: https://a.example|Access-Control-Request-Method: PUT", kindPreflight},
		{"a preflight of the icon", "OPTIONS", "/favicon.ico", "Origin: https://a.example|Access-Control-Request-Method: GET", kindProbe},
		{"a probe's preflight", "OPTIONS", "/", "Origin: https://a.example|Access-Control-Request-Method: PUT|User-Agent: Our-Probe/7", kindProbe},
		{"OPTIONS", "OPTIONS", "/", "", kindRequest},
		{"HEAD", "HEAD", "/", navigation, kindProbe},
		{"the icon", "GET", "/favicon.ico", "Sec-Fetch-Mode: no-cors", kindProbe},
		{"another icon", "GET", "/img/favicon.ico", "Sec-Fetch-Mode: no-cors", kindRequest},
		{"robots.txt", "GET", "/robots.txt", navigation, kindProbe},
		{"a prefetch", "GET", "/", navigation + "|Sec-Purpose: prefetch", kindProbe},
		{"a prerendering", "GET", "/", navigation + "|Sec-Purpose: prefetch;prerender", kindProbe},
		{"an older prefetch", "GET", "/", navigation + "|Purpose: prefetch", kindProbe},
		{"Slack", "GET", "/", "Accept: " + html + "|User-Agent: Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", kindProbe},
		{"a probe with respond-async", "GET", "/", "Prefer: respond-async|User-Agent: kube-probe/1.30", kindProbe},
		{"an uptime probe", "GET", "/", "User-Agent: Mozilla/5.0+(compatible; UptimeRobot/2.0; http://www.uptimerobot.com/)", kindProbe},
		{"the operator's probe", "GET", "/", "User-Agent: Our-Probe/7", kindProbe},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := &http.Request{Method: tc.method, Header: http.Header{}, ProtoMajor: 1, ProtoMinor: 1}
			a := arrival{Request: r, rest: tc.rest, probes: newProbes([]string{"Our-Probe"})}
			for line := range strings.SplitSeq(tc.headers, "|") {
				switch name, value, _ := strings.Cut(line, ": "); name {
				case "":
				case "websocket":
					a.webSocket = true
				case "h2":
					r.ProtoMajor, r.ProtoMinor = 2, 0
				default:
					r.Header.Add(name, value)
				}
			}
			if got := a.kind(); got != tc.want {
				t.Errorf("kind %d, want %d", got, tc.want)
			}
		})
	}
}

// What is in the lists is in lower case, as it is compared, in order, and in
// the documentation.
func TestTheListsOfProbesAreDocumented(t *testing.T) {
	text, err := os.ReadFile("../docs/waking.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, list := range [][]string{unfurlers, uptimeProbes} {
		if !slices.IsSorted(list) {
			t.Errorf("not in order: %q", list)
		}
		for _, part := range list {
			if part != strings.ToLower(part) || !strings.Contains(string(text), "`"+part+"`") {
				t.Errorf("%q is not in lower case, or not in docs/waking.md", part)
			}
		}
	}
}
