package framing

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// sent is a connection whose client sent some bytes, and sends no more.
type sent struct {
	net.Conn
	io.Reader
}

func (s sent) Read(p []byte) (int, error)      { return s.Reader.Read(p) }
func (sent) SetReadDeadline(_ time.Time) error { return nil }

// stream is what an HTTP/2 client sends after its preface.
type stream struct {
	bytes.Buffer
	*http2.Framer
	block   bytes.Buffer
	encoder *hpack.Encoder
}

func newStream() *stream {
	s := new(stream)
	s.Framer = http2.NewFramer(&s.Buffer, nil)
	s.AllowIllegalWrites = true
	s.encoder = hpack.NewEncoder(&s.block)
	return s
}

// fields encodes names and values in turn.
func (s *stream) fields(pairs ...string) []byte {
	s.block.Reset()
	for i := 0; i < len(pairs); i += 2 {
		s.encoder.WriteField(hpack.HeaderField{Name: pairs[i], Value: pairs[i+1]})
	}
	return slices.Clone(s.block.Bytes())
}

var pseudo = []string{":method", "GET", ":scheme", "http", ":authority", "a.test", ":path", "/"}

func (s *stream) request(id uint32, pairs ...string) {
	s.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, EndHeaders: true, EndStream: true, BlockFragment: s.fields(append(slices.Clone(pseudo), pairs...)...),
	})
}

// pass returns what the guard lets through of bytes, and how it ends.
func pass(in io.Reader) ([]byte, error) {
	c := &conn{Conn: sent{Reader: io.MultiReader(strings.NewReader(http2.ClientPreface), in)}, headerTimeout: patience}
	out, err := io.ReadAll(c)
	return bytes.TrimPrefix(out, []byte(http2.ClientPreface)), err
}

// frames tells what the server makes of bytes: each frame with its header
// fields, and at the end the error.
func framesOf(b []byte) (all []string) {
	f := http2.NewFramer(nil, bytes.NewReader(b))
	f.ReadMetaHeaders = hpack.NewDecoder(tableSize, nil)
	f.SetMaxReadFrameSize(maxFrame)
	for {
		frame, err := f.ReadFrame()
		if se, ok := errors.AsType[http2.StreamError](err); ok {
			all = append(all, fmt.Sprintf("%d: %v", se.StreamID, se.Code))
			continue
		}
		if err != nil {
			return append(all, err.Error())
		}
		what := fmt.Sprintf("%d: %v", frame.Header().StreamID, frame.Header().Type)
		switch f := frame.(type) {
		case *http2.MetaHeadersFrame:
			for _, field := range f.RegularFields() {
				what += fmt.Sprintf(" %s=%s", field.Name, field.Value)
			}
			if faulty(f.RegularFields()) || f.StreamEnded() && f.PseudoValue("method") != "" && announces(f.RegularFields()) {
				what += " faulty"
			}
		case *http2.SettingsFrame:
			f.ForeachSetting(func(s http2.Setting) error {
				what += fmt.Sprintf(" %d=%d", s.ID, s.Val)
				return nil
			})
			if f.HasDuplicates() {
				what += " twice"
			}
		}
		all = append(all, what)
	}
}

