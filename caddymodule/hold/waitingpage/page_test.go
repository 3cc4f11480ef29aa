package waitingpage_test

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"html"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/caddymodule/hold/waitingpage"
	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/routing"
)

var now = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func seen(status routing.Status, p *controlplane.Progress) waitingpage.Seen {
	return waitingpage.Seen{Instance: &routing.Instance{Status: status, Owner: "ann"}, Progress: p, URL: "https://x.apps.test/"}
}

// noise is an icon that no compression makes smaller.
func noise() []byte {
	out := make([]byte, controlplane.MaxIcon)
	_, _ = rand.NewChaCha8([32]byte{}).Read(out) // never an error
	return out
}

// hostile is text that must stay text.
const hostile = `</script><script>alert(1)</script>"'><img src=x>`

func page(t *testing.T, s waitingpage.State) string {
	t.Helper()
	p := waitingpage.Page{State: s, Title: hostile + strings.Repeat("x", 480), WaitPath: "/.slipway/wait", StatusPath: "/.slipway/status",
		Icon: noise(), IconPath: "/favicon.ico", LogURL: "https://console.apps.test/", Command: "slipway instance logs x"}
	out, err := p.HTML()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func starting() *controlplane.Progress {
	percent := 40
	return &controlplane.Progress{Stage: controlplane.StageQueued, Since: now.Add(-12 * time.Second), TypicalMS: 30_000, Queue: 7,
		Percent: &percent, Text: hostile}
}

func failed() *controlplane.Progress {
	return &controlplane.Progress{Reason: &controlplane.Reason{Code: controlplane.Crashed, Text: "exit status 3, in /secret/path"}, RetryAt: now.Add(90 * time.Second)}
}

func TestWhoWakesASleepingApp(t *testing.T) {
	for _, c := range []struct {
		wake  routing.WakePolicy
		owner bool
		want  string
	}{
		{routing.WakeVisitors, false, "The app slept, and a visit wakes it."},
		{routing.WakeOwner, true, "The app slept, and a visit wakes it."},
		{routing.WakeOwner, false, "The app sleeps until its owner opens it."},
		{routing.WakeNever, true, "The app sleeps until it is started by hand."},
	} {
		s := seen(routing.Suspended, nil)
		s.Instance.Wake, s.Owner = c.wake, c.owner
		if got := waitingpage.StateOf(s, now).Message; got != c.want {
			t.Errorf("%v, owner %v: %q", c.wake, c.owner, got)
		}
	}
}

func TestThePageIsSmallAndNeedsNothingElse(t *testing.T) {
	outside := regexp.MustCompile(`(?i)<iframe|<form|@import|url\(|https?://[^c]`)
	for name, s := range map[string]waitingpage.State{
		"starting": waitingpage.StateOf(seen(routing.Resuming, starting()), now),
		"failed":   waitingpage.StateOf(seen(routing.Failed, failed()), now),
	} {
		text := page(t, s)
		var small bytes.Buffer
		w := gzip.NewWriter(&small)
		w.Write([]byte(text))
		w.Close()
		if small.Len() >= 14_000 {
			t.Errorf("%s: %d bytes compressed", name, small.Len())
		}
		t.Logf("figure: %s: %d bytes, %d compressed", name, len(text), small.Len())
		if strings.Contains(text, hostile) || strings.Contains(text, "<script>alert") {
			t.Errorf("%s: text became markup", name)
		}
		visible := regexp.MustCompile(`(?s)data-state="[^"]*"`).ReplaceAllString(text, "")
		if found := outside.FindString(html.UnescapeString(strings.ReplaceAll(visible, html.EscapeString(hostile), ""))); found != "" {
			t.Errorf("%s: it wants %q", name, found)
		}
	}
}

// What the policy allows is what is in the page, byte for byte.
func TestThePolicyAllowsThePagesOwnParts(t *testing.T) {
	text := page(t, waitingpage.StateOf(seen(routing.Resuming, starting()), now))
	for _, part := range []string{"style", "script"} {
		found := regexp.MustCompile(`(?s)<`+part+`>(.*?)</`+part+`>`).FindAllStringSubmatch(text, -1)
		if len(found) != 1 {
			t.Fatalf("%d parts of %s", len(found), part)
		}
		sum := sha256.Sum256([]byte(found[0][1]))
		if want := part + "-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(waitingpage.Policy, want) {
			t.Errorf("the policy is %s, and %s is %s", waitingpage.Policy, part, want)
		}
	}
	if strings.Contains(text, " style=") || strings.Contains(text, " onclick=") {
		t.Error("the policy forbids what is in an attribute")
	}
}

