package caddymodule

import (
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/caddymodule/framing"
)

// Limits of spec routing.md §7 for the server in front of the handler.
const (
	maxHead       = 64 << 10 // bytes
	headerTimeout = 10 * time.Second

	caddysMaxHead = 16 << 10 // what Caddy puts where nothing is configured
)

// prepareServer gives the handler's server the limits where the operator left
// Caddy's, and says so if nothing guards its connections. A server with
// exactly Caddy's own header limit counts as one without.
func prepareServer(server *caddyhttp.Server, log *zap.Logger) {
	if server.MaxHeaderBytes == caddysMaxHead {
		server.MaxHeaderBytes = maxHead
	}
	if server.ReadHeaderTimeout == 0 {
		server.ReadHeaderTimeout = caddy.Duration(headerTimeout)
	}
	// net/http would answer OPTIONS * before the handler sees it.
	framing.BeforeServing(server, func(inner *http.Server) { inner.DisableGeneralOptionsHandler = true })
	if !framing.Guards(server) {
		log.Warn("nothing checks the framing of requests on this server: add the listener wrapper slipway, " +
			"in a Caddyfile by the global option servers { listener_wrappers { slipway } }")
	}
}