func TestMalformedRequestsAreStreamErrors(t *testing.T) {
	const refused = "PROTOCOL_ERROR"
	for _, tc := range []struct {
		name   string
		fields []string
		want   string
	}{
		{"connection", []string{"connection", "close"}, refused},
		{"keep-alive", []string{"keep-alive", "5"}, refused},
		{"proxy-connection", []string{"proxy-connection", "close"}, refused},
		{"transfer-encoding", []string{"transfer-encoding", "chunked"}, refused},
		{"upgrade", []string{"upgrade", "websocket"}, refused},
		{"between others", []string{"a", "b", "upgrade", "x", "c", "d"}, refused},
		{"te", []string{"te", "gzip"}, refused},
		{"te with more", []string{"te", "trailers, deflate"}, refused},
		{"te twice", []string{"te", "trailers", "te", "trailers"}, refused},
		{"te: trailers", []string{"te", "trailers"}, "HEADERS te=trailers"},
		{"content-length twice", []string{"content-length", "1", "content-length", "1"}, refused},
		{"content-length that is none", []string{"content-length", "+1"}, refused},
		{"content-length of no body", []string{"content-length", "00"}, "HEADERS content-length=00"},
		{"content-length of a body that does not come", []string{"content-length", "12"}, refused},
		{"others", []string{"connections", "x", "a", "upgrade"}, "HEADERS connections=x a=upgrade"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newStream()
			s.request(1, tc.fields...)
			s.request(3, append([]string{"x-stays", "in step"}, tc.fields...)...)
			s.request(5, "x-stays", "in step")
			want := []string{"1: " + tc.want, "3: " + tc.want, "5: HEADERS x-stays=in step", "EOF"}
			if tc.want != refused {
				want[1] = strings.Replace(want[1], "HEADERS", "HEADERS x-stays=in step", 1)
			}
			for how, in := range map[string]io.Reader{
				"at once": bytes.NewReader(s.Bytes()), "byte by byte": iotest.OneByteReader(bytes.NewReader(s.Bytes())),
			} {
				out, err := pass(in)
				if got := framesOf(out); err != nil || !slices.Equal(got, want) {
					t.Errorf("%s: %q, %v, want %q", how, got, err, want)
				}
			}
		})
	}
}

// A length is no fault where the body is still to come, nor in trailers, which
// say nothing of one.
func TestLengthsOfBodies(t *testing.T) {
	s := newStream()
	s.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true, BlockFragment: s.fields(append(slices.Clone(pseudo), "content-length", "12")...)})
	s.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true, EndStream: true, BlockFragment: s.fields("content-length", "12")})
	out, err := pass(bytes.NewReader(s.Bytes()))
	if want := s.Bytes(); err != nil || !bytes.Equal(out, want) {
		t.Errorf("%q, %v, want %q", out, err, want)
	}
}

func TestMalformedBlocksInAnyShape(t *testing.T) {
	for name, write := range map[string]func(s *stream, block []byte){
		"padded, with a priority": func(s *stream, block []byte) {
			s.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true, BlockFragment: block, PadLength: 7,
				Priority: http2.PriorityParam{StreamDep: 5, Weight: 1}})
		},
		"in parts": func(s *stream, block []byte) {
			s.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block[:3], PadLength: 1})
			s.WriteContinuation(1, false, block[3:9])
			s.WriteContinuation(1, true, block[9:])
		},
		"with an empty end": func(s *stream, block []byte) {
			s.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: block})
			s.WriteContinuation(1, true, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream()
			write(s, s.fields(append(slices.Clone(pseudo), "x-first", "1", "upgrade", "h2c")...))
			s.request(3, "x-first", "1")
			out, err := pass(bytes.NewReader(s.Bytes()))
			if got, want := framesOf(out), []string{"1: PROTOCOL_ERROR", "3: HEADERS x-first=1", "EOF"}; err != nil || !slices.Equal(got, want) {
				t.Errorf("%q, %v, want %q", got, err, want)
			}
		})
	}
}

func TestHeaderBlocksAreBounded(t *testing.T) {
	calm, size := error(http2.ConnectionError(http2.ErrCodeEnhanceYourCalm)), http2.ErrFrameTooLarge
	nothing := bytes.Repeat([]byte{0x20}, maxFrame+1) // each byte empties the empty table
	for _, tc := range []struct {
		name           string
		first, each, n int
		want           error
	}{
		{"16 KiB at once", maxFrame, 0, 0, nil},
		{"more at once", maxFrame + 1, 0, 0, size},
		{"64 KiB in parts", maxFrame, maxFrame, 3, nil},
		{"more in parts", maxFrame, maxFrame, 4, nil},
		{"256 KiB in parts", maxFrame, maxFrame, 15, nil},
		{"more than that in parts", maxFrame, maxFrame, 16, calm},
		{"64 parts", 1, 1, maxContinuations, nil},
		{"65 parts", 1, 1, maxContinuations + 1, calm},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newStream()
			for range 2 { // the second block begins anew
				s.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: nothing[:tc.first], EndHeaders: tc.n == 0})
				for i := range tc.n {
					s.WriteContinuation(1, i == tc.n-1, nothing[:tc.each])
				}
			}
			if _, err := pass(bytes.NewReader(s.Bytes())); !errors.Is(err, tc.want) {
				t.Errorf("ends with %v, want %v", err, tc.want)
			}
		})
	}
}

