package caddymodule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/seed-dbc68772/slipway/caddymodule/framing"
	"github.com/seed-dbc68772/slipway/caddymodule/hold"
	"github.com/seed-dbc68772/slipway/caddymodule/hold/waitingpage"
	"github.com/seed-dbc68772/slipway/caddymodule/session"
	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/routing"
)

// wait lets a request wait for an instance that does not run, as its kind may
// (spec instances.md §3). It returns the instance when that runs; nil when the
// request has its answer, with the error of writing it.
func (h *Handler) wait(w http.ResponseWriter, r *http.Request, d routing.Decision, v *visit, webSocket bool) (*routing.Instance, error) {
	k := h.kindOf(r, d, webSocket)
	switch {
	case k == kindProbe:
		if h.favicon(w, r, v, d) {
			return nil, nil
		}
		return nil, h.end(w, r, v, outAsleep, asleep)
	case k == kindPreflight && d.Instance.Visibility != routing.Public:
		return nil, h.noPreflight(w, r, v)
	}
	limit := h.hold
	if k == kindPage {
		limit = min(limit, h.grace)
	}
	known := h.whoWaits(r, d.Instance, v, webSocket)
	asked := hold.Visit{
		Instance: d.Instance.ID, Kind: k.String(), Visitor: h.visitorOf(r, known),
		Limit: limit - v.held, Async: k == kindAsync,
	}
	in, err := h.await(w, r, v, &asked)
	if err == nil {
		if !h.again(r, v, in, webSocket) {
			return nil, h.end(w, r, v, outNoRoute, notFound)
		}
		timed(w, webSocket, v.held, asked.Began)
		return in, nil
	}
	s := h.stateOf(d.Instance.ID, known)
	switch {
	case k == kindPage && (errors.Is(err, hold.ErrTimeout) || errors.Is(err, hold.ErrFailed)):
		return nil, h.waitingPage(w, r, v, d, s)
	case errors.Is(err, hold.ErrAccepted):
		return nil, h.accepted(w, r, v, s)
	}
	p := pageOfWait(err, s, v.out != nil && v.out.MayHaveArrived())
	if k == kindGRPC && p.status >= http.StatusTooManyRequests && p != visitorLeft {
		return nil, h.endGRPC(w, r, v, p)
	}
	return nil, h.end(w, r, v, outcomeOfWait(err), p)
}

func (h *Handler) kindOf(r *http.Request, d routing.Decision, webSocket bool) kind {
	return arrival{Request: r, rest: d.Rest, webSocket: webSocket, probes: h.probes}.kind()
}

// atOnce is the answer to a visit that does not even begin to wait; false for
// one that does, or that needs none.
func (h *Handler) atOnce(r *http.Request, d routing.Decision, webSocket bool) (p page, refused bool) {
	if hold.Running(d.Instance) {
		return page{}, false
	}
	k := h.kindOf(r, d, webSocket)
	switch {
	case k == kindProbe:
		return asleep, true
	case k == kindPreflight && d.Instance.Visibility != routing.Public:
		return page{status: http.StatusNoContent}, true
	}
	known := h.whoWaits(r, d.Instance, &visit{}, webSocket)
	err := h.runtime.room.Refusal(&hold.Visit{Instance: d.Instance.ID, Visitor: h.visitorOf(r, known)})
	if err == nil {
		return page{}, false
	}
	return pageOfWait(err, h.stateOf(d.Instance.ID, known), false), true
}

// await waits in the room, and notes for how long. Nothing of a body is read
// meanwhile, and no limit of the server on reading it counts.
func (h *Handler) await(w http.ResponseWriter, r *http.Request, v *visit, asked *hold.Visit) (*routing.Instance, error) {
	began := time.Now()
	ctx := r.Context()
	if r.ProtoMajor == 1 && r.Body != nil && r.Body != http.NoBody {
		// The server looks for visitors who leave only once the body was read.
		left, leave := context.WithCancel(ctx)
		defer leave()
		defer framing.WhenLeft(r, leave)()
		ctx = left
	}
	resume := untimed(w, r)
	span := traceWait(ctx, asked)
	in, err := h.runtime.room.Wait(ctx, asked)
	span.end(asked, in, err)
	resume()
	took := time.Since(began)
	v.held += took
	h.runtime.metrics.holds[holdResultOf(err)].observe(took)
	return in, err
}

// whoWaits is who sent a request; nil: nobody who is signed in. Where everybody
// may come nobody has asked so far.
func (h *Handler) whoWaits(r *http.Request, in *routing.Instance, v *visit, webSocket bool) *session.Known {
	if known := v.admission.visitor.Known; known != nil {
		return known
	}
	t := h.runtime.Table()
	who := h.runtime.visitors.Visitor(t, in, h.cookies, r)
	if who.Cookie && webSocket && !sameOrigin(r, t.CanonicalOrigin(h.site, in)) {
		return nil // of another page's making
	}
	return who.Known
}

