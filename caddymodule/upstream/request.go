package upstream

import (
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// heads are the buffers that requests' heads are written in.
var heads = sync.Pool{New: func() any { b := make([]byte, 0, 2<<10); return &b }}

// appendRequest appends the head of the request as the app gets it.
func appendRequest(b []byte, r *Request) []byte {
	method := r.Method
	if method == http.MethodConnect {
		method = http.MethodGet // a WebSocket over HTTP/2 or /3: RFC 8441 §5
	}
	b = append(b, method...)
	b = append(b, ' ')
	b = appendTarget(b, r.Target)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = appendValue(b, r.Host)
	b = append(b, "\r\n"...)
	forEachHeader(r, func(name, value string) { b = appendField(b, name, value) })
	return append(appendFraming(b, r), "\r\n"...)
}

// Head is the head of the request as the app gets it: the request line, Host,
// and the other fields in no order.
func (r *Request) Head() string { return string(appendRequest(nil, r)) }

// forEachHeader yields the headers that the app gets, but for those that say
// how the message is framed.
func forEachHeader(r *Request, yield func(name, value string)) {
	hop := connectionOptions(r.Header)
	for name, values := range r.Header {
		if notForApps(name) || hop != "" && listed(hop, name) {
			continue
		}
		for _, value := range values {
			if value, pass := forApp(name, value); pass {
				yield(name, value)
			}
		}
	}
	yield("X-Forwarded-For", r.Forwarded.For)
	yield("X-Forwarded-Host", r.Forwarded.Host)
	yield("X-Forwarded-Proto", r.Forwarded.Proto)
	if id := r.Identity; id != nil {
		for _, field := range [...]struct{ name, value string }{
			{"X-Slipway-User", id.User}, {"X-Slipway-Email", id.Email}, {"X-Slipway-Roles", id.Roles}, {"X-Slipway-Instance", id.Instance},
		} {
			if field.value != "" {
				yield(field.name, field.value)
			}
		}
	}
}

// forEachTrailer yields the trailers that the app gets, once the body has ended.
func forEachTrailer(r *Request, yield func(name, value string)) {
	for name, values := range r.Trailer {
		if notForApps(name) {
			continue
		}
		for _, value := range values {
			if value, pass := forApp(name, value); pass {
				yield(name, value)
			}
		}
	}
}

// forApp returns a header's value as the app gets it, and whether it does.
func forApp(name, value string) (string, bool) {
	switch name {
	case "Cookie":
		value = without(value, ";", isOurCookieOrToken)
		return value, value != ""
	case "Sec-Websocket-Protocol":
		kept := without(value, ",", isOurItem)
		return kept, kept != "" || value == ""
	case "Authorization":
		return value, !holdsToken(value, 0) // not what was cut short on its way either
	case "Te":
		return "trailers", listed(value, "trailers")
	}
	return value, !holdsToken(value, tokenSize)
}

func appendFraming(b []byte, r *Request) []byte {
	switch {
	case r.WebSocket:
		b = append(b, "Connection: Upgrade\r\nUpgrade: websocket\r\n"...)
	case !hasBody(r):
		switch r.Method {
		case http.MethodPost, http.MethodPut, http.MethodPatch:
			b = append(b, "Content-Length: 0\r\n"...)
		}
	case r.ContentLength > 0:
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, r.ContentLength, 10)
		b = append(b, "\r\n"...)
	default:
		for name := range r.Trailer {
			if !notForApps(name) {
				b = appendField(b, "Trailer", name)
			}
		}
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	return b
}

// notForApps are the names, in canonical spelling, of the headers that do not
// reach an app: those of the connection, and those by which a client could
// forge who it is or where it came from (spec routing.md §5). What the app
// gets of the latter is written after them. Names with "_" or "." look like
// others of these to apps that make variables of headers.
func notForApps(name string) bool {
	switch name {
	case "Connection", "Content-Length", "Host", "Http2-Settings", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
		"Proxy-Connection", "Trailer", "Transfer-Encoding", "Upgrade", "Via":
		return true
	}
	return Forgeable(name) || name == "" || name[0] == ':' || strings.IndexByte(name, '_') >= 0 || strings.IndexByte(name, '.') >= 0
}

// Forgeable reports whether a header, by its canonical name, says who the client
// is or where the request came from. What a client sends of these is dropped.
func Forgeable(name string) bool {
	switch name {
	case "Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Prefix", "X-Forwarded-Proto", "X-Real-Ip",
		"X-Original-Url", "X-Rewrite-Url", "Proxy",
		"X-Slipway-User", "X-Slipway-Email", "X-Slipway-Roles", "X-Slipway-Instance":
		return true
	}
	return false
}

// connectionOptions is what the Connection headers list, joined by commas; ""
// if nothing but what a server expects.
func connectionOptions(h http.Header) string {
	switch values := h["Connection"]; len(values) {
	case 0:
		return ""
	case 1:
		if v := values[0]; v == "keep-alive" || v == "close" || v == "Upgrade" {
			return ""
		}
		return values[0]
	default:
		return strings.Join(values, ",")
	}
}

// listed reports whether a comma-separated list holds a token, in any case.
func listed(list, token string) bool {
	for part := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.Trim(part, " \t"), token) {
			return true
		}
	}
	return false
}

// ourCookies begin the names of Slipway's cookies, with and without TLS
// (spec access.md §6).
var ourCookies = []string{"__Host-slipway-", "slipway-"}

func isOurCookie(name string) bool {
	for _, prefix := range ourCookies {
		if len(name) >= len(prefix) && strings.EqualFold(name[:len(prefix)], prefix) {
			return true
		}
	}
	return false
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = appendValue(b, value)
	return append(b, "\r\n"...)
}

// appendValue appends a field's value. The server lets no line break in, but
// another handler before this one may have put one into it.
func appendValue(b []byte, value string) []byte {
	if strings.IndexByte(value, '\n') < 0 && strings.IndexByte(value, '\r') < 0 && strings.IndexByte(value, 0) < 0 {
		return append(b, value...)
	}
	for i := range len(value) {
		c := value[i]
		if c == '\n' || c == '\r' || c == 0 {
			c = ' '
		}
		b = append(b, c)
	}
	return b
}

// appendTarget appends the request target. Over HTTP/2 it may hold bytes that
// would end it in a request line; those are percent-encoded.
func appendTarget(b []byte, target string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(target) {
		c := target[i]
		if c <= ' ' || c >= 0x7f {
			b = append(b, '%', hex[c>>4], hex[c&15])
		} else {
			b = append(b, c)
		}
	}
	return b
}