// in writes a block in frames.
func (s *stream) in(id uint32, end bool, block []byte) {
	first := min(len(block), maxFrame)
	s.WriteHeaders(http2.HeadersFrameParam{StreamID: id, EndStream: end, EndHeaders: first == len(block), BlockFragment: block[:first]})
	for rest := block[first:]; len(rest) > 0; {
		n := min(len(rest), maxFrame)
		s.WriteContinuation(id, n == len(rest), rest[:n])
		rest = rest[n:]
	}
}

// A list of headers that is too large is one request's: those after it mean
// what they meant, whatever of its fields they refer back to.
func TestAHeaderListThatIsTooLargeIsRefusedAlone(t *testing.T) {
	refusal := "HEADERS slipway-refused=" + token + " 431 headers_too_large"
	cookie := func(i, size int) string { return fmt.Sprintf("c%02d=%s", i, strings.Repeat("{", size)) }
	cookies := func(n, size int) (fields []string) {
		for i := range n {
			fields = append(fields, "cookie", cookie(i, size))
		}
		return fields
	}
	for name, c := range map[string]struct {
		fields []string
		want   string
	}{
		"more than 64 KiB as it comes":                {cookies(30, 3800), refusal},
		"more than 64 KiB decoded":                    {slices.Repeat([]string{"cookie", cookie(0, 3800)}, 20), refusal},
		"more than 64 KiB in one field":               {[]string{"cookie", cookie(0, 70<<10)}, refusal},
		"less":                                        {cookies(2, 9<<10), "HEADERS cookie=" + cookie(0, 9<<10) + " cookie=" + cookie(1, 9<<10)},
		"more than 64 KiB, malformed":                 {append(cookies(30, 3800), "upgrade", "h2c"), refusal},
		"less, malformed, in more frames than one is": {append(cookies(2, 9<<10), "upgrade", "h2c"), "PROTOCOL_ERROR"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream()
			s.request(1, "x-first", "1")
			s.in(3, true, s.fields(append(slices.Clone(pseudo), c.fields...)...))
			last := c.fields[len(c.fields)-2:]
			if last[0] == "upgrade" {
				last = c.fields[:2]
			}
			s.in(5, false, s.fields(append(slices.Clone(pseudo), "x-first", "1", last[0], last[1][:4])...))
			s.in(5, true, s.fields("x-first", "1"))
			s.request(7, "x-first", "1", "upgrade", "h2c")
			s.request(9, "x-first", "1", "x-a", "b")
			want := []string{"1: HEADERS x-first=1", "3: " + c.want, "5: HEADERS x-first=1 cookie=" + last[1][:4], "5: HEADERS x-first=1",
				"7: PROTOCOL_ERROR", "9: HEADERS x-first=1 x-a=b", "EOF"}
			for how, in := range map[string]io.Reader{
				"at once": bytes.NewReader(s.Bytes()), "byte by byte": iotest.OneByteReader(bytes.NewReader(s.Bytes())),
			} {
				out, err := pass(in)
				if got := framesOf(out); err != nil || !slices.Equal(got, want) {
					t.Errorf("%s: %.400q, %v, want %.400q", how, got, err, want)
				}
			}
		})
	}
}

