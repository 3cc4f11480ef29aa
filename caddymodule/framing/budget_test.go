package framing

import (
	"io"
	"net"
	"testing"

	"golang.org/x/net/http2"
)

func TestBuffersAreGivenBack(t *testing.T) {
	for name, parts := range map[string][]string{
		"idle":           {next[:9], next[9:]},
		"requests ahead": {next + next[:9], next[9:] + next},
		"HTTP/2":         {http2.ClientPreface[:3], http2.ClientPreface[3:]},
		"empty line":     {"\r", "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			c := &conn{Conn: &scripted{parts: parts}}
			for {
				if _, err := c.Read(make([]byte, 64)); err != nil {
					break
				}
			}
			if c.held != (buffer{}) {
				t.Errorf("holds %q", c.held.bytes())
			}
		})
	}
}

// scripted sends parts, one with each Read.
type scripted struct {
	net.Conn
	parts []string
}

func (s *scripted) Read(p []byte) (int, error) {
	if len(s.parts) == 0 {
		return 0, io.EOF
	}
	n := copy(p, s.parts[0])
	if s.parts[0] = s.parts[0][n:]; s.parts[0] == "" {
		s.parts = s.parts[1:]
	}
	return n, nil
}

func (s *scripted) Close() error { return nil }

func BenchmarkRequest(b *testing.B) {
	c := &conn{Conn: &endless{head: browser, again: true}}
	p := make([]byte, 4<<10)
	b.SetBytes(int64(len(browser)))
	b.ReportAllocs()
	for b.Loop() {
		c.Read(p)
	}
}

func BenchmarkBody(b *testing.B) {
	c := &conn{Conn: &endless{head: post + "Content-Length: 9223372036854775807\r\n\r\n"}}
	p := make([]byte, 32<<10)
	b.SetBytes(int64(len(p)))
	b.ReportAllocs()
	for b.Loop() {
		c.Read(p)
	}
}
