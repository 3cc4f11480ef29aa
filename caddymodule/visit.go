package caddymodule

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/caddymodule/hold"
	"github.com/seed-dbc68772/slipway/caddymodule/upstream"
	"github.com/seed-dbc68772/slipway/routing"
)

// visit is what is counted and logged of one request.
type visit struct {
	began    time.Time
	revision int64 // of the table that decided; 0: there was none
	alias    *routing.Alias
	instance *routing.Instance
	out      *upstream.Request // to the instance; nil: nothing was sent
	held     time.Duration     // that it waited for the instance
	// admission is what came of the question whether the visitor may come.
	admission admission
}

// decided notes by what the request was decided.
func (v *visit) decided(t *routing.Table, d *routing.Decision) {
	v.revision, v.alias, v.instance = t.Revision(), d.Alias, d.Instance
}

// overhead is what the edge itself took until the head of the answer was
// handed on: not the waits for an instance, for a connection to the app, and
// for its answer.
func (v *visit) overhead() time.Duration {
	if v.out == nil || v.out.Answered.IsZero() {
		took := time.Since(v.began) - v.held
		if v.out != nil {
			took -= v.out.Waited
		}
		return took
	}
	return v.out.Answered.Sub(v.began) - v.held - v.out.Waited
}

// done counts and logs a request that has its answer.
func (h *Handler) done(w http.ResponseWriter, r *http.Request, v *visit, o outcome, status int) {
	h.runtime.metrics.count(o, status, v.overhead())
	h.note(w, r, v, outcomeNames[o])
}

// note adds to the line of the access log, where the server writes one. What
// is not known is not there. The outcome is empty where the control plane has
// answered, and its name for the request is the log's too.
func (h *Handler) note(w http.ResponseWriter, r *http.Request, v *visit, outcome string) {
	if !h.accessLog {
		return
	}
	line, ok := r.Context().Value(caddyhttp.ExtraLogFieldsCtxKey).(*caddyhttp.ExtraLogFields)
	if !ok {
		return
	}
	id := ""
	if outcome == "" {
		id = w.Header().Get("X-Request-Id")
	}
	if id == "" {
		id = strings.ToLower(rand.Text()[:16])
	}
	line.Add(zap.String("request_id", id))
	if outcome != "" {
		line.Add(zap.String("outcome", outcome))
	}
	if v.alias != nil {
		line.Add(zap.String("alias", v.alias.Name))
	}
	if v.instance != nil {
		line.Add(zap.String("instance_id", v.instance.ID.String()))
		line.Add(zap.String("app", v.instance.App))
	}
	if known := v.admission.visitor.Known; known != nil {
		line.Add(zap.String("user_hash", known.UserHash()))
	}
	if v.held > 0 {
		line.Add(zap.Int64("hold_ms", v.held.Milliseconds()))
	}
	if v.out != nil && v.instance != nil && !v.instance.Endpoint.IsZero() {
		line.Add(zap.String("upstream", v.instance.Endpoint.String()))
	}
	if v.revision != 0 {
		line.Add(zap.Int64("route_revision", v.revision))
	}
}

// holdResult is how a wait for an instance ended.
type holdResult uint8

const (
	holdServed holdResult = iota
	holdFailed
	holdTimeout
	holdGone
	holdNoWaking
	holdLeft
	holdAccepted
	holdNotAllowed
	holdLimited
	holdFull
	holdResults
)

var holdResultNames = [holdResults]string{
	"served", "start_failed", "timeout", "gone", "wake_unavailable", "client_left", "accepted", "wake_not_allowed", "too_many_starts", "too_many_waiters",
}

func holdResultOf(err error) holdResult {
	if _, full := errors.AsType[*hold.FullError](err); full {
		return holdFull
	}
	switch {
	case err == nil:
		return holdServed
	case isLimited(err):
		return holdLimited
	case errors.Is(err, hold.ErrAccepted):
		return holdAccepted
	case errors.Is(err, hold.ErrMayNotWake):
		return holdNotAllowed
	case errors.Is(err, hold.ErrFailed):
		return holdFailed
	case errors.Is(err, hold.ErrTimeout):
		return holdTimeout
	case errors.Is(err, hold.ErrGone):
		return holdGone
	case errors.Is(err, context.Canceled):
		return holdLeft
	}
	return holdNoWaking
}
