package framing

import (
	"crypto/tls"
	"net"
	"time"
)

// Listen guards the connections that a listener accepts: TLS ones as
// *tls.Conn, before their handshake, or plain ones. A head has headerTimeout
// from its first byte to its last, and TLS as long for the handshake; 0: as
// long as the server's deadlines allow.
func Listen(inner net.Listener, headerTimeout time.Duration) net.Listener {
	return &listener{inner, headerTimeout}
}

type listener struct {
	net.Listener
	headerTimeout time.Duration
}

// Accept returns at once: the handshake waits for the first Read.
func (l *listener) Accept() (net.Conn, error) {
	inner, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	guarded := &conn{Conn: inner, headerTimeout: l.headerTimeout}
	if secure, ok := inner.(stater); ok {
		return &secureConn{guarded, secure}, nil
	}
	return guarded, nil
}

// stater is how Caddy knows a TLS connection that another listener wraps. A
// plain one must not look like it.
type stater interface {
	ConnectionState() tls.ConnectionState
}

type secureConn struct {
	*conn
	stater
}
