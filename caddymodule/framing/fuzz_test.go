package framing

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"golang.org/x/net/http2"
)

// through reads all that the guard lets through of input, which comes in parts
// of the given sizes, over and over, into buffers of a given size.
func through(input []byte, sizes []byte, room int) (string, *conn) {
	var parts []string
	for i := 0; len(input) > 0; i++ {
		n := len(input)
		if len(sizes) > 0 {
			n = min(n, int(sizes[i%len(sizes)])+1)
		}
		parts = append(parts, string(input[:n]))
		input = input[n:]
	}
	c := &conn{Conn: &scripted{parts: parts}}
	var out bytes.Buffer
	p := make([]byte, room)
	for idle := 0; idle < 2; {
		n, err := c.Read(p)
		out.Write(p[:n])
		if err != nil {
			break
		}
		if idle++; n > 0 {
			idle = 0
		} else if c.answer.Load() == awaited {
			c.answer.Store(declined) // what a server does that cannot switch
			idle = 0
		}
	}
	return out.String(), c
}

func seed(f *testing.F) {
	for _, tc := range cases {
		if len(tc.bytes) < 2<<10 {
			f.Add([]byte(tc.bytes), []byte{0})
		}
	}
	f.Add([]byte(te+"5\r\nhello\r\n0\r\nA: b\r\n\r\n"+next), []byte{3, 0, 9})
	f.Add([]byte(http2.ClientPreface+"\x00\x00\x00\x04\x00\x00\x00\x00\x00"), []byte{1})
}

// Whatever comes, in whatever parts: the same is let through, and nothing is
// left behind.
func FuzzSplit(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, input, sizes []byte) {
		want, _ := through(input, nil, 64<<10)
		for _, room := range []int{1 << 10, 7} {
			if got, _ := through(input, sizes, room); got != want {
				t.Errorf("%q in parts of %v into %d bytes: %q is let through, at once %q", input, sizes, room, got, want)
			}
		}
	})
}

// message is what both parties must agree on: the request line, the bytes of body.
type message struct {
	line string
	body int
}

// What the guard lets through, net/http reads as the same requests with bodies
// of the same lengths. It would answer none of them by itself.
func FuzzAgreesWithNetHTTP(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, input, sizes []byte) {
		passed, c := through(input, sizes, 64<<10)
		if c.frames.Load() != nil {
			return
		}
		ours, whole := counted(t, passed)
		r := bufio.NewReader(strings.NewReader(passed))
		for i, want := range ours {
			req, err := http.ReadRequest(r)
			if err != nil {
				t.Fatalf("request %d of %q: %v", i, passed, err)
			}
			if line := fmt.Sprintf("%s %s %s", req.Method, req.RequestURI, req.Proto); line != want.line {
				t.Fatalf("request %d of %q is %q, want %q", i, passed, line, want.line)
			}
			body, err := io.ReadAll(req.Body)
			if i == len(ours)-1 && !whole {
				break
			}
			if err != nil || len(body) != want.body {
				t.Fatalf("body %d of %q has %d bytes (%v), want %d", i, passed, len(body), err, want.body)
			}
		}
		if _, err := r.ReadByte(); whole && err != io.EOF {
			t.Fatalf("%q: net/http left something", passed)
		}
	})
}

// counted takes what was let through apart as the guard does, and reports
// whether the last request is whole.
func counted(t *testing.T, passed string) (all []message, whole bool) {
	left := []byte(passed)
	for len(left) > 0 {
		var h headScan
		n, refused := h.scan(left)
		if n == 0 || refused != nil {
			t.Fatalf("%q was let through, and is refused (%v)", left, refused)
		}
		line, _, _ := strings.Cut(string(left), "\r\n")
		m := message{line: line}
		left = left[n:]
		body := plainBody(h.length)
		switch {
		case h.codings > 0:
			body = chunkedBody()
		case h.length == 0:
			all = append(all, m)
			continue
		}
		done := false
		for !done && len(left) > 0 { // byte by byte, to count data alone
			data := body.part == plainData || body.part == chunkData
			n, end, err := body.scan(left[:1])
			if err != nil || n != 1 {
				t.Fatalf("%q was let through of a body: %v", left, err)
			}
			if data {
				m.body++
			}
			left, done = left[1:], end
		}
		all = append(all, m)
		if !done {
			return all, false
		}
	}
	return all, true
}