func TestTrailersThatAreTooLargeAreAStreamError(t *testing.T) {
	s := newStream()
	s.in(1, false, s.fields(pseudo...))
	s.in(1, true, s.fields("x-a", strings.Repeat("{", 70<<10)))
	s.request(3, "x-first", "1")
	out, err := pass(bytes.NewReader(s.Bytes()))
	if got, want := framesOf(out), []string{"1: HEADERS", "1: PROTOCOL_ERROR", "3: HEADERS x-first=1", "EOF"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%.300q, %v, want %q", got, err, want)
	}
}

func TestAHeaderBlockGoesOnUntilItsEnd(t *testing.T) {
	for name, write := range map[string]func(s *stream){
		"another frame":     func(s *stream) { s.WritePing(false, [8]byte{}) },
		"another block":     func(s *stream) { s.request(3) },
		"of another stream": func(s *stream) { s.WriteContinuation(3, true, nil) },
		"after its end":     func(s *stream) { s.WriteContinuation(1, true, nil); s.WriteContinuation(1, true, nil) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream()
			s.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: s.fields(pseudo...)})
			write(s)
			if _, err := pass(bytes.NewReader(s.Bytes())); !errors.Is(err, http2.ConnectionError(http2.ErrCodeProtocol)) {
				t.Errorf("ends with %v", err)
			}
		})
	}
}

func TestFieldsOfABlockAreBounded(t *testing.T) {
	for fields, want := range map[int]error{mostFields: nil, mostFields + 1: http2.ConnectionError(http2.ErrCodeEnhanceYourCalm)} {
		s := newStream()
		for range 2 {
			s.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: true, BlockFragment: bytes.Repeat([]byte{0x82}, fields)})
		}
		if _, err := pass(bytes.NewReader(s.Bytes())); !errors.Is(err, want) {
			t.Errorf("%d fields: ends with %v, want %v", fields, err, want)
		}
	}
}

func TestBlocksThatCannotBeDecoded(t *testing.T) {
	for name, tc := range map[string]struct {
		flags   http2.Flags
		payload []byte
		want    http2.ErrCode
	}{
		"index 0":                 {http2.FlagHeadersEndHeaders, []byte{0x80}, http2.ErrCodeCompression},
		"index beyond the tables": {http2.FlagHeadersEndHeaders, []byte{0xff, 0x80, 0x01}, http2.ErrCodeCompression},
		"half a field":            {http2.FlagHeadersEndHeaders, []byte{0x40, 0x05, 'a'}, http2.ErrCodeCompression},
		"a larger table":          {http2.FlagHeadersEndHeaders, []byte{0x3f, 0xe2, 0x1f}, http2.ErrCodeCompression},
		"more padding than bytes": {http2.FlagHeadersEndHeaders | http2.FlagHeadersPadded, []byte{3, 0x82, 0}, http2.ErrCodeProtocol},
		"half a priority":         {http2.FlagHeadersEndHeaders | http2.FlagHeadersPriority, []byte{0, 0, 0}, http2.ErrCodeProtocol},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream()
			s.WriteRawFrame(http2.FrameHeaders, tc.flags, 1, tc.payload)
			if _, err := pass(bytes.NewReader(s.Bytes())); !errors.Is(err, http2.ConnectionError(tc.want)) {
				t.Errorf("ends with %v, want %v", err, tc.want)
			}
		})
	}
}

func TestAHeaderBlockHasTheTimeOfAHead(t *testing.T) {
	for name, tc := range map[string]struct {
		end  bool
		cut  int // bytes that do not come
		slow bool
	}{
		"whole":                   {true, 0, false},
		"without its end":         {false, 0, true},
		"without its last byte":   {true, 1, true},
		"without its whole block": {true, 20, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStream()
			s.WriteSettings()
			s.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, EndHeaders: tc.end, BlockFragment: s.fields(append(slices.Clone(pseudo), "x-a", "some value")...)})
			server, client := net.Pipe()
			defer server.Close()
			defer client.Close()
			// The guard's deadline is the only one there is.
			c := &conn{Conn: server, headerTimeout: 20 * time.Millisecond}
			go client.Write(append([]byte(http2.ClientPreface), s.Bytes()[:s.Len()-tc.cut]...))
			if !tc.slow {
				if _, err := io.ReadFull(c, make([]byte, len(http2.ClientPreface)+s.Len())); err != nil || !c.clock.head.IsZero() {
					t.Errorf("%v; the time runs until %v", err, c.clock.head)
				}
				return
			}
			if _, err := io.ReadAll(c); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("ends with %v", err)
			}
		})
	}
}

