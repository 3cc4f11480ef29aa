package framing

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// serveH2C starts a server of HTTP/2 without TLS, as Caddy has it, and returns
// where.
func serveH2C(t *testing.T, handler http.HandlerFunc) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler, Protocols: new(http.Protocols), ReadHeaderTimeout: patience}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	advertise(server)
	if err := http2.ConfigureServer(server, nil); err != nil { //nolint:staticcheck // Caddy uses it: its server says GOAWAY for the guard
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		server.Serve(Listen(l, patience))
	}()
	t.Cleanup(func() {
		server.Close()
		<-done
	})
	return l.Addr().String()
}

// h2Client speaks HTTP/2 frame by frame.
type h2Client struct {
	net.Conn
	*http2.Framer
	block bytes.Buffer
	ended chan http2.ErrCode // the code of GOAWAY, then closed
}

func dialH2C(t *testing.T, addr string) *h2Client {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	client := &h2Client{Conn: c, Framer: http2.NewFramer(c, c), ended: make(chan http2.ErrCode, 1)}
	if _, err := io.WriteString(c, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := client.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	go client.drain()
	return client
}

// drain reads what the server says until it ends the connection.
func (c *h2Client) drain() {
	defer close(c.ended)
	for {
		f, err := c.ReadFrame()
		if err != nil {
			if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
				c.ended <- http2.ErrCodeNo // it did not end
			}
			return
		}
		if away, ok := f.(*http2.GoAwayFrame); ok {
			c.ended <- away.ErrCode
			return
		}
	}
}

func (c *h2Client) get(stream uint32) error {
	c.block.Reset()
	encoder := hpack.NewEncoder(&c.block)
	for _, f := range [][2]string{{":method", "GET"}, {":scheme", "http"}, {":authority", "a.test"}, {":path", "/"}} {
		if err := encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]}); err != nil {
			return err
		}
	}
	return c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.block.Bytes(), EndStream: true, EndHeaders: true})
}

func TestFloodsEndTheConnection(t *testing.T) {
	block := make(chan struct{})
	addr := serveH2C(t, func(_ http.ResponseWriter, r *http.Request) {
		select { // an answer would earn something
		case <-block:
		case <-r.Context().Done():
		}
	})
	t.Cleanup(func() { close(block) })
	for name, flood := range map[string]func(c *h2Client, i uint32) error{
		"PING":     func(c *h2Client, _ uint32) error { return c.WritePing(false, [8]byte{}) },
		"PING ack": func(c *h2Client, _ uint32) error { return c.WritePing(true, [8]byte{}) },
		"SETTINGS": func(c *h2Client, _ uint32) error { return c.WriteSettings() },
		"PRIORITY": func(c *h2Client, _ uint32) error { return c.WritePriority(1, http2.PriorityParam{StreamDep: 3}) },
		"unknown":  func(c *h2Client, _ uint32) error { return c.WriteRawFrame(0xbe, 0, 0, nil) },
		"WINDOW_UPDATE": func(c *h2Client, _ uint32) error {
			return c.WriteWindowUpdate(0, 1)
		},
		"resets": func(c *h2Client, i uint32) error {
			return errors.Join(c.get(2*i+1), c.WriteRSTStream(2*i+1, http2.ErrCodeCancel))
		},
		"streams over the limit": func(c *h2Client, i uint32) error { return c.get(2*i + 1) },
		"empty DATA": func(c *h2Client, i uint32) error {
			if i == 0 {
				c.block.Reset()
				encoder := hpack.NewEncoder(&c.block)
				for _, f := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":authority", "a.test"}, {":path", "/"}} {
					encoder.WriteField(hpack.HeaderField{Name: f[0], Value: f[1]})
				}
				return c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.block.Bytes(), EndHeaders: true})
			}
			return c.WriteData(1, false, nil)
		},
		"CONTINUATION": func(c *h2Client, i uint32) error {
			if i == 0 {
				return c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: []byte{0x82}})
			}
			return c.WriteContinuation(1, false, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := dialH2C(t, addr)
			for i := uint32(0); flood(c, i) == nil; i++ {
			}
			if code, ok := <-c.ended; ok && code == http2.ErrCodeNo {
				t.Error("the connection does not end")
			}
		})
	}
}

// The server says why, if the client listens.
func TestAFloodGetsGoAway(t *testing.T) {
	c := dialH2C(t, serveH2C(t, func(http.ResponseWriter, *http.Request) {}))
	for range fullPurse + perSecond {
		if err := c.WritePriority(1, http2.PriorityParam{StreamDep: 3}); err != nil {
			break
		}
	}
	if code := <-c.ended; code != http2.ErrCodeEnhanceYourCalm {
		t.Errorf("ends with %v", code)
	}
}

// What the server was made to send ends the connection even of a client that
// sends no more.
func TestResetsOfTheServerEndTheConnection(t *testing.T) {
	c := dialH2C(t, serveH2C(t, func(http.ResponseWriter, *http.Request) {}))
	encoder := hpack.NewEncoder(&c.block)
	for i := range uint32(fullPurse + perSecond) {
		c.block.Reset()
		encoder.WriteField(hpack.HeaderField{Name: "upgrade", Value: "h2c"})
		if err := c.WriteHeaders(http2.HeadersFrameParam{StreamID: 2*i + 1, BlockFragment: c.block.Bytes(), EndStream: true, EndHeaders: true}); err != nil {
			break
		}
	}
	if code := <-c.ended; code != http2.ErrCodeEnhanceYourCalm {
		t.Errorf("ends with %v", code)
	}
}

