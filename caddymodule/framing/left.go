package framing

import (
	"net"
	"net/http"
	"reflect"
	"syscall"
)

// clientConnKey is where a request's context holds its connection.
type clientConnKey struct{}

// WhenLeft calls gone, at most once, when the client of a request over HTTP/1
// has ended its side of the connection, until stop is called. The server itself
// notices that only once the body was read. As long as more of a body is on its
// way than the system takes for nobody, the end behind it is not seen. It does
// nothing for other connections than this package's, and but on Linux.
func WhenLeft(r *http.Request, gone func()) (stop func()) {
	if raw := socketOf(r.Context().Value(clientConnKey{})); raw != nil {
		return ends.watch(raw, gone)
	}
	return func() {}
}

// socketOf is the socket below a connection; nil: there is none.
func socketOf(of any) syscall.RawConn {
	for {
		switch c := of.(type) {
		case *secureConn:
			of = c.Conn
		case *conn:
			of = c.Conn
		case syscall.Conn:
			raw, err := c.SyscallConn()
			if err != nil {
				return nil
			}
			return raw
		case interface{ NetConn() net.Conn }: // TLS, and wrappers like it
			of = c.NetConn()
		default:
			of = embedded(of)
		}
		if of == nil {
			return nil
		}
	}
}

// embedded is the connection that another one is made of; nil: none is known.
// What Caddy puts around a connection of this package shows it by no method.
func embedded(of any) any {
	v := reflect.Indirect(reflect.ValueOf(of))
	if v.Kind() != reflect.Struct {
		return nil
	}
	if field := v.FieldByName("Conn"); field.IsValid() && field.CanInterface() {
		if inner, ok := field.Interface().(net.Conn); ok {
			return inner
		}
	}
	return nil
}