// visitorOf is what starts are counted by.
func (h *Handler) visitorOf(r *http.Request, known *session.Known) controlplane.Visitor {
	visitor := controlplane.Visitor{Source: sourceOf(h.trusted.client(r))}
	if known != nil {
		visitor.User = known.Actor().User
	}
	return visitor
}

// stateOf is an instance as its visitor sees it now; nil: it is gone.
func (h *Handler) stateOf(id routing.ID, known *session.Known) *waitingpage.State {
	t := h.runtime.Table()
	in := t.Instance(id)
	if in == nil {
		return nil
	}
	s := waitingpage.StateOf(waitingpage.Seen{
		Instance: in, Progress: house{h.runtime}.Progress(in), URL: t.CanonicalURL(h.site, in, "/", ""), Owner: owns(known, in),
	}, time.Now())
	return &s
}

func owns(known *session.Known, in *routing.Instance) bool {
	return known != nil && known.Actor().User == in.Owner
}

// waitingPage answers a page load.
func (h *Handler) waitingPage(w http.ResponseWriter, r *http.Request, v *visit, d routing.Decision, s *waitingpage.State) error {
	if s == nil {
		return h.end(w, r, v, outNoRoute, notFound)
	}
	base := baseOf(d)
	query := ""
	if d.HasQuery {
		query = "?" + d.Query
	}
	t := h.runtime.Table()
	p := waitingpage.Page{
		State: *s, WaitPath: base + "/.slipway/wait", StatusPath: base + "/.slipway/status",
		Icon: h.runtime.iconOf(r.Context(), d.Instance), IconPath: base + "/favicon.ico",
		Address: t.CanonicalURL(h.site, d.Instance, d.Rest, query),
	}
	if policy := t.Policy(d.Instance.App); policy != nil {
		p.Title = policy.Title
	}
	if owns(h.whoWaits(r, d.Instance, v, false), d.Instance) {
		p.LogURL, p.Command = h.site.ConsoleURL()+"instances/"+s.ID, "slipway instance logs "+s.ID
	}
	body, err := p.HTML()
	if err != nil {
		return err
	}
	header := w.Header()
	header.Set("Content-Security-Policy", waitingpage.Policy)
	header.Set("Referrer-Policy", "same-origin")
	header.Set("Vary", "Accept, Sec-Fetch-Mode")
	header.Set("Retry-After", strconv.Itoa(retryAfter(s)))
	ownAnswer{http.StatusServiceUnavailable, htmlType, body}.write(w, r)
	h.done(w, r, v, outWaiting, http.StatusServiceUnavailable)
	return nil
}

// accepted answers who asked for no more than that the instance is woken.
func (h *Handler) accepted(w http.ResponseWriter, r *http.Request, v *visit, s *waitingpage.State) error {
	if s == nil {
		return h.end(w, r, v, outNoRoute, notFound)
	}
	header := w.Header()
	header.Set("Location", strings.TrimSuffix(s.URL, "/")+"/.slipway/status")
	header.Set("Preference-Applied", "respond-async")
	header.Set("Vary", "Prefer")
	header.Set("Retry-After", strconv.Itoa(retryAfter(s)))
	err := writeState(w, r, http.StatusAccepted, s)
	h.done(w, r, v, outWaiting, http.StatusAccepted)
	return err
}

// noPreflight answers a preflight in the place of an app that others may not
// come to: it allows nothing, so that the browser does not send the request.
func (h *Handler) noPreflight(w http.ResponseWriter, r *http.Request, v *visit) error {
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
	h.done(w, r, v, outAsleep, http.StatusNoContent)
	return nil
}

// The statuses of gRPC.
const (
	grpcExhausted   = "8"
	grpcUnavailable = "14"
)

// endGRPC answers a call that waited in vain, with trailers alone.
func (h *Handler) endGRPC(w http.ResponseWriter, r *http.Request, v *visit, p page) error {
	header := w.Header()
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Type", "application/grpc")
	header.Set("Grpc-Status", grpcUnavailable)
	if p.status == http.StatusTooManyRequests {
		header.Set("Grpc-Status", grpcExhausted)
	}
	header.Set("Grpc-Message", p.text)
	if p.retryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	w.WriteHeader(http.StatusOK)
	h.done(w, r, v, outUnavailable, p.status)
	return nil
}

// timed tells how long a wake took that the visitor waited for: until the start
// began, and in all. The app's own times follow.
func timed(w http.ResponseWriter, webSocket bool, took, began time.Duration) {
	if webSocket {
		return
	}
	line := fmt.Sprintf("slipway-wake;dur=%.1f", milliseconds(took))
	if began > 0 && began < took {
		line += fmt.Sprintf(", slipway-wake-queued;dur=%.1f, slipway-wake-start;dur=%.1f", milliseconds(began), milliseconds(took-began))
	}
	w.Header().Set("Server-Timing", line)
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
