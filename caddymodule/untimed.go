package caddymodule

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// untimed lifts the server's time limits from a request that waits: a body that
// nobody reads makes no progress. resume sets them again, as if the request had
// just come.
func untimed(w http.ResponseWriter, r *http.Request) (resume func()) {
	began := time.Now()
	reader, writer := caddyhttp.IdleTimeoutsFromContext(r.Context())
	var limits []*caddyhttp.IdleDeadline
	if reader != nil {
		limits = append(limits, &reader.Deadline)
	}
	if writer != nil {
		limits = append(limits, &writer.Deadline)
	}
	ceilings := make([]time.Time, len(limits))
	for i, limit := range limits {
		ceilings[i], limit.HardDeadline = limit.HardDeadline, time.Time{}
	}
	var read, write time.Duration
	if server, ok := r.Context().Value(http.ServerContextKey).(*http.Server); ok {
		read, write = server.ReadTimeout, server.WriteTimeout
	}
	// Where a connection has no deadlines there is none to lift.
	control := http.NewResponseController(w)
	if read > 0 {
		_ = control.SetReadDeadline(time.Time{})
	}
	if write > 0 {
		_ = control.SetWriteDeadline(time.Time{})
	}
	return func() {
		now := time.Now()
		for i, limit := range limits {
			limit.Start = limit.Start.Add(now.Sub(began))
			if !ceilings[i].IsZero() {
				limit.HardDeadline = ceilings[i].Add(now.Sub(began))
			}
		}
		if read > 0 {
			_ = control.SetReadDeadline(now.Add(read))
		}
		if write > 0 {
			_ = control.SetWriteDeadline(now.Add(write))
		}
	}
}
