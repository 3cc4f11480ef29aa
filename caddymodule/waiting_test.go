package caddymodule_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/identity"
)

const htmlAccept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"

// ask sends a request over a transport; the header has | between its lines.
func (e *edge) ask(transport http.RoundTripper, method, url, header string, body io.Reader) (*http.Response, error) {
	e.t.Helper()
	r, err := http.NewRequestWithContext(e.t.Context(), method, url, body)
	if err != nil {
		e.t.Fatal(err)
	}
	for line := range strings.SplitSeq(header, "|") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			r.Header.Add(name, value)
		}
	}
	return transport.RoundTrip(r)
}

// intent is the one to wake an instance; nil: there is none.
func (e *edge) intent(id string) *controlplane.WakeIntent {
	e.t.Helper()
	resp, err := e.etcd.Get(e.t.Context(), e.prefix+"wake/"+id)
	if err != nil {
		e.t.Fatal(err)
	}
	if len(resp.Kvs) == 0 {
		return nil
	}
	var intent controlplane.WakeIntent
	if err := json.Unmarshal(resp.Kvs[0].Value, &intent); err != nil {
		e.t.Fatal(err)
	}
	return &intent
}

// The table of spec instances.md §3, over HTTP: nobody starts the instance.
func TestWhatAVisitToASleepingInstanceGets(t *testing.T) {
	const patient = 400 * time.Millisecond
	e := startEdge(t, settings{"hold": patient, "page_grace": 50 * time.Millisecond, "probes": []string{"Our-Probe"}})
	keys := e.keys()
	navigation := "Accept: " + htmlAccept + "|Sec-Fetch-Mode: navigate|Sec-Fetch-Dest: document"
	socket := "Connection: Upgrade|Upgrade: websocket|Sec-WebSocket-Version: 13|Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="
	preflight := "Origin: https://other.example|Access-Control-Request-Method: PUT"
	for n, tc := range []struct {
		name, method, path, header string
		http2                      bool
		private                    bool
		status                     int
		kind                       string // of the intent; "": none
		waits                      bool   // for the hold
		want                       string // in the body, or a header
	}{
		{"curl", "GET", "/a", "Accept: */*|User-Agent: curl/8.5.0", false, false, 503, "request", true, `"code":"still_starting"`},
		{"curl over HTTP/2", "GET", "/a", "Accept: */*|User-Agent: curl/8.5.0", true, false, 503, "request", true, `"code":"still_starting"`},
		{"a browser", "GET", "/a", navigation, false, false, 503, "page", false, `data-wait="/.slipway/wait"`},
		{"a browser over HTTP/2", "GET", "/a", navigation, true, false, 503, "page", false, `data-wait="/.slipway/wait"`},
		{"an old browser", "GET", "/a", "Accept: " + htmlAccept, false, false, 503, "page", false, `data-wait="/.slipway/wait"`},
		{"a form", "POST", "/a", navigation, false, false, 503, "request", true, "Nothing reached it"},
		{"a script", "GET", "/a", "Accept: " + htmlAccept + "|Sec-Fetch-Mode: cors", false, false, 503, "request", true, `"code":"still_starting"`},
		{"a WebSocket", "GET", "/a", socket, false, false, 503, "websocket", true, `"code":"still_starting"`},
		{"events", "GET", "/a", "Accept: text/event-stream", false, false, 503, "stream", true, `"code":"still_starting"`},
		{"gRPC", "POST", "/a", "Content-Type: application/grpc", true, false, 200, "grpc", true, "Grpc-Status: 14"},
		{"respond-async", "POST", "/a", "Prefer: respond-async", false, false, 202, "request", false, "Location: URL/.slipway/status"},
		{"a preflight", "OPTIONS", "/a", preflight, false, false, 503, "request", true, `"code":"still_starting"`},
		{"a preflight of a private one", "OPTIONS", "/a", preflight + "|ANN", false, true, 204, "", false, ""},
		{"a preflight of nobody", "OPTIONS", "/a", preflight, false, true, 401, "", false, ""},
		{"a private one", "GET", "/a", "ANN", false, true, 503, "request", true, `"code":"still_starting"`},
		{"HEAD", "HEAD", "/a", navigation, false, false, 503, "", false, ""},
		{"the icon", "GET", "/favicon.ico", "", false, false, 503, "", false, `"code":"asleep"`},
		{"robots", "GET", "/robots.txt", "", false, false, 503, "", false, `"code":"asleep"`},
		{"prefetch", "GET", "/a", navigation + "|Sec-Purpose: prefetch;prerender", false, false, 503, "", false, "not woken for this"},
		{"an unfurler", "GET", "/a", "User-Agent: Slackbot-LinkExpanding 1.0", false, false, 503, "", false, `"code":"asleep"`},
		{"an uptime probe", "GET", "/a", "User-Agent: Uptime-Kuma/1.23", false, false, 503, "", false, `"code":"asleep"`},
		{"the events, for a prefetch", "GET", "/.slipway/wait", "Sec-Purpose: prefetch", false, false, 503, "", false, `"code":"asleep"`},
		{"the events, for an unfurler", "GET", "/.slipway/wait", "User-Agent: Slackbot-LinkExpanding 1.0", false, false, 503, "", false, `"code":"asleep"`},
		{"the operator's", "GET", "/a", "User-Agent: x our-PROBE 3", false, false, 503, "", false, `"code":"asleep"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			e := *e
			e.t = t
			in := instance(100+n, "")
			in.Status = controlplane.Suspended
			header := tc.header
			if tc.private {
				in.Visibility = controlplane.Private
				bearer := e.pass(keys, visitors["owner"], identity.PassBearer, in.ID, nil)
				header = strings.ReplaceAll(header, "ANN", "Authorization: Bearer "+bearer)
			}
			e.put(in)
			transport := e.http.Transport
			if tc.http2 {
				transport = e.overHTTP2()
			}
			began := time.Now()
			resp, err := e.ask(transport, tc.method, urlOf(in)+tc.path, header, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			if resp.StatusCode != tc.status {
				t.Fatalf("status %d, want %d", resp.StatusCode, tc.status) // its body may be a stream
			}
			body := text(resp)
			if took := time.Since(began); tc.waits && took < patient {
				t.Errorf("answered after %s", took)
			}
			for name, values := range resp.Header {
				body += "\n" + name + ": " + strings.Join(values, ", ")
			}
			want := strings.ReplaceAll(tc.want, "URL", urlOf(in))
			if !strings.Contains(body, want) {
				t.Errorf("%s, want %s", body, want)
			}
			if tc.status == 503 && resp.Header.Get("Retry-After") == "" || resp.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%v", resp.Header)
			}
			intent := e.intent(in.ID)
			switch {
			case tc.kind == "" && intent != nil:
				t.Errorf("it woke: %+v", intent)
			case tc.kind != "" && (intent == nil || intent.Kind != tc.kind || intent.Source != "127.0.0.1" || (intent.User == "ann") != tc.private):
				t.Errorf("intent %+v, want kind %s", intent, tc.kind)
			}
		})
	}
	e.wantNoErrors()
}

// What is held is served when the instance runs, and says how long it took.
func TestWhatWaitsIsServed(t *testing.T) {
	e := startEdge(t, nil)
	e.http.Transport.(*http.Transport).ExpectContinueTimeout = patience // of the client's
	app := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/ws" {
			echo(w, r)
			return
		}
		if r.Method == http.MethodPost {
			n, err := io.Copy(io.Discard, r.Body)
			fmt.Fprintf(w, "%d bytes, %v", n, err)
			return
		}
		w.Header().Set("Content-Type", r.Header.Get("Accept"))
		w.Header().Set("Server-Timing", "app;dur=1")
		fmt.Fprint(w, "data: hello\n\n")
	})
	for n, tc := range []struct {
		name, method, header, want string
		size                       int
	}{
		{"a request", "GET", "Accept: */*", "data: hello\n\n", 0},
		{"a page", "GET", "Accept: text/html|Sec-Fetch-Mode: navigate", "data: hello\n\n", 0},
		{"events", "GET", "Accept: text/event-stream", "data: hello\n\n", 0},
		{"a small POST", "POST", "", "3 bytes, <nil>", 3},
		{"a large POST", "POST", "", "10485760 bytes, <nil>", 10 << 20},
		{"a large POST that asks first", "POST", "Expect: 100-continue", "10485760 bytes, <nil>", 10 << 20},
	} {
		for name, transport := range map[string]http.RoundTripper{"HTTP/1.1": e.http.Transport, "HTTP/2": e.overHTTP2()} {
			t.Run(tc.name+" over "+name, func(t *testing.T) {
				e := *e
				e.t = t
				in := instance(200+n, "")
				in.Status = controlplane.Suspended
				e.put(in)
				sent := &counted{Reader: strings.NewReader(strings.Repeat("x", tc.size))}
				type answer struct {
					resp *http.Response
					err  error
				}
				answered := make(chan answer, 1)
				go func() {
					var body io.Reader
					if tc.size > 0 {
						body = sent
					}
					resp, err := e.ask(transport, tc.method, urlOf(in)+"/", tc.header, body)
					answered <- answer{resp, err}
				}()
				eventually(t, "it waits", func() bool { return e.table().Waiters() == 1 })
				if tc.size > 1<<20 {
					// What the system takes, and nothing that anybody reads.
					for last := int64(-1); last != sent.n.Load(); time.Sleep(50 * time.Millisecond) {
						last = sent.n.Load()
					}
					if most := int64(8 << 20); sent.n.Load() > most || strings.Contains(tc.header, "Expect") && name == "HTTP/1.1" && sent.n.Load() > 0 {
						t.Errorf("%d bytes of the body were taken while it waits", sent.n.Load())
					}
				}
				in.Status, in.Generation = controlplane.Resuming, 2
				e.put(in)
				in.Status, in.Endpoint = controlplane.Deployed, app
				e.put(in)
				a := <-answered
				if a.err != nil {
					t.Fatal(a.err)
				}
				defer a.resp.Body.Close()
				if got := text(a.resp); got != tc.want {
					t.Errorf("%q, want %q", got, tc.want)
				}
				times := strings.Join(a.resp.Header["Server-Timing"], ", ")
				if !strings.HasPrefix(times, "slipway-wake;dur=") || !strings.Contains(times, "slipway-wake-start;dur=") ||
					tc.method == "GET" && !strings.HasSuffix(times, "app;dur=1") {
					t.Errorf("Server-Timing: %s", times)
				}
				e.update(func(tx controlplane.Tx) error { return tx.Delete(in) })
			})
		}
	}
	t.Run("a WebSocket", func(t *testing.T) {
		in := instance(300, "")
		in.Status = controlplane.Suspended
		e.put(in)
		done := make(chan struct{})
		go func() {
			defer close(done)
			e.talk(e.dial(urlOf(in)+"/ws"), "hi")
		}()
		eventually(t, "it waits", func() bool { return e.table().Waiters() == 1 })
		in.Status, in.Endpoint = controlplane.Deployed, app
		e.put(in)
		<-done
	})
	e.wantNoErrors()
}

// event reads the next event of a stream, as its name and data.
func event(t *testing.T, from *bufio.Reader) string {
	t.Helper()
	name, data := "", ""
	for {
		line, err := from.ReadString('\n')
		if err != nil {
			return err.Error()
		}
		switch line = strings.TrimSpace(line); {
		case strings.HasPrefix(line, "event: "):
			name = line[7:]
		case strings.HasPrefix(line, "data:"):
			data = strings.TrimSpace(line[5:])
		case line == "" && name != "":
			return name + " " + data
		}
	}
}

func TestTheWaitingPageIsToldOfTheStart(t *testing.T) {
	e := startEdge(t, nil)
	for n, mode := range []controlplane.RoutingMode{controlplane.Domain, controlplane.BaseURL} {
		in := instance(400+n, "")
		in.Status, in.RoutingMode = controlplane.Suspended, mode
		e.put(in)
		url := urlOf(in)
		if mode == controlplane.BaseURL {
			url = "http://" + base + "/instance/" + in.ID
		}
		resp, err := e.ask(e.http.Transport, "GET", url+"/.slipway/wait", "Accept: text/event-stream", nil)
		if err != nil || resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
			t.Fatal(resp, err)
		}
		defer resp.Body.Close()
		stream := bufio.NewReader(resp.Body)
		expect := func(want string) {
			t.Helper()
			for {
				got := event(t, stream)
				if strings.Contains(got, want) {
					return
				}
				if !strings.HasPrefix(got, "state") {
					t.Fatalf("%s, want %s", got, want)
				}
			}
		}
		expect(`"status":"SUSPENDED"`)
		eventually(t, "an intent", func() bool { intent := e.intent(in.ID); return intent != nil && intent.Kind == "page" })
		e.update(func(tx controlplane.Tx) error {
			tx.PutProgress(in.ID, &controlplane.Progress{Generation: 1, Stage: controlplane.StageQueued, Queue: 3, Since: time.Now(), TypicalMS: 5000})
			return nil
		})
		expect(`"queue":3`)
		in.Status, in.Generation = controlplane.Resuming, 2
		e.put(in)
		e.update(func(tx controlplane.Tx) error {
			tx.PutProgress(in.ID, &controlplane.Progress{Generation: 2, Stage: controlplane.StageDependencies, Since: time.Now(), Text: "numpy"})
			return nil
		})
		expect(`"stage":"dependencies"`)
		if got := text(e.do("GET", url+"/.slipway/status")); !strings.Contains(got, `"text":"numpy"`) {
			t.Errorf("the status is %s", got)
		}
		in.Status, in.Endpoint = controlplane.Deployed, dead
		e.put(in)
		expect("load")
		if got := event(t, stream); got != "EOF" {
			t.Errorf("after load: %s", got)
		}
	}
	eventually(t, "nobody waits", func() bool { return e.table().Waiters() == 0 })
	e.wantNoErrors()
}

// An app that is broken costs next to nothing, whoever asks for it.
func TestABrokenAppIsRefusedAtOnce(t *testing.T) {
	e := startEdge(t, nil)
	in := instance(1, "")
	in.Status = controlplane.Failed
	e.put(in)
	e.update(func(tx controlplane.Tx) error {
		tx.PutProgress(in.ID, &controlplane.Progress{
			Generation: 1, RetryAt: time.Now().Add(30 * time.Second),
			Reason: &controlplane.Reason{Code: controlplane.Crashed, Text: "exit status 3"},
		})
		return nil
	})
	before, err := e.etcd.Get(t.Context(), "nothing")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	for range 1000 {
		resp := e.do("GET", urlOf(in)+"/")
		if body := text(resp); resp.StatusCode != 503 || !strings.Contains(body, `"reason":"crashed"`) || strings.Contains(body, "exit status") ||
			resp.Header.Get("Retry-After") < "2" {
			t.Fatalf("%d %s %v", resp.StatusCode, body, resp.Header)
		}
	}
	t.Logf("figure: 1,000 visits one after the other in %s", time.Since(began).Round(time.Millisecond))
	page := text(e.do("GET", urlOf(in)+"/x?y", "Accept", htmlAccept))
	if !strings.Contains(page, "It ended by itself.") || strings.Contains(page, "exit status") || strings.Contains(page, "http-equiv") {
		t.Errorf("the page is %s", page)
	}
	if e.intent(in.ID) != nil {
		t.Error("somebody woke it")
	}
	after, err := e.etcd.Get(t.Context(), "nothing")
	if err != nil {
		t.Fatal(err)
	}
	if writes := after.Header.Revision - before.Header.Revision; writes > 10 { // reports of edges, at their own pace
		t.Errorf("%d writes to the store", writes)
	}
}

func TestStartsAndPlacesAreLimited(t *testing.T) {
	e := startEdge(t, settings{"waiters_per_instance": 1, "waiters_per_source": 1, "trusted_proxies": []string{"127.0.0.1"}})
	in := instance(1, "")
	in.Status = controlplane.Suspended
	e.put(in)
	limit := func(kind controlplane.StartKind, of string) {
		e.update(func(tx controlplane.Tx) error {
			tx.LimitStarts(kind, of, time.Minute)
			return nil
		})
	}
	limit(controlplane.StartsOfSource, "203.0.113.7")
	limit(controlplane.StartsOfAnonymous, "2001:db8::/64")
	limit(controlplane.StartsOfSource, "127.0.0.1") // nobody's
	for _, from := range []string{"203.0.113.7", "::ffff:203.0.113.7", "2001:db8::17"} {
		resp := e.do("GET", urlOf(in)+"/", "X-Forwarded-For", from)
		if body := text(resp); resp.StatusCode != 429 || !strings.Contains(body, "too_many_starts") || resp.Header.Get("Retry-After") == "" {
			t.Errorf("from %s: %d %s", from, resp.StatusCode, body)
		}
	}
	if e.intent(in.ID) != nil {
		t.Error("it was woken")
	}
	first := make(chan *http.Response, 1)
	go func() {
		resp, _ := e.ask(e.http.Transport, "GET", urlOf(in)+"/", "X-Forwarded-For: 198.51.100.1", nil)
		first <- resp
	}()
	eventually(t, "an intent", func() bool { return e.intent(in.ID) != nil })
	resp := e.do("GET", urlOf(in)+"/")
	if body := text(resp); resp.StatusCode != 503 || !strings.Contains(body, "too_many_waiters") || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	resp = e.do("GET", urlOf(in)+"/", "X-Forwarded-For", "198.51.100.1")
	if body := text(resp); resp.StatusCode != 429 || !strings.Contains(body, "too_many_waiters") || resp.Header.Get("Retry-After") == "" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	limit(controlplane.StartsOfAnonymous, "198.51.100.1") // his intent is taken back
	if resp := <-first; resp == nil || resp.StatusCode != 429 {
		t.Errorf("%+v", resp)
	} else {
		resp.Body.Close()
	}
}

func TestThePolicySaysWhoWakes(t *testing.T) {
	e := startEdge(t, settings{"hold": 200 * time.Millisecond})
	keys := e.keys()
	for n, tc := range []struct {
		policy controlplane.WakePolicy
		who    string
		code   string
	}{
		{controlplane.WakeOwner, "owner", "still_starting"},
		{controlplane.WakeOwner, "admin", "wake_not_allowed"},
		{controlplane.WakeOwner, "anonymous", "wake_not_allowed"},
		{controlplane.WakeNever, "owner", "wake_not_allowed"},
	} {
		in := instance(1+n, "")
		in.Status, in.Wake = controlplane.Suspended, tc.policy
		e.put(in)
		bearer := "Bearer none"
		if tc.who != "anonymous" {
			bearer = "Bearer " + e.pass(keys, visitors[tc.who], identity.PassBearer, in.ID, nil)
		}
		resp := e.do("GET", urlOf(in)+"/", "Authorization", bearer)
		if body := text(resp); resp.StatusCode != 503 || !strings.Contains(body, tc.code) {
			t.Errorf("%s by %s: %d %s, want %s", tc.policy, tc.who, resp.StatusCode, body, tc.code)
		}
		if woke := e.intent(in.ID) != nil; woke != (tc.code == "still_starting") {
			t.Errorf("%s by %s: woke %v", tc.policy, tc.who, woke)
		}
	}
}
