package upstreamtest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

func deadline() time.Time { return time.Now().Add(patience) }

// Handshake is a request for a WebSocket, and its answer.
const (
	handshake = "GET /ws HTTP/1.1\r\nHost: " + Host + "\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	switching = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)

// frame makes a frame of an app.
func frame(op byte, payload string) string {
	b := []byte{0x80 | op}
	switch n := len(payload); {
	case n < 126:
		b = append(b, byte(n))
	case n < 1<<16:
		b = binary.BigEndian.AppendUint16(append(b, 126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 127), uint64(n))
	}
	return string(b) + payload
}

// webSocket opens one to an app that goes on with talk.
func (f *fixture) webSocket(more string, talk func(*appConn)) *visitor {
	f.start(func(c *appConn) {
		if _, err := c.head(); err == nil {
			c.send(switching)
			talk(c)
		}
	})
	v := f.visit()
	v.send(handshake + more)
	f.switched(v)
	return v
}

func (f *fixture) switched(v *visitor) {
	resp := v.begin("GET")
	if resp.StatusCode != http.StatusSwitchingProtocols || !strings.EqualFold(resp.Header.Get("Upgrade"), "websocket") ||
		resp.Header.Get("Sec-Websocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		f.fatalf("got %d %v", resp.StatusCode, resp.Header)
	}
}

// same is the talk of an app that sends back what comes.
func same(c *appConn) { _, _ = io.Copy(c, c.r) }

// expects reads exactly this.
func (v *visitor) expects(want string) {
	got := make([]byte, len(want))
	if n, err := io.ReadFull(v.r, got); err != nil || string(got) != want {
		v.f.fatalf("got %.60q (%v), want %.60q", got[:n], err, want)
	}
}

func webSocketCases() []testCase {
	large := frame(2, strings.Repeat("0123456789abcdef", 1<<16))
	return []testCase{
		{name: "WebSocket: echo", run: func(f *fixture) {
			v := f.webSocket("", same)
			for i := range 20 {
				v.send(frame(1, fmt.Sprint(i)))
				v.expects(frame(1, fmt.Sprint(i)))
			}
		}},
		{name: "WebSocket: messages of 1 MiB", run: func(f *fixture) {
			v := f.webSocket("", same)
			for range 4 {
				sent := make(chan error, 1)
				go func() { // ends with the visitor's connection
					_, err := io.WriteString(v, large)
					sent <- err
				}()
				v.expects(large)
				f.must(await(f, "the message", sent))
			}
		}},
		{name: "WebSocket: frames right behind the request", run: func(f *fixture) {
			f.webSocket(frame(1, "early"), same).expects(frame(1, "early"))
		}},
		{name: "WebSocket: frames together with the 101", run: func(f *fixture) {
			f.start(func(c *appConn) {
				if _, err := c.head(); err == nil {
					c.send(switching + frame(1, "early"))
					same(c)
				}
			})
			v := f.visit()
			v.send(handshake)
			f.switched(v)
			v.expects(frame(1, "early"))
		}},
		{name: "WebSocket: the app closes", run: func(f *fixture) {
			v := f.webSocket("", func(c *appConn) { c.send(frame(8, "\x03\xe8")) })
			v.expects(frame(8, "\x03\xe8"))
			v.ended()
		}},
		{name: "WebSocket: the app dies", run: func(f *fixture) {
			v := f.webSocket("", func(c *appConn) { reset(c.Conn) })
			if rest, _ := io.ReadAll(v.r); len(rest) > 0 {
				f.errorf("got %q", rest)
			}
		}},
		{name: "WebSocket: the visitor closes", run: func(f *fixture) {
			gone := make(chan bool, 1)
			v := f.webSocket("", func(c *appConn) { gone <- c.gone() })
			v.Close()
			equal(f, "the app learns it", await(f, "the app", gone), true)
		}},
		{name: "WebSocket: the visitor dies", run: func(f *fixture) {
			gone := make(chan bool, 1)
			v := f.webSocket("", func(c *appConn) { gone <- c.gone() })
			reset(v.Conn)
			equal(f, "the app learns it", await(f, "the app", gone), true)
		}},
		{name: "WebSocket: the app's last words after the visitor's end", run: func(f *fixture) {
			v := f.webSocket("", func(c *appConn) {
				said, _ := io.ReadAll(c.r)
				c.send("got " + string(said))
			})
			v.send("words")
			f.must(v.Conn.(interface{ CloseWrite() error }).CloseWrite())
			v.expects("got words")
			v.ended()
		}},
		{name: "WebSocket: the app refuses", run: func(f *fixture) {
			f.start(answering("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"))
			v := f.visit()
			v.send(handshake)
			resp, body := v.whole("GET")
			equal(f, "answer", fmt.Sprint(resp.StatusCode, body), "403no")
			f.next()
		}},
		{name: "WebSocket over HTTP/2: echo", run: func(f *fixture) {
			f.start(func(c *appConn) {
				if r, err := c.request(); err == nil {
					c.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " + acceptOf(r.Header.Get("Sec-Websocket-Key")) + "\r\n\r\n")
					same(c)
				}
			})
			s := f.connect()
			equal(f, "status", s.status(), "200")
			for i := range 10 {
				text := frame(1, strings.Repeat(fmt.Sprint(i), 1000))
				f.must(s.WriteData(1, false, []byte(text)))
				if got := s.data(len(text)); got != text {
					f.fatalf("got %.60q", got)
				}
			}
			f.must(s.WriteData(1, true, nil))
			s.end()
		}},
		{name: "WebSocket over HTTP/2: the app refuses", run: func(f *fixture) {
			f.start(answering("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno"))
			equal(f, "status", f.connect().status(), "403")
		}},
		{name: "WebSocket over HTTP/2: the app answers 200", run: func(f *fixture) {
			f.start(answering(ok))
			equal(f, "status", f.connect().status(), "502")
		}},
		{name: "WebSocket over HTTP/2: a wrong key", run: func(f *fixture) {
			f.start(answering(switching))
			equal(f, "status", f.connect().status(), "502")
		}},
	}
}

// connected is a connection with HTTP/2's frames and one stream, as of an
// extended CONNECT (RFC 8441).
type connected struct {
	*http2.Framer
	f *fixture
}

func (f *fixture) connect() *connected {
	return f.stream([2]string{":method", "CONNECT"}, [2]string{":protocol", "websocket"}, [2]string{":scheme", "http"},
		[2]string{":path", "/ws"}, [2]string{":authority", Host}, [2]string{"sec-websocket-version", "13"})
}

// stream sends a request over HTTP/2, with these fields as they are.
func (f *fixture) stream(fields ...[2]string) *connected {
	v := f.visit()
	v.send(http2.ClientPreface)
	s := &connected{http2.NewFramer(v, v.r), f}
	s.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	f.must(s.WriteSettings())
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range fields {
		f.must(encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]}))
	}
	f.must(s.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: fields[0][1] != "CONNECT"}))
	return s
}

