package access

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/controlplane/identity/oidctest"
	"github.com/seed-dbc68772/slipway/test/internal/slipwaytest"
)

// How long a right that has ended is still had at most (spec access.md §6): by
// new requests, and by what is open.
const (
	newRequests = 2 * time.Second
	openOnes    = 5 * time.Second
)

// ending is a right that somebody has, to an instance of their own.
type ending struct {
	visitor  string
	roles    []string // of the visitor; full without any
	managed  bool     // an instance of a MANAGED app, for visitors with its tag's role
	aliased  bool     // by an alias of the instance
	byTicket bool     // as a program
	end      func(t *testing.T, w *world, c *ended)
}

// ended is what an ending is done to.
type ended struct {
	ending
	in      *v1.Instance
	app     *v1.App
	browser *browser // at the edge with the control plane
	alias   string
}

var endings = map[string]ending{
	"visibility of the instance": {end: func(t *testing.T, w *world, c *ended) {
		w.people["rita"].must(t, "PATCH", "/instances/"+c.in.ID, `{"visibility":"PRIVATE"}`, nil)
	}},
	"visibility of a MANAGED app": {roles: []string{"team"}, managed: true, end: func(t *testing.T, w *world, c *ended) {
		w.people["ann"].must(t, "PATCH", "/apps/"+c.app.ID, `{"visibility":"PRIVATE"}`, nil)
	}},
	"tag of a MANAGED app": {roles: []string{"team"}, managed: true, end: func(t *testing.T, w *world, c *ended) {
		w.people["ann"].must(t, "PATCH", "/apps/"+c.app.ID, `{"tags":[]}`, nil)
	}},
	"role, seen at another sign-in": {end: func(t *testing.T, w *world, c *ended) {
		w.idp.SetRoles(c.visitor, "other")
		w.pure().newBrowser(c.visitor).signIn(t)
	}},
	"sign-out": {end: func(t *testing.T, _ *world, c *ended) { c.browser.signOut(t, false) }},
	"sign-out everywhere, in another browser": {end: func(t *testing.T, w *world, c *ended) {
		b := w.pure().newBrowser(c.visitor)
		b.signIn(t)
		b.signOut(t, true)
	}},
	"sign-out at the provider": {end: func(t *testing.T, w *world, c *ended) {
		a := w.idp.BackChannelLogout(t, c.visitor, w.console("/backchannel-logout"), oidctest.Logout{Client: &http.Client{Transport: w.pure().transport}})
		if a.StatusCode != http.StatusOK {
			t.Errorf("logout token: %s", a.Status)
		}
	}},
	"user disabled": {end: func(t *testing.T, w *world, c *ended) {
		w.people["ann"].must(t, "PATCH", "/users/"+c.visitor, `{"disabled":true}`, nil)
	}},
	"user disabled, by ticket": {byTicket: true, end: func(t *testing.T, w *world, c *ended) {
		w.people["ann"].must(t, "PATCH", "/users/"+c.visitor, `{"disabled":true}`, nil)
	}},
	"token deleted": {byTicket: true, end: func(t *testing.T, w *world, c *ended) {
		w.people[c.visitor].must(t, "DELETE", "/tokens/current", "", nil)
	}},
	"alias moved to another owner's instance": {aliased: true, end: func(t *testing.T, w *world, c *ended) {
		w.people["ann"].must(t, "PUT", "/aliases/"+c.alias+"/assignment", fmt.Sprintf(`{"instance_id":%q,"primary":true}`, w.things.changed["PRIVATE"].ID), nil)
	}},
}

// askEnds: a right that ends, ends at every edge, for new requests and for what
// is open.
func (w *world) askEnds(t *testing.T) {
	number := 0
	for name, e := range endings {
		number++
		e.visitor = fmt.Sprintf("guest-%d", number)
		if e.roles == nil {
			e.roles = []string{"full"}
		}
		c := w.begin(t, e, number)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.run(t, w)
		})
	}
}

// begin makes the visitor and the instance.
func (w *world) begin(t *testing.T, e ending, number int) *ended {
	t.Helper()
	c := &ended{ending: e}
	p := w.person(e.visitor, e.roles...)
	owner := w.people["rita"]
	if e.managed {
		owner = w.people["ann"] // who alone runs such apps of others
		c.app = owner.importApp(t, serving(fmt.Sprintf("managed-%d", number), "DOMAIN", "MANAGED", ""), "ALL_USERS")
		owner.must(t, "PATCH", "/apps/"+c.app.ID, `{"tags":["shared"]}`, nil)
	} else {
		c.app = w.things.served["DOMAIN ON_DEMAND"]
	}
	c.in = owner.run(t, c.app, "ALL_USERS")
	if e.aliased {
		c.alias = fmt.Sprintf("moves-%d", number)
		w.people["ann"].must(t, "POST", "/aliases", fmt.Sprintf(`{"name":%q,"instance_id":%q,"primary":true}`, c.alias, c.in.ID), nil)
		owner.must(t, "GET", "/instances/"+c.in.ID, "", c.in) // whose URL has changed
	}
	w.await(t, c.in, "DEPLOYED")
	if e.byTicket {
		p.takeToken(t)
	}
	c.browser = p.browser(t, w.control())
	return c
}

