package caddymodule

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/seed-dbc68772/slipway/caddymodule/hold"
	"github.com/seed-dbc68772/slipway/caddymodule/hold/waitingpage"
	"github.com/seed-dbc68772/slipway/caddymodule/session"
	"github.com/seed-dbc68772/slipway/routing"
)

const (
	stateType  = "application/json"
	eventsType = "text/event-stream"
)

// own answers below /.slipway/, where nothing is the app's (spec routing.md §1):
// to whoever may open the instance, its state, which wakes nobody, and the
// events of its start, which does. Every other name there is 404.
func (h *Handler) own(w http.ResponseWriter, r *http.Request, v *visit, d routing.Decision) error {
	if o, p, bad := h.refusalOfOwn(r, d); bad {
		return h.end(w, r, v, o, p)
	}
	if d.Own == "wait" {
		return h.events(w, r, v, d)
	}
	s := h.stateOf(d.Instance.ID, h.whoWaits(r, d.Instance, v, false))
	if s == nil {
		return h.end(w, r, v, outNoRoute, notFound)
	}
	err := writeState(w, r, http.StatusOK, s)
	h.note(w, r, v, "")
	return err
}

func writeState(w http.ResponseWriter, r *http.Request, status int, s *waitingpage.State) error {
	body, err := json.Marshal(s)
	if err != nil {
		return err
	}
	ownAnswer{status, stateType, body}.write(w, r)
	return nil
}

// refusalOfOwn is the answer to what is not a question there, or is asked by what
// wakes nothing where the answer would.
func (h *Handler) refusalOfOwn(r *http.Request, d routing.Decision) (o outcome, p page, bad bool) {
	refused := page{status: http.StatusMethodNotAllowed, code: "method_not_allowed"}
	switch {
	case d.Own == "status" && r.Method != http.MethodGet && r.Method != http.MethodHead:
		refused.text, refused.allow = "The status can be read only.", "GET, HEAD"
		return outDenied, refused, true
	case d.Own == "wait" && r.Method != http.MethodGet:
		refused.text, refused.allow = "The events can be read only.", "GET"
		return outDenied, refused, true
	case d.Own != "status" && d.Own != "wait":
		return outcomeOf(d), pageOf(d), true
	case d.Own == "wait" && !hold.Running(d.Instance) && h.kindOf(r, d, false) == kindProbe:
		return outAsleep, asleep, true
	}
	return o, p, false
}

// Times of the events of a start. A connection that is silent for longer than
// the first is taken for dead by many proxies.
const (
	heartbeat      = 15 * time.Second
	reconnectAfter = 2 * time.Second // and up to twice as long: not all of them at once
)

// events tells the waiting page of the start, by server-sent events: "state"
// with a waitingpage.State, and at last "load", when the page is to load its
// address again. Its visitor waits, and wakes the instance. That is no activity.
func (h *Handler) events(w http.ResponseWriter, r *http.Request, v *visit, d routing.Decision) error {
	known := h.whoWaits(r, d.Instance, v, false)
	asked := hold.Visit{Instance: d.Instance.ID, Kind: kindPage.String(), Visitor: h.visitorOf(r, known)}
	ctx, end := context.WithCancel(r.Context())
	defer end()
	stay := &session.Stay{Instance: d.Instance.ID, Owner: d.Instance.Owner, Known: v.admission.visitor.Known, Cut: end}
	if v.alias != nil {
		stay.Alias = v.alias.Name
	}
	h.runtime.stays.Begin(stay)
	defer stay.End()
	s := stream{w: w, control: http.NewResponseController(w)}
	err := h.runtime.room.Watch(ctx, &asked, heartbeat, func(_ *routing.Instance, news bool) error {
		if !news {
			return s.send(": \n\n")
		}
		state := h.stateOf(d.Instance.ID, known)
		if state == nil {
			return hold.ErrGone
		}
		body, err := json.Marshal(state)
		if err != nil {
			return err
		}
		return s.send("event: state\ndata: " + string(body) + "\n\n")
	})
	if !s.begun && err != nil {
		return h.end(w, r, v, outcomeOfWait(err), pageOfWait(err, nil, false))
	}
	if err == nil || errors.Is(err, hold.ErrGone) || isLimited(err) {
		_ = s.send("event: load\ndata:\n\n") // a visitor who left needs none
	}
	h.done(w, r, v, outWaiting, http.StatusOK)
	return nil
}

// stream is an answer of server-sent events.
type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	begun   bool
}

func (s *stream) send(event string) error {
	if !s.begun {
		s.begun = true
		header := s.w.Header()
		header.Set("Cache-Control", "no-store")
		header.Set("Content-Type", eventsType)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("X-Accel-Buffering", "no") // of a proxy in front
		s.w.WriteHeader(http.StatusOK)
		event = fmt.Sprintf("retry: %d\n\n", (reconnectAfter+rand.N(reconnectAfter)).Milliseconds()) + event //nolint:gosec // no secret
	}
	if _, err := s.w.Write([]byte(event)); err != nil {
		return err
	}
	return s.control.Flush()
}