// next returns the next frame of the stream.
func (s *connected) next() http2.Frame {
	for {
		frame, err := s.ReadFrame()
		s.f.must(err)
		if settings, ok := frame.(*http2.SettingsFrame); ok && !settings.IsAck() {
			s.f.must(s.WriteSettingsAck())
		}
		if frame.Header().StreamID == 1 && frame.Header().Type != http2.FrameWindowUpdate {
			return frame
		}
	}
}

func (s *connected) status() string {
	frame := s.next()
	headers, ok := frame.(*http2.MetaHeadersFrame)
	if !ok {
		s.f.fatalf("got %v", frame)
	}
	return headers.PseudoValue("status")
}

func (s *connected) data(n int) string {
	var got []byte
	for len(got) < n {
		frame := s.next()
		data, ok := frame.(*http2.DataFrame)
		if !ok || data.StreamEnded() {
			s.f.fatalf("got %v after %d bytes", frame, len(got))
		}
		got = append(got, data.Data()...)
	}
	return string(got)
}

// end reads up to the end of the stream.
func (s *connected) end() {
	for {
		switch frame := s.next().(type) {
		case *http2.DataFrame:
			if frame.StreamEnded() {
				return
			}
		case *http2.RSTStreamFrame:
			s.f.fatalf("the stream is reset: %v", frame)
		}
	}
}
