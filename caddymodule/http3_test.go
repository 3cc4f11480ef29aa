package caddymodule_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/qpack"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/quic-go/quicvarint"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// clientTLS is a client's side of TLS for a server name.
func clientTLS(name string, protocols ...string) *tls.Config {
	return &tls.Config{ServerName: name, InsecureSkipVerify: true, NextProtos: protocols} //nolint:gosec // the name alone matters
}

// overHTTP3 is a client that speaks HTTP/3 to the edge.
func (e *edge) overHTTP3(t *testing.T) *http.Client {
	transport := &http3.Transport{TLSClientConfig: clientTLS(""), DisableCompression: true,
		Dial: func(ctx context.Context, _ string, tlsConfig *tls.Config, config *quic.Config) (*quic.Conn, error) {
			return quic.DialAddrEarly(ctx, e.addr, tlsConfig, config)
		}}
	t.Cleanup(func() { transport.Close() })
	return &http.Client{Transport: transport, Timeout: patience}
}

// overTLS is a client that speaks HTTP/1.1 or HTTP/2 to the edge.
func (e *edge) overTLS(t *testing.T, protocol string) *http.Client {
	transport := &http.Transport{TLSClientConfig: clientTLS("", protocol), ForceAttemptHTTP2: protocol == "h2",
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", e.addr)
		}}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: patience}
}