// The address of the refresh is whole, and stays text.
func TestTheRefreshNamesTheAddress(t *testing.T) {
	for _, tc := range []struct{ name, address, want string }{
		{"plain", "https://x.apps.test/a%20b/?c=d&e;f,g", `3;url=https://x.apps.test/a%20b/?c=d&e;f,g`},
		{"marks", `https://x.apps.test/?"'><script> ` + "\t\xff\xc3\xa4", "3;url=https://x.apps.test/?%22%27%3E%3Cscript%3E%20%09%FF%C3%A4"},
		{"no address", "", "3"},
		{"a very long one", "https://x.apps.test/" + strings.Repeat("x", 3000), "3"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			p := waitingpage.Page{State: waitingpage.StateOf(seen(routing.Resuming, starting()), now), Address: tc.address}
			out, err := p.HTML()
			if err != nil {
				t.Fatal(err)
			}
			found := regexp.MustCompile(`<meta http-equiv="refresh" content="([^"]*)">`).FindSubmatch(out)
			if found == nil || html.UnescapeString(string(found[1])) != tc.want {
				t.Errorf("%q, not %q", found, tc.want)
			}
		})
	}
}

func TestWhatAStateSays(t *testing.T) {
	long := starting()
	long.Queue, long.Percent, long.Stage, long.Since = 0, nil, controlplane.StageDependencies, now.Add(-200*time.Second)
	silent := starting()
	silent.Percent = nil
	owned := seen(routing.Failed, failed())
	owned.Owner = true
	for _, tc := range []struct {
		name     string
		seen     waitingpage.Seen
		message  string
		time     string
		progress int
		reason   string
	}{
		{"asleep", seen(routing.Suspended, nil), "The app slept, and a visit wakes it.", "", -1, ""},
		{"queued", seen(routing.Suspended, starting()), "The app waits for its turn to start: place 7 in the queue.", "12 s so far; after the queue it usually takes about 30 s.", 40, ""},
		{"queued, and the app says nothing", seen(routing.Suspended, silent), "The app waits for its turn to start: place 7 in the queue.", "12 s so far; after the queue it usually takes about 30 s.", -1, ""},
		{"installing", seen(routing.Pending, long), "What the app needs is being installed.", "3 min 20 s so far; it usually takes about 30 s.", 95, ""},
		{"nothing known", seen(routing.Pending, nil), "The app is being started for the first time.", "", -1, ""},
		{"running", seen(routing.Deployed, starting()), "The app is ready.", "", -1, ""},
		{"failed", seen(routing.Failed, failed()), "The app could not be started.", "", -1, "It ended by itself."},
		{"failed, the owner's", owned, "The app could not be started.", "", -1, "exit status 3, in /secret/path"},
		{"failed, nobody knows why", seen(routing.Failed, nil), "The app could not be started.", "", -1, "Its owner finds the reason with: slipway instance get"},
		{"failed and queued again", seen(routing.Failed, starting()), "The app waits for its turn to start: place 7 in the queue.", "12 s so far; after the queue it usually takes about 30 s.", 40, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := waitingpage.StateOf(tc.seen, now)
			reason := ""
			if s.Reason != nil {
				reason = s.Reason.Text
			}
			if s.Message != tc.message || s.Time() != tc.time || s.Progress() != tc.progress || reason != tc.reason {
				t.Errorf("%q, %q, %d, %q", s.Message, s.Time(), s.Progress(), reason)
			}
			if raw, err := json.Marshal(s); err != nil || reason == "It ended by itself." && strings.Contains(string(raw), "secret") {
				t.Errorf("%s, %v", raw, err)
			}
		})
	}
}
