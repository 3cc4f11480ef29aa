package caddymodule

import (
	"context"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"

	"github.com/seed-dbc68772/slipway/caddymodule/upstream/identity"
	"github.com/seed-dbc68772/slipway/routing"
)

// poolName is the host by which connections of one generation of an instance
// are kept.
func poolName(in *routing.Instance) string {
	return in.ID.String() + "-" + strconv.FormatInt(in.Generation, 10)
}

// pooled is the instance of a pool's address, "host:port"; nil if that
// generation does not run any more.
func pooled(table *routing.Table, address string) *routing.Instance {
	name, _, _ := strings.Cut(address, ":")
	at := strings.LastIndexByte(name, '-')
	if at < 0 {
		return nil
	}
	id, ok := routing.ParseID(name[:at])
	if !ok {
		return nil
	}
	in := table.Instance(id)
	if in == nil || poolName(in) != name {
		return nil
	}
	return in
}

type dialContext func(ctx context.Context, network, address string) (net.Conn, error)

// checked is dial for instances alone: connections that somebody else answers
// are closed and count as refused ones. The instance comes from the table, not
// from the request, which may have ended before its dialling does.
func checked(dial dialContext, table func() *routing.Table, checker *identity.Checker) dialContext {
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		began := time.Now()
		conn, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		in := pooled(table(), address)
		if in == nil {
			err = errNotRunning
		} else {
			err = checker.Check(conn, began, in)
		}
		if err != nil {
			conn.Close()
			return nil, reverseproxy.NewDialError(err)
		}
		return conn, nil
	}
}
