package access

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// askWakes: nobody wakes what they may not open (spec routing.md §4).
func (w *world) askWakes(t *testing.T) {
	rita, ann := w.people["rita"], w.people["ann"]
	foreign := w.things.instances["ALL_USERS DOMAIN ON_DEMAND"]
	for _, e := range w.edges {
		t.Run(e.name, func(t *testing.T) {
			in := rita.run(t, w.things.served["DOMAIN ON_DEMAND"], "ALL_USERS")
			defer rita.must(t, "DELETE", "/instances/"+in.ID, "", nil)
			w.await(t, in, "DEPLOYED")
			// fiona keeps a pass of the time when she might have opened it.
			b := e.newBrowser("fiona")
			b.signIn(t)
			b.enter(t, in)
			old := bearerOf(t, w.people["fiona"].ticket(t, e, in))
			rita.must(t, "PATCH", "/instances/"+in.ID, `{"visibility":"PRIVATE"}`, nil)
			rita.must(t, "POST", "/instances/"+in.ID+"/suspend", "", nil)
			w.await(t, in, "SUSPENDED")
			var asleep v1.Instance
			ann.must(t, "GET", "/instances/"+in.ID, "", &asleep)
			plain := &http.Client{Transport: e.transport}
			for name, got := range map[string]string{
				"nobody":                    w.people[""].call(t, e, in),
				"nobody's page":             e.newBrowser("").visit(t, in),
				"a visitor":                 w.people["victor"].browser(t, e).visit(t, in),
				"an admin":                  ann.browser(t, e).visit(t, in),
				"who had the right":         ask(t, b.Client, "GET "+in.URL, "").verdict(),
				"who had a ticket":          ask(t, plain, "GET "+in.URL, "", old).verdict(),
				"a ticket of another":       ask(t, plain, "GET "+in.URL, "", bearerOf(t, ann.ticket(t, e, foreign))).verdict(),
				"a personal token":          ask(t, plain, "GET "+in.URL, "", "Authorization: Bearer "+rita.token).verdict(),
				"a WebSocket":               upgrade(t, plain, in, ""),
				"a WebSocket of a stranger": upgrade(t, plain, in, "https://evil.example"),
			} {
				if got != "login" && got != "403" && got != "404" {
					t.Errorf("%s: %s", name, got)
				}
			}
			var now v1.Instance
			if ann.must(t, "GET", "/instances/"+in.ID, "", &now); now.Status != "SUSPENDED" || !now.UpdatedAt.Equal(asleep.UpdatedAt) {
				t.Errorf("it is %s", now.Status)
			}
			owner := e.newBrowser("rita")
			owner.signIn(t)
			if got := owner.visit(t, in); got != "✓" {
				t.Errorf("its owner: %s", got)
			}
		})
	}
}

// upgrade asks for a WebSocket by nobody.
func upgrade(t *testing.T, c *http.Client, in *v1.Instance, origin string) string {
	t.Helper()
	headers := []string{"Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + strings.Repeat("A", 22) + "=="}
	if origin != "" {
		headers = append(headers, "Origin: "+origin)
	}
	return ask(t, c, fmt.Sprintf("GET %sws", in.URL), "", headers...).verdict()
}
