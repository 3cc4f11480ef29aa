package caddymodule

import (
	"net/http"
	"testing"

	"github.com/seed-dbc68772/slipway/caddymodule/activity"
	"github.com/seed-dbc68772/slipway/caddymodule/upstream"
	"github.com/seed-dbc68772/slipway/routing"
)

// looked is a route table that does something when it is looked at.
type looked func() *routing.Instance

func (look looked) Instance(routing.ID) *routing.Instance { return look() }

// Whoever marks an instance takes what edges have counted for all that will
// come: a request that looked at the route first, and counted itself after that,
// would reach a process that is being stopped.
func TestARequestCountsItselfBeforeItLooks(t *testing.T) {
	id, _ := routing.ParseID("00000001-0000-4000-8000-00000000abcd")
	endpoint, err := routing.ParseEndpoint("127.0.0.1:1")
	if err != nil {
		t.Fatal(err)
	}
	runs := &routing.Instance{ID: id, Status: routing.Deployed, Generation: 1, Endpoint: endpoint}
	marked := &routing.Instance{ID: id, Status: routing.Suspending, Generation: 1, Endpoint: endpoint}
	again := &routing.Instance{ID: id, Status: routing.Deployed, Generation: 2, Endpoint: endpoint}
	for _, tc := range []struct {
		name    string
		present *routing.Instance // when the request looks
		open    int               // of its instance, after that
	}{
		{"as it was", runs, 1},
		{"started again", again, 1},
		{"marked", marked, 0},
		{"asleep", &routing.Instance{ID: id, Status: routing.Suspended, Generation: 1}, 0},
		{"gone", nil, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			told := 0
			meters := activity.New(func() { told++ })
			h := &Handler{runtime: &Runtime{meters: meters}, probes: newProbes(nil)}
			open := func() int {
				_, items, _ := meters.Draining(1)
				if len(items) == 0 {
					return 0
				}
				return items[0].Open
			}
			// The edge learns of the mark, and tells what it has: nothing.
			mark := func() {
				meters.Changed(2, []routing.ID{id}, func(routing.ID) *routing.Instance { return marked })
			}
			looks := 0
			out := &upstream.Request{Request: &http.Request{Header: http.Header{}}}
			in := h.enter(out, runs, looked(func() *routing.Instance {
				looks++
				mark()
				if open() != 1 {
					t.Error("an edge that acknowledges the mark now does not know of the request")
				}
				return tc.present
			}))
			if in != tc.present || looks != 1 {
				t.Errorf("it goes to %+v after %d looks", in, looks)
			}
			if open() != tc.open || told != 1-tc.open {
				t.Errorf("%d are open, want %d, and that was told %d times", open(), tc.open, told)
			}
			out.Use.End()
			if open() != 0 || told != 1 {
				t.Errorf("after its end %d are open, and that was told %d times", open(), told)
			}
		})
	}
}
