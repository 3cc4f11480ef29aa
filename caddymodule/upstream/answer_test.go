package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// What is accepted, http.ReadResponse reads alike.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "HTTP/1.1 200\n\n", "HTTP/1.0 204 No\r\nConnection: keep-alive\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", "HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n", "\r\n\r\n", "HTTP/1.1 200 OK\r\nx:\t\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var a answer
		r := bufio.NewReader(bytes.NewReader(raw))
		if err := readAnswer(r, &a); err != nil {
			return
		}
		rest, _ := io.ReadAll(r)
		if used := len(raw) - len(rest); used > maxHead {
			t.Fatalf("a head of %d bytes was read", used)
		}
		resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(raw)), nil)
		if err != nil {
			t.Fatalf("http.ReadResponse: %v", err)
		}
		defer resp.Body.Close()
		if resp.StatusCode != a.status {
			t.Errorf("status is %d, want %d", a.status, resp.StatusCode)
		}
		if !a.bodyless(http.MethodGet) {
			if length := a.length; resp.ContentLength != length {
				t.Errorf("length is %d, want %d", length, resp.ContentLength)
			}
			if chunked := len(resp.TransferEncoding) > 0; chunked != a.chunked {
				t.Errorf("chunked is %v, want %v", a.chunked, chunked)
			}
		}
		for name, values := range resp.Header {
			if name == "Content-Length" || name == "Trailer" || name == "Transfer-Encoding" {
				continue
			}
			var got []string
			for i, n := range a.names {
				if n == name {
					got = append(got, a.values[i])
				}
			}
			if strings.Join(got, "\n") != strings.Join(values, "\n") {
				t.Errorf("%s is %q, want %q", name, got, values)
			}
		}
	})
}

func TestAnswersHeadOfAnySize(t *testing.T) {
	for _, size := range []int{1, readBuffer - 60, readBuffer - 50, readBuffer, 2 * readBuffer, maxHead - 100, maxHead, 3 * maxHead} {
		raw := "HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", size) + "\r\nContent-Length: 2\r\n\r\nok"
		var a answer
		r := bufio.NewReaderSize(strings.NewReader(raw), readBuffer)
		err := readAnswer(r, &a)
		if whole := len(raw) - 2; whole > maxHead {
			if !errors.Is(err, ErrBadAnswer) {
				t.Errorf("%d bytes: %v", size, err)
			}
			continue
		}
		if body, _ := io.ReadAll(r); err != nil || string(body) != "ok" || len(a.lookUp("X-A")) != size {
			t.Errorf("%d bytes: %v, %q", size, err, body)
		}
	}
}

func TestHowAnAnswerBreaksOff(t *testing.T) {
	for raw, want := range map[string]error{
		"": io.EOF, "H": ErrBadAnswer, "HTTP/1.1 200 OK\r\n": ErrBadAnswer, "HTTP/1.1 200 OK\r\nA: b\r\n\r": ErrBadAnswer,
	} {
		if err := readAnswer(bufio.NewReader(strings.NewReader(raw)), new(answer)); !errors.Is(err, want) {
			t.Errorf("%q: %v, want %v", raw, err, want)
		}
	}
}

// reference is what there is to know of a stream of frames, found the simple
// way; places are counts of bytes, never is behind every stream.
type reference struct {
	ends                         map[int]bool // of frames
	closeBegins, dataBegins, odd int
}

const never = 1 << 30

func referenceOf(b []byte) reference {
	r := reference{map[int]bool{0: true}, never, never, never}
	for at := 0; ; {
		if len(b) < at+2 {
			return r
		}
		head, size, op := 2, uint64(b[at+1]&0x7f), b[at]&0xf
		control, final := op >= 8, b[at]&0x80 != 0
		switch size {
		case 126:
			head = 4
		case 127:
			head = 10
		}
		start := at
		if b[at+1]&0x80 != 0 {
			at += 4
		}
		if at+head > len(b) {
			return r
		}
		if head > 2 {
			size, _ = strconv.ParseUint(strconv.FormatUint(bigEndian(b[start+2:start+head]), 10), 10, 64)
		}
		if slices.Contains([]byte{3, 4, 5, 6, 7, 11, 12, 13, 14, 15}, op) || control && (!final || head > 2) || size > 1<<63-1 {
			r.odd = at + head
			r.dataBegins = min(r.dataBegins, at+head)
			return r
		}
		if op == opClose {
			r.closeBegins = min(r.closeBegins, at+head)
		}
		if !control {
			r.dataBegins = min(r.dataBegins, at+head)
		}
		if at += head; size > uint64(len(b)-at) {
			return r
		}
		at += int(size)
		r.ends[at] = true
	}
}

func bigEndian(b []byte) (n uint64) {
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

func FuzzCursor(f *testing.F) {
	f.Add([]byte{0x81, 2, 'h', 'i', 0x88, 0x82, 1, 2, 3, 4, 3, 0xe9}, uint8(1))
	f.Add(append([]byte{0x82, 126, 1, 0}, make([]byte, 300)...), uint8(7))
	f.Add([]byte{0x89, 0, 0x8a, 1, 'x', 0x01, 1, 'y', 0x89, 0, 0x80, 1, 'z'}, uint8(0))
	f.Add([]byte("\x89\x00GET / HTTP/1.1\r\n"), uint8(2))
	f.Add([]byte{0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 9, 9, 9, 9, 'x', 0x89, 0}, uint8(3))
	f.Fuzz(func(t *testing.T, stream []byte, step uint8) {
		want := referenceOf(stream)
		var c cursor
		for at := 0; at < len(stream); {
			n := min(int(step%17)+1, len(stream)-at)
			c.advance(stream[at : at+n])
			at += n
			if c.between() != (want.ends[at] && at < want.odd) {
				t.Fatalf("after %d bytes: between frames is %v", at, c.between())
			}
			if c.closed != (at >= want.closeBegins) || c.data != (at >= want.dataBegins) || c.odd != (at >= want.odd) {
				t.Fatalf("after %d bytes: closed is %v, data %v, odd %v; want %+v", at, c.closed, c.data, c.odd, want)
			}
		}
	})
}
