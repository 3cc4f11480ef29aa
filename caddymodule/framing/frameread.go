package framing

import (
	"bytes"
	"net/http"

	"golang.org/x/net/http2"
)

// What the server tells clients of HTTP/2, and the guard relies on.
const (
	maxStreams = 250      // of one connection, at a time: spec routing.md §7
	maxFrame   = 16 << 10 // bytes of payload; the server keeps a buffer of the largest that came
	tableSize  = 4 << 10  // bytes that a client's compression may refer back to
)

// advertise makes a server tell its clients so.
func advertise(server *http.Server) {
	server.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: maxStreams, MaxReadFrameSize: maxFrame, MaxDecoderHeaderTableSize: tableSize}
}

// frameReader takes what a client sends apart. Frames pass as they come, but
// for header blocks and SETTINGS: these are judged, and may be changed, once
// they are whole.
type frameReader struct {
	pass  int // bytes to hand over as they come
	head  [frameHeader]byte
	n     int               // bytes of head that are there
	left  int               // bytes of the payload of whole that are to come
	whole buffer            // a frame to be judged, behind those of the same block
	at    int               // where in whole the frame begins
	first [frameHeader]byte // of a header block
	open  bool              // the block goes on
	ready []byte            // to hand over: head, or whole
}

// readFrames does one step of Read.
func (c *conn) readFrames(p []byte) (int, error) {
	g := c.frames.Load()
	in := &g.in
	switch {
	case g.spent.Load():
		// The server says GOAWAY by itself, between its own frames.
		c.endFrames(http2.ConnectionError(http2.ErrCodeEnhanceYourCalm))
		return 0, nil
	case len(in.ready) > 0:
		n := copy(p, in.ready)
		if in.ready = in.ready[n:]; len(in.ready) == 0 {
			in.whole.free()
		}
		return n, nil
	case in.pass > 0:
		n, err := c.readHeld(p[:min(len(p), in.pass)])
		in.pass -= n
		return n, err
	case in.n < frameHeader:
		n, err := c.readHeld(in.head[in.n:])
		if in.n += n; in.n < frameHeader {
			return 0, unless(n > 0, err)
		}
		f := frameOf(in.head[:])
		switch {
		case in.open != (f.kind == http2.FrameContinuation), in.open && !bytes.Equal(in.head[5:], in.first[5:]):
			c.endFrames(http2.ConnectionError(http2.ErrCodeProtocol)) // RFC 9113 §6.10
			return 0, nil
		case f.length > maxFrame:
			c.endFrames(http2.ErrFrameTooLarge)
			return 0, nil
		case !g.allows(f):
			c.endFrames(http2.ConnectionError(http2.ErrCodeEnhanceYourCalm))
			return 0, nil
		case !isJudged(f):
			in.ready, in.n, in.pass = in.head[:], 0, int(f.length)
			return 0, nil
		case f.kind != http2.FrameSettings:
			c.clock.start(c, frameHeader)
		}
		if f.kind == http2.FrameHeaders {
			in.first = in.head
		}
		if g.blocks.tooLarge && in.open {
			in.whole.free() // the server sees nothing of it
		}
		in.left, in.at = int(f.length), len(in.whole.bytes())
		in.whole.room(frameHeader + in.left + len(malformed))
		in.whole.put(in.head[:])
	}
	if in.left > 0 {
		n, err := c.readHeld(in.whole.room(in.left)[:in.left])
		in.whole.w += n
		if in.left -= n; in.left > 0 {
			return 0, unless(n > 0, err)
		}
	}
	in.n = 0
	c.judgeFrame(g)
	return 0, nil
}

// unless is the error of a Read that brought nothing; one that brought
// something will say it again.
func unless(some bool, err error) error {
	if some {
		return nil
	}
	return err
}

func isJudged(f frame) bool {
	switch f.kind {
	case http2.FrameHeaders, http2.FrameContinuation:
		return true
	case http2.FrameSettings:
		return f.flags&http2.FlagSettingsAck == 0 && f.length <= maxSettings
	}
	return false
}

// judgeFrame decides about a frame that is whole.
func (c *conn) judgeFrame(g *frameGuard) {
	in := &g.in
	whole := &in.whole
	b := whole.bytes()[in.at:]
	f := frameOf(b)
	if f.kind == http2.FrameSettings {
		whole.w = whole.r + foldSettings(b)
		in.ready = whole.bytes()
		return
	}
	ended, err := g.blocks.take(f, b[frameHeader:])
	if err != nil {
		c.endFrames(err)
		return
	}
	if in.open = !ended; in.open {
		return
	}
	c.clock.stop(c)
	switch {
	case g.blocks.tooLarge || g.blocks.again != nil:
		g.blocks.rewrite(whole, in.first)
	case g.blocks.malformed:
		b[4] &^= byte(http2.FlagHeadersEndHeaders)
		whole.put(malformed)
		copy(whole.bytes()[in.at+len(b)+5:], b[5:frameHeader]) // the stream
	}
	in.ready = whole.bytes()
}

// endFrames ends the connection. The server knows the error, and says GOAWAY.
func (c *conn) endFrames(err error) {
	in := &c.frames.Load().in
	in.whole.free()
	in.ready = nil
	c.clock.stop(c)
	c.fail(err)
}

// maxSettings are as many bytes of SETTINGS as the server takes: 100 settings.
const (
	maxSettings = 100 * settingSize
	settingSize = 6 // bytes: identifier, value
)

// foldSettings leaves of settings that are given repeatedly the last one, for
// they take effect in order (RFC 9113 §6.5.3) and the server refuses to see two.
// It returns the length of the frame. The size of the header table is left as it
// is: there a smaller value counts, even if a larger one follows.
func foldSettings(b []byte) int {
	payload := b[frameHeader:]
	if len(payload)%settingSize != 0 {
		return len(b) // the server's to refuse
	}
	kept := 0
	for at := 0; at < len(payload); at += settingSize {
		if setting := payload[at : at+settingSize]; !isOverruled(setting, payload[at+settingSize:]) {
			kept += copy(payload[kept:], setting)
		}
	}
	b[1], b[2] = byte(kept>>8), byte(kept)
	return frameHeader + kept
}

// isOverruled reports whether a setting is good, and another value follows.
func isOverruled(b, later []byte) bool {
	id := http2.SettingID(uint16(b[0])<<8 | uint16(b[1]))
	value := uint32(b[2])<<24 | uint32(b[3])<<16 | uint32(b[4])<<8 | uint32(b[5])
	if id == http2.SettingHeaderTableSize || (http2.Setting{ID: id, Val: value}).Valid() != nil {
		return false
	}
	for ; len(later) > 0; later = later[settingSize:] {
		if later[0] == b[0] && later[1] == b[1] {
			return true
		}
	}
	return false
}