func TestHTTP3IsOn(t *testing.T) {
	e := startTLSEdge(t, "h1", "h2", "h3")
	next := make(chan struct{})
	in := instance(1, serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/stream":
			for range 3 {
				fmt.Fprintln(w, "part")
				http.NewResponseController(w).Flush()
				<-next
			}
		case "/ws":
			echo(w, r)
		default:
			w.Header().Set("Alt-Svc", `h3="evil.example:443"`)
			body, _ := io.ReadAll(r.Body)
			fmt.Fprintf(w, "%s %s %s|%s|%s|%s|%s|%q", r.Method, r.RequestURI, r.Host, body,
				r.Header.Get("X-Forwarded-Proto"), r.Header.Get("X-Forwarded-For"), r.Header.Get("Te"), r.Header.Get("X-Slipway-User"))
		}
	}))
	e.put(in)
	host := in.ID + "." + base
	_, port, _ := net.SplitHostPort(e.addr)
	url := "https://" + host
	client := e.overHTTP3(t)

	t.Run("it is advertised", func(t *testing.T) {
		for protocol, major := range map[string]int{"http/1.1": 1, "h2": 2} {
			resp, err := e.overTLS(t, protocol).Get(url + "/")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			want := fmt.Sprintf(`h3=":%s"; ma=2592000`, port)
			if got := strings.Join(resp.Header["Alt-Svc"], "|"); got != want || resp.ProtoMajor != major {
				t.Errorf("%s has Alt-Svc %q, want %q", resp.Proto, got, want)
			}
		}
	})
	t.Run("requests", func(t *testing.T) {
		for _, tc := range []struct{ method, target, body, want string }{
			{"GET", "/a%2f..;b?x=%00", "", "GET /a%2f..;b?x=%00 HOST|"},
			{"POST", "/p", strings.Repeat("body", 30_000), "POST /p HOST|" + strings.Repeat("body", 30_000)},
			{"DELETE", "/", "", "DELETE / HOST|"},
		} {
			r, err := http.NewRequestWithContext(t.Context(), tc.method, url+tc.target, strings.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("X-Forwarded-For", "6.6.6.6")
			r.Header.Set("X-Slipway-User", "root")
			r.Header.Set("Te", "trailers")
			resp, err := client.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Replace(tc.want, "HOST", host, 1) + `|https|127.0.0.1|trailers|""`
			if got := text(resp); got != want || resp.ProtoMajor != 3 || resp.Header.Get("Alt-Svc") != "" {
				t.Errorf("%s %s %.80s: %d, %q, %.200q, want %.200q", resp.Proto, tc.method, tc.target, resp.StatusCode, resp.Header, got, want)
			}
			resp.Body.Close()
		}
	})
	t.Run("streams", func(t *testing.T) {
		resp, err := client.Get(url + "/stream")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		part := make([]byte, len("part\n"))
		for range 3 {
			if _, err := io.ReadFull(resp.Body, part); err != nil {
				t.Fatal(err)
			}
			next <- struct{}{} // the app goes on only now
		}
		if rest := text(resp); rest != "" {
			t.Errorf("then %q", rest)
		}
	})
	t.Run("WebSockets", func(t *testing.T) {
		conn, err := quic.DialAddr(t.Context(), e.addr, clientTLS(host, "h3"), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.CloseWithError(0, "")
		stream, err := new(http3.Transport).NewClientConn(conn).OpenRequestStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		stream.SetDeadline(time.Now().Add(patience))
		r, err := http.NewRequestWithContext(t.Context(), http.MethodConnect, url+"/ws", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Proto = "websocket"
		r.Header.Set("Sec-WebSocket-Version", "13")
		if err := stream.SendRequestHeader(r); err != nil {
			t.Fatal(err)
		}
		resp, err := stream.ReadResponse()
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatal(resp, err)
		}
		stream.Write([]byte{0x81, 0x82, 0, 0, 0, 0, 'h', 'i'})
		got := make([]byte, 4)
		if _, err := io.ReadFull(resp.Body, got); err != nil || !bytes.Equal(got, []byte{0x81, 2, 'h', 'i'}) {
			t.Fatalf("got % x back (%v)", got, err)
		}
	})
}

// What a client says of itself in HTTP/2 and HTTP/3 is judged as in HTTP/1.1
// (spec routing.md §1, §3, §5, §7), but that the servers reset what their RFCs
// call malformed.
func TestTheRulesHoldOverHTTP2AndHTTP3(t *testing.T) {
	e := startTLSEdge(t, "h1", "h2", "h3")
	in := instance(1, serve(t, hello))
	e.put(in)
	host := in.ID + "." + base
	get := func(authority string) []string {
		return []string{":method", "GET", ":scheme", "https", ":authority", authority, ":path", "/"}
	}
	with := func(fields ...string) []string { return append(get(host), fields...) }
	connect := func(fields ...string) []string {
		return append([]string{":method", "CONNECT", ":authority", host}, fields...)
	}
	many := []string{}
	for i := range maxFieldsSent {
		many = append(many, fmt.Sprint("x-", i), "v")
	}
	for _, tc := range []struct {
		name, sni string
		fields    []string
		h2, h3    string // "" where h2 says it too
	}{
		{"plain", host, get(host), "200", ""},
		{"upper case", host, get(strings.ToUpper(host)), "200", ""},
		{"a port", host, get(host + ":8443"), "200", ""},
		{"an empty port", host, get(host + ":"), "200", ""},
		{"a trailing dot", host, get(host + "."), "307", ""},
		{"a port that is none", host, get(host + ":65536"), "400", ""},
		{"letters for a port", host, get(host + ":http"), "400", ""},
		{"underscore", host, get("a_b." + base), "400", ""},
		{"an IPv6 literal", host, get("[::1]"), "400", ""},
		{"userinfo", host, get("user@" + host), reset, ""},
		{"a space", host, get("a b"), reset, "400"},
		{"no authority", host, []string{":method", "GET", ":scheme", "https", ":path", "/"}, "400", reset},
		{"an empty authority", host, get(""), "400", reset},
		{"Host in its place", host, []string{":method", "GET", ":scheme", "https", ":path", "/", "host", host}, "200", ""},
		{"Host beside it", host, with("host", host), "200", ""},
		{"another Host beside it", host, with("host", "other."+base), reset, ""},
		{"two Hosts", host, with("host", host, "host", host), reset, ""},
		{"an unknown name", host, get("nobody." + base), "404", ""},
		{"a name of another certificate", host, get("custom.example"), "421", ""},
		{"the other certificate", "custom.example", get(host), "421", ""},
		{"redirect", base, []string{":method", "GET", ":scheme", "https", ":authority", base, ":path", "/instance/" + in.ID + "/x?y"}, "307", ""},
		{"a control character in the path", host, append(get(host)[:7], "/a\x7fb"), reset, ""},
		{"an escape that is none", host, append(get(host)[:7], "/%zz"), reset, ""},
		{"no slash", host, append(get(host)[:7], "x"), reset, ""},
		{"a line in the method", host, append([]string{":method", "GET / HTTP/1.1"}, get(host)[2:]...), "400", reset},
		{"TRACE", host, append([]string{":method", "TRACE"}, get(host)[2:]...), "405", ""},
		{"OPTIONS *", host, []string{":method", "OPTIONS", ":scheme", "https", ":authority", host, ":path", "*"}, "200", ""},
		{"CONNECT", host, connect(), "405", ""},
		{"extended CONNECT", host, connect(":scheme", "https", ":path", "/", ":protocol", "connect-udp"), "501", ""},
		{"a WebSocket to the control plane", base, []string{":method", "CONNECT", ":scheme", "https", ":authority", base, ":path", "/livez", ":protocol", "websocket"}, "405", ""},
		{"a field of the connection", host, with("upgrade", "h2c"), reset, ""},
		{"TE", host, with("te", "gzip"), reset, ""},
		{"a length that is none", host, with("content-length", "1x"), reset, ""},
		{"a path over 32 KiB", host, append(get(host)[:7], "/"+strings.Repeat("x", 32<<10)), "414", ""},
		{"headers over 64 KiB", host, with("x-large", strings.Repeat("{", 66<<10)), "431", "431"},
		{"many fields", host, with(many...), "431", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := e.askHTTP2(t, tc.sni, tc.fields); got != tc.h2 {
				t.Errorf("HTTP/2 answers %s, want %s", got, tc.h2)
			}
			if tc.h3 == "" {
				tc.h3 = tc.h2
			}
			if got := e.askHTTP3(t, tc.sni, tc.fields); got != tc.h3 {
				t.Errorf("HTTP/3 answers %s, want %s", got, tc.h3)
			}
		})
	}
}

