package upstream_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

const webSocketRequest = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"

// webSocket opens one.
func (g *rig) webSocket() (net.Conn, *bufio.Reader) {
	g.t.Helper()
	conn, err := net.Dial("tcp", g.front.Listener.Addr().String())
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(patience))
	io.WriteString(conn, webSocketRequest)
	r := bufio.NewReader(conn)
	resp, err := http.ReadResponse(r, nil)
	if err != nil || resp.StatusCode != http.StatusSwitchingProtocols {
		g.t.Fatalf("%v, %v", resp, err)
	}
	return conn, r
}

func switches(conn net.Conn, r *bufio.Reader) bool {
	_, err := http.ReadRequest(r)
	io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	return err == nil
}

// readFrame returns the next frame's first byte and its payload.
func readFrame(r *bufio.Reader) (first byte, payload []byte, err error) {
	head := make([]byte, 2)
	if _, err := io.ReadFull(r, head); err != nil {
		return 0, nil, err
	}
	n := int(head[1] & 0x7f)
	if n == 127 {
		long := make([]byte, 8)
		if _, err := io.ReadFull(r, long); err != nil {
			return 0, nil, err
		}
		n = 0
		for _, b := range long {
			n = n<<8 | int(b)
		}
	}
	if head[1]&0x80 != 0 {
		if _, err := io.ReadFull(r, make([]byte, 4)); err != nil {
			return 0, nil, err
		}
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(r, payload)
	return head[0], payload, err
}

// closing reads frames until a Close frame, answers it, and reads to the end.
func closing(conn net.Conn, r *bufio.Reader) error {
	for {
		first, payload, err := readFrame(r)
		if err != nil {
			return err
		}
		if first&0xf != 8 {
			continue
		}
		if string(payload) != "\x03\xe9" {
			return fmt.Errorf("closed with %q", payload)
		}
		if _, err := conn.Write([]byte{0x88, 2, 3, 0xe9}); err != nil {
			return err
		}
		if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
			return fmt.Errorf("after the Close frame came %.20q, %w", rest, err)
		}
		return nil
	}
}

func TestDrainSaysGoodbyeToBothSides(t *testing.T) {
	const size = 4 << 20
	app := make(chan error, 8)
	g := newRig(t, func(conn net.Conn, r *bufio.Reader) {
		if !switches(conn, r) {
			return
		}
		sent := make(chan struct{})
		go func() { // ends with the message
			defer close(sent)
			conn.Write([]byte{0x82, 127, 0, 0, 0, 0, size >> 24, size >> 16 & 0xff, 0, 0})
			for range size >> 16 {
				conn.Write(make([]byte, 1<<16))
			}
		}()
		err := closing(conn, r)
		<-sent
		app <- err
	})
	visitors := make(chan error, 8)
	for range cap(visitors) {
		conn, r := g.webSocket()
		if _, err := r.Peek(100); err != nil { // the message has begun
			t.Fatal(err)
		}
		go func() { visitors <- closing(conn, r) }() // ends with the connection
	}
	g.client.Drain()
	for range cap(visitors) {
		if err := <-visitors; err != nil {
			t.Errorf("a visitor: %v", err)
		}
		if err := <-app; err != nil {
			t.Errorf("the app: %v", err)
		}
	}
	if n := streams(g.client); n != 0 {
		t.Errorf("%d are left", n)
	}
}

// Neither side reads, and both have more to read than any buffer holds.
func TestDrainEndsWithDeadPeers(t *testing.T) {
	over := make(chan struct{})
	flood := func(conn net.Conn) {
		conn.Write([]byte{0x82, 127, 0, 0, 0, 1, 0, 0, 0, 0})
		for piece := make([]byte, 1<<16); ; {
			if _, err := conn.Write(piece); err != nil {
				return
			}
		}
	}
	g := newRig(t, func(conn net.Conn, r *bufio.Reader) {
		if switches(conn, r) {
			flood(conn)
			<-over
		}
	})
	defer close(over)
	conn, _ := g.webSocket()
	conn.SetDeadline(time.Time{})
	go flood(conn) // ends with the connection
	done := make(chan struct{})
	go func() { // ends by itself: that is the test
		defer close(done)
		g.client.Drain()
	}()
	select {
	case <-done:
	case <-time.After(2 * patience):
		t.Fatal("the drain does not end")
	}
}