func TestTheLastOfRepeatedSettingsCounts(t *testing.T) {
	const table, push, window, frame = http2.SettingHeaderTableSize, http2.SettingEnablePush, http2.SettingInitialWindowSize, http2.SettingMaxFrameSize
	for _, tc := range []struct {
		name     string
		settings []http2.Setting
		want     string
	}{
		{"none", nil, "0: SETTINGS"},
		{"once", []http2.Setting{{ID: window, Val: 1}, {ID: frame, Val: 20000}}, "0: SETTINGS 4=1 5=20000"},
		{"twice", []http2.Setting{{ID: window, Val: 100}, {ID: window, Val: 1}}, "0: SETTINGS 4=1"},
		{"among others", []http2.Setting{{ID: window, Val: 9}, {ID: 0xf, Val: 1}, {ID: window, Val: 8}, {ID: 0xf, Val: 2}, {ID: window, Val: 7}},
			"0: SETTINGS 15=2 4=7"},
		{"a bad value is still seen", []http2.Setting{{ID: push, Val: 2}, {ID: push, Val: 0}}, "0: SETTINGS 2=2 2=0 twice"},
		{"the size of the table", []http2.Setting{{ID: table, Val: 0}, {ID: table, Val: 4096}}, "0: SETTINGS 1=0 1=4096 twice"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newStream()
			s.WriteSettings(tc.settings...)
			s.WriteSettingsAck()
			out, err := pass(iotest.HalfReader(bytes.NewReader(s.Bytes())))
			if got, want := framesOf(out), []string{tc.want, "0: SETTINGS", "EOF"}; err != nil || !slices.Equal(got, want) {
				t.Errorf("%q, %v, want %q", got, err, want)
			}
		})
	}
}

// A request after others on its connection: all but its path is in the tables.
func BenchmarkHTTP2Request(b *testing.B) {
	fields := []string{
		"user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "accept", "text/html,application/xhtml+xml",
		"accept-language", "en-US,en;q=0.5", "accept-encoding", "gzip, deflate, br, zstd", "cookie", "session=0123456789abcdef0123456789abcdef",
		"sec-fetch-dest", "document", "sec-fetch-mode", "navigate", "sec-fetch-site", "none", "priority", "u=0, i",
	}
	s := newStream()
	s.request(1, fields...)
	first := slices.Clone(s.Bytes())
	// A literal that is not indexed: browsers send paths so.
	block := append(s.fields(append(slices.Clone(pseudo[:6]), fields...)...), 0x04, 40)
	block = append(block, strings.Repeat("/path", 8)...)
	s.Reset()
	s.WriteHeaders(http2.HeadersFrameParam{StreamID: 3, EndHeaders: true, EndStream: true, BlockFragment: block})
	in := io.MultiReader(strings.NewReader(http2.ClientPreface), bytes.NewReader(first), &circle{b: s.Bytes()})
	c := &conn{Conn: sent{Reader: in}, headerTimeout: patience}
	p := make([]byte, 4<<10)
	io.ReadFull(c, p[:len(http2.ClientPreface)+len(first)])
	b.ReportAllocs()
	for b.Loop() {
		io.ReadFull(c, p[:frameHeader])
		io.ReadFull(c, p[:frameOf(p).length])
		c.frames.Load().fromServer(s.Bytes())
	}
}

// circle reads the same bytes again and again.
type circle struct {
	b  []byte
	at int
}

func (c *circle) Read(p []byte) (int, error) {
	n := copy(p, c.b[c.at:])
	c.at = (c.at + n) % len(c.b)
	return n, nil
}