func h2cClient(t *testing.T, addr string) *http.Client {
	t.Helper()
	plain := &http.Transport{Protocols: new(http.Protocols), DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", addr)
	}}
	plain.Protocols.SetUnencryptedHTTP2(true)
	t.Cleanup(plain.CloseIdleConnections)
	return &http.Client{Transport: plain, Timeout: patience}
}

func TestAFewHundredUselessFramesAreFine(t *testing.T) {
	c := dialH2C(t, serveH2C(t, func(http.ResponseWriter, *http.Request) {}))
	for i := range uint32(300) {
		err := errors.Join(c.WritePing(false, [8]byte{}), c.WriteSettings(), c.WritePriority(1, http2.PriorityParam{StreamDep: 3}),
			c.WriteWindowUpdate(0, 1), c.get(2*i+1), c.WriteRSTStream(2*i+1, http2.ErrCodeCancel))
		if err != nil {
			t.Fatal(err)
		}
	}
	c.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
	if code := <-c.ended; code != http2.ErrCodeNo {
		t.Errorf("ends with %v", code)
	}
}

func TestTenThousandRequestsOnOneConnection(t *testing.T) {
	conns := sync.Map{}
	client := h2cClient(t, serveH2C(t, func(w http.ResponseWriter, r *http.Request) {
		conns.Store(r.RemoteAddr, true)
		io.Copy(w, r.Body)
	}))
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for range 200 {
				resp, err := client.Post("http://a.test/", "text/plain", strings.NewReader("hello"))
				if err != nil {
					t.Error(err)
					return
				}
				body, err := io.ReadAll(resp.Body)
				resp.Body.Close()
				if string(body) != "hello" || err != nil {
					t.Errorf("%q, %v", body, err)
					return
				}
			}
		})
	}
	wg.Wait()
	n := 0
	conns.Range(func(_, _ any) bool { n++; return true })
	if n != 1 {
		t.Errorf("it took %d connections", n)
	}
}

// A gRPC client sends a PING with each message that it gets, and two
// WINDOW_UPDATEs, while messages of a few bytes go both ways.
func TestPingsWithEachMessageAreFine(t *testing.T) {
	addr := serveH2C(t, func(w http.ResponseWriter, r *http.Request) {
		buf := make([]byte, 10)
		for {
			if _, err := io.ReadFull(r.Body, buf); err != nil {
				return
			}
			w.Write(buf)
			http.NewResponseController(w).Flush()
		}
	})
	c := dialBidi(t, addr)
	for range 20_000 {
		if err := c.WriteData(1, false, []byte("0123456789")); err != nil {
			t.Fatal(err)
		}
		for {
			f, err := c.ReadFrame()
			if err != nil {
				t.Fatal(err)
			}
			if away, ok := f.(*http2.GoAwayFrame); ok {
				t.Fatalf("ends with %v", away.ErrCode)
			}
			if _, ok := f.(*http2.DataFrame); ok {
				break
			}
		}
		if err := errors.Join(c.WritePing(false, [8]byte{}), c.WriteWindowUpdate(0, 10), c.WriteWindowUpdate(1, 10)); err != nil {
			t.Fatal(err)
		}
	}
}

// dialBidi opens stream 1, and leaves reading to the test.
func dialBidi(t *testing.T, addr string) *http2.Framer {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(3 * patience))
	f := http2.NewFramer(conn, conn)
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, h := range [][2]string{{":method", "POST"}, {":scheme", "http"}, {":authority", "a.test"}, {":path", "/"}} {
		encoder.WriteField(hpack.HeaderField{Name: h[0], Value: h[1]})
	}
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	err = errors.Join(f.WriteSettings(), f.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true}))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFrameHeadersAreFoundInAnySplit(t *testing.T) {
	var stream bytes.Buffer
	f := http2.NewFramer(&stream, nil)
	f.WriteSettings(http2.Setting{ID: http2.SettingMaxFrameSize, Val: 1 << 20})
	f.WriteData(1, true, []byte("abc"))
	f.WritePing(false, [8]byte{})
	f.WriteData(3, false, nil)
	want := []frame{{http2.FrameSettings, 0, 6}, {http2.FrameData, http2.FlagDataEndStream, 3}, {http2.FramePing, 0, 8}, {http2.FrameData, 0, 0}}
	for step := 1; step <= stream.Len(); step++ {
		var s frameScan
		var got []frame
		for left := stream.Bytes(); len(left) > 0; {
			part := left[:min(step, len(left))]
			left = left[len(part):]
			for {
				found, rest, ok := s.next(part)
				if !ok {
					break
				}
				got, part = append(got, found), rest
			}
		}
		if len(got) != len(want) {
			t.Fatalf("in steps of %d: %v, want %v", step, got, want)
		}
		for i := range want {
			if got[i] != want[i] {
				t.Errorf("in steps of %d: frame %d is %v, want %v", step, i, got[i], want[i])
			}
		}
	}
}
