package caddymodule

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/seed-dbc68772/slipway/caddymodule/session"
	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/routing"
)

// controlCallLimit is how long an edge asks a control plane for a pass: with a
// ticket a visitor waits for it.
const controlCallLimit = 5 * time.Second

// maxControlAnswer is the largest answer to such a call, in bytes.
const maxControlAnswer = 64 << 10

// errKeyUnknown: this edge has not learnt of the key yet that the pass was
// signed by.
var errKeyUnknown = errors.New("the pass cannot be checked here yet")

// tradeTicket trades a ticket for a pass.
func (rt *Runtime) tradeTicket(ctx context.Context, id routing.ID, trade v1.TicketTrade) (*session.Known, error) {
	return rt.passOf(ctx, id, "/api/v1/edge/ticket", trade)
}

// renewPass trades a pass for a newer one.
func (rt *Runtime) renewPass(ctx context.Context, id routing.ID, old string) (*session.Known, error) {
	return rt.passOf(ctx, id, "/api/v1/edge/renew", v1.PassRenewal{Pass: old})
}

func (rt *Runtime) passOf(ctx context.Context, id routing.ID, path string, in any) (*session.Known, error) {
	var pass v1.Pass
	if err := rt.askControl(ctx, path, in, &pass); err != nil {
		return nil, err
	}
	known := rt.visitors.Know(rt.Table(), id, pass.Pass)
	if known == nil {
		return nil, errKeyUnknown
	}
	return known, nil
}

// askControl calls an operation of the control plane: that of this process, or
// a live one elsewhere.
func (rt *Runtime) askControl(ctx context.Context, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, controlCallLimit)
	defer cancel()
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://control-plane"+path, bytes.NewReader(body))
	if err != nil {
		return err
	}
	r.Host, r.RequestURI = rt.explains.Load().site.BaseDomain(), path
	r.Header.Set("Content-Type", "application/json")
	status, answer, err := rt.callControl(r)
	if err != nil {
		return fmt.Errorf("ask the control plane: %w", err)
	}
	switch status {
	case http.StatusOK:
		return json.Unmarshal(answer, out)
	case http.StatusUnauthorized, http.StatusNotFound, http.StatusForbidden:
		return controlplane.Errorf(controlplane.CodeUnauthorized, "the control plane refuses")
	}
	return fmt.Errorf("ask the control plane: it answers %d", status)
}

func (rt *Runtime) callControl(r *http.Request) (status int, answer []byte, err error) {
	if remote := rt.remote.Load(); remote != nil {
		r.RequestURI = "" // a client's request has none
		resp, err := remote.idle.RoundTrip(r)
		if err != nil {
			return 0, nil, err
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(io.LimitReader(resp.Body, maxControlAnswer))
		return resp.StatusCode, answer, err
	}
	api := rt.api()
	if api == nil {
		return 0, nil, errNoControlPlane
	}
	w := &answerBuffer{header: http.Header{}, status: http.StatusOK}
	api.ServeHTTP(w, r)
	return w.status, w.body.Bytes(), nil
}

// answerBuffer keeps an answer of the control plane of this process.
type answerBuffer struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (w *answerBuffer) Header() http.Header         { return w.header }
func (w *answerBuffer) WriteHeader(status int)      { w.status = status }
func (w *answerBuffer) Write(p []byte) (int, error) { return w.body.Write(p) }
