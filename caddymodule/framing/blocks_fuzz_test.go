package framing

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// What the guard lets through of good frames is what came; and whatever came,
// the server decodes the header blocks to what the client meant.
func FuzzFrames(f *testing.F) {
	s := newStream()
	s.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 1})
	s.request(1, "x-a", "b", "te", "trailers")
	s.WriteData(1, true, []byte("abc"))
	s.request(3, "x-a", "b", "upgrade", "h2c")
	s.WriteHeaders(http2.HeadersFrameParam{StreamID: 5, BlockFragment: s.fields("x-a", "b"), PadLength: 3})
	s.WriteContinuation(5, true, s.fields("connection", "x"))
	f.Add(s.Bytes(), uint8(3))
	f.Fuzz(func(t *testing.T, b []byte, step uint8) {
		out, err := pass(bytes.NewReader(b))
		again, err2 := pass(chunks{bytes.NewReader(b), int(step) + 1})
		if !bytes.Equal(out, again) || !errors.Is(err2, err) {
			t.Fatalf("in steps of %d: %x, %v; at once: %x, %v", int(step)+1, again, err2, out, err)
		}
		came, left := framesOf(b), framesOf(out)
		for i, got := range left[:len(left)-1] {
			switch {
			case i >= len(came):
				t.Fatalf("%q was made of %q", left, came)
			case got == came[i], strings.HasSuffix(came[i], " twice"):
			case strings.HasSuffix(got, ": PROTOCOL_ERROR"):
				id, _, _ := strings.Cut(got, ":")
				if !strings.HasPrefix(came[i], id+": HEADERS") || !strings.HasSuffix(came[i], " faulty") {
					t.Fatalf("%q was refused", came[i])
				}
			default:
				t.Fatalf("%q became %q", came[i], got)
			}
			if strings.HasSuffix(got, " faulty") {
				t.Fatalf("%q was let through", got)
			}
		}
	})
}

// faulty is what RFC 9113 §8.2.2 and §8.1.1 say of regular fields.
func faulty(fields []hpack.HeaderField) bool {
	values := map[string][]string{}
	for _, f := range fields {
		values[f.Name] = append(values[f.Name], f.Value)
	}
	for _, name := range []string{"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"} {
		if values[name] != nil {
			return true
		}
	}
	if te := values["te"]; te != nil && !strings.EqualFold(strings.Join(te, ","), "trailers") {
		return true
	}
	lengths := values["content-length"]
	if len(lengths) == 0 {
		return false
	}
	_, err := strconv.ParseUint(lengths[0], 10, 63)
	return err != nil || len(lengths) > 1
}

// announces reports whether fields tell of a body.
func announces(fields []hpack.HeaderField) bool {
	return slices.ContainsFunc(fields, func(f hpack.HeaderField) bool {
		return f.Name == "content-length" && strings.Trim(f.Value, "0") != ""
	})
}

// chunks reads at most n bytes at a time.
type chunks struct {
	io.Reader
	n int
}

func (c chunks) Read(p []byte) (int, error) { return c.Reader.Read(p[:min(len(p), c.n)]) }