const (
	maxFieldsSent = 201
	reset         = "a reset"
	ends          = "the connection's end"
)

// askHTTP2 sends a request as it is, and returns the status.
func (e *edge) askHTTP2(t *testing.T, sni string, fields []string) string {
	t.Helper()
	conn, err := tls.Dial("tcp", e.addr, clientTLS(sni, "h2"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(patience))
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		encoder.WriteField(hpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	framer := http2.NewFramer(conn, conn)
	framer.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	io.WriteString(conn, http2.ClientPreface)
	framer.WriteSettings()
	first := block.Next(16 << 10)
	framer.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: first, EndHeaders: block.Len() == 0, EndStream: true})
	for block.Len() > 0 {
		part := block.Next(16 << 10)
		framer.WriteContinuation(1, block.Len() == 0, part)
	}
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			return f.PseudoValue("status")
		case *http2.RSTStreamFrame:
			return reset
		case *http2.GoAwayFrame:
			return ends
		}
	}
}

// askHTTP3 is askHTTP2 over HTTP/3.
func (e *edge) askHTTP3(t *testing.T, sni string, fields []string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	conn, err := quic.DialAddr(ctx, e.addr, clientTLS(sni, "h3"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseWithError(0, "")
	stream, err := conn.OpenStreamSync(ctx)
	if err != nil {
		t.Fatal(err)
	}
	stream.SetDeadline(time.Now().Add(patience))
	var block bytes.Buffer
	encoder := qpack.NewEncoder(&block)
	for i := 0; i < len(fields); i += 2 {
		encoder.WriteField(qpack.HeaderField{Name: fields[i], Value: fields[i+1]})
	}
	const headers = 1 // the type of the frame
	frame := quicvarint.Append([]byte{headers}, uint64(block.Len()))
	// The server may have refused the head before it was all sent.
	if _, err := stream.Write(append(frame, block.Bytes()...)); err == nil {
		stream.Close()
	}
	r := quicvarint.NewReader(stream)
	kind, err := quicvarint.Read(r)
	if _, ok := errors.AsType[*quic.StreamError](err); ok {
		return reset
	}
	if err != nil || kind != headers {
		t.Fatal(kind, err)
	}
	length, err := quicvarint.Read(r)
	if err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, length)
	if _, err := io.ReadFull(r, answer); err != nil {
		t.Fatal(err)
	}
	status, err := qpack.NewDecoder().Decode(answer)()
	if err != nil || status.Name != ":status" {
		t.Fatal(status, err)
	}
	return status.Value
}

// What makes an answer malformed over HTTP/2 or /3 and does not over HTTP/1.1 is
// dropped. The server of HTTP/3 gives a 204 a length of its own, 0.
func TestFieldsThatBreakOtherVersionsGo(t *testing.T) {
	e := startTLSEdge(t, "h1", "h2", "h3")
	in := instance(1, serve(t, func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		io.WriteString(c, "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\nTE: gzip\r\nX-Mine: 1\r\n\r\n")
	}))
	e.put(in)
	for name, client := range map[string]*http.Client{"h1": e.overTLS(t, "http/1.1"), "h2": e.overTLS(t, "h2"), "h3": e.overHTTP3(t)} {
		t.Run(name, func(t *testing.T) {
			resp, err := client.Get("https://" + in.ID + "." + base + "/")
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			h := resp.Header
			if resp.StatusCode != http.StatusNoContent || h.Get("X-Mine") != "1" || h.Get("Content-Length") == "5" || len(h["Te"]) > 0 {
				t.Errorf("%d %v", resp.StatusCode, h)
			}
		})
	}
}