// opened is what somebody has open at an edge.
type opened struct {
	edge    *edge
	socket  *socket
	streams map[string]chan error
	again   func() int // the status of a new request
}

func (c *ended) run(t *testing.T, w *world) {
	var all []*opened
	for _, e := range w.edges {
		b, headers := c.browser.at(e), []string(nil)
		if c.byTicket {
			b, headers = e.newBrowser(c.visitor), []string{bearerOf(t, w.people[c.visitor].ticket(t, e, c.in))}
		} else {
			slipwaytest.Eventually(t, "the instance opens at "+e.name, func() bool { return b.visit(t, c.in) == "✓" })
		}
		o := &opened{edge: e, socket: b.socket(t, c.in.URL, headers...), streams: map[string]chan error{}}
		o.again = func() int { return ask(t, b.Client, "GET "+c.in.URL, "", headers...).StatusCode }
		if status := o.again(); status != http.StatusOK {
			t.Fatalf("%s: %d before the end", e.name, status)
		}
		o.socket.listen(t.Context())
		for name, query := range map[string]string{"event stream": "endless", "download": "endless?download"} {
			o.streams[name] = streamed(t, open(t, b.Client, "GET "+c.in.URL+query, "", headers...))
		}
		all = append(all, o)
	}

	c.end(t, w, c)
	began := time.Now()

	for _, o := range all {
		status := o.again()
		for ; status == http.StatusOK && time.Since(began) < newRequests; time.Sleep(5 * time.Millisecond) {
			status = o.again()
		}
		if status == http.StatusOK || status >= 500 {
			t.Errorf("%s: a new request %s later: %d", o.edge.name, time.Since(began), status)
		}
	}
	deadline, cancel := context.WithDeadline(t.Context(), began.Add(openOnes))
	defer cancel()
	for _, o := range all {
		select {
		case err := <-o.socket.closed:
			if websocket.CloseStatus(err) != websocket.StatusPolicyViolation {
				t.Errorf("%s: the WebSocket ends with %v", o.edge.name, err)
			}
		case <-deadline.Done():
			t.Errorf("%s: the WebSocket is open after %s", o.edge.name, openOnes)
		}
		for name, ends := range o.streams {
			select {
			case err := <-ends:
				if err == nil {
					t.Errorf("%s: the %s ends as if it were whole", o.edge.name, name)
				}
			case <-deadline.Done():
				t.Errorf("%s: the %s goes on after %s", o.edge.name, name, openOnes)
			}
		}
	}
}

// streamed reads an answer that has begun to its end, and tells how that came.
func streamed(t *testing.T, resp *http.Response) chan error {
	t.Helper()
	t.Cleanup(func() { resp.Body.Close() })
	in := bufio.NewReader(resp.Body)
	if _, err := in.ReadByte(); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("stream: %s %v", resp.Status, err)
	}
	ends := make(chan error, 1)
	go func() { // ends with the body
		_, err := io.Copy(io.Discard, in)
		ends <- err
	}()
	return ends
}

// askStreams: what the API streams ends with the right to it, too.
func (w *world) askStreams(t *testing.T) {
	reader := w.person("guest-reader", "full", "admin")
	reader.takeToken(t)
	in := reader.run(t, w.things.served["DOMAIN ON_DEMAND"], "PRIVATE")
	w.await(t, in, "DEPLOYED")
	ends := map[string]chan error{}
	for _, e := range w.edges {
		for _, path := range []string{"/instances/" + in.ID + "/logs?follow=true", "/audit?follow=true"} {
			resp := open(t, &http.Client{Transport: e.transport}, "GET "+w.base("/api/v1"+path), "", "Authorization: Bearer "+reader.token)
			ends[e.name+" "+path] = streamed(t, resp)
		}
	}
	w.people["ann"].must(t, "PATCH", "/users/guest-reader", `{"disabled":true}`, nil)
	deadline, cancel := context.WithTimeout(t.Context(), openOnes)
	defer cancel()
	for name, end := range ends {
		select {
		case <-end: // they have no length: an end is no lie
		case <-deadline.Done():
			t.Errorf("%s goes on after %s", name, openOnes)
		}
	}
	w.people["ann"].must(t, "DELETE", "/instances/"+in.ID, "", nil)
}
