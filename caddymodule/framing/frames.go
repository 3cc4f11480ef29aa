package framing

import (
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http2"
)

// What an HTTP/2 client may send that costs work and serves nobody. A purse is
// what a connection has to spend on one kind: it begins full, wins some each
// second and some with each frame of an answer, and holds no more than at the
// beginning. Browsers and gRPC spend less than they win. Clients give back the
// window of what they were sent when they have read it, which may be much later:
// that purse holds more.
const (
	fullPurse = 1000 // frames
	perSecond = 500  // frames
	// With each HEADERS or DATA frame of an answer.
	controlsEarned = 2
	windowsEarned  = 4
	windowEach     = 1 << 10 // one more with so many bytes; Go's client gives back 4 KiB twice
	fullWindows    = 1 << 20 // frames: for 1 GiB

	smallPadded = 256 // bytes: padded DATA up to this may be padding alone
)

// purse counts frames of one kind down.
type purse struct {
	left int
	at   time.Time // up to when perSecond has been paid
}

// pay reports whether there was enough. Time is looked at only when there is
// not.
func (p *purse) pay() bool {
	if p.left == 0 {
		now := time.Now()
		won := now.Sub(p.at) * perSecond / time.Second
		if won < 1 {
			return false
		}
		p.left, p.at = int(min(won, fullPurse)), now
	}
	p.left--
	return true
}

func (p *purse) earn(n, most int) { p.left = min(p.left+n, most) }

// frameGuard follows the frames of one connection, in both directions.
type frameGuard struct {
	// Of the reader.
	in     frameReader
	blocks *headerBlocks

	// Of the writer.
	out frameScan

	mu                        sync.Mutex
	controls, windows, resets purse
	spent                     atomic.Bool // for ever
}

func newFrameGuard() *frameGuard {
	full := purse{left: fullPurse, at: time.Now()}
	return &frameGuard{
		in:       frameReader{pass: len(http2.ClientPreface)},
		blocks:   newHeaderBlocks(),
		controls: full, windows: full, resets: full,
	}
}

// allows reports whether the client may send a frame that begins.
func (g *frameGuard) allows(f frame) bool {
	switch f.kind {
	case http2.FrameHeaders, http2.FrameContinuation:
		return g.blocks.begin(f)
	case http2.FrameData:
		empty := f.length == 0 || f.flags&http2.FlagDataPadded != 0 && f.length <= smallPadded
		return !empty || f.flags&http2.FlagDataEndStream != 0 || g.pay(&g.controls)
	case http2.FrameWindowUpdate:
		return g.pay(&g.windows)
	case http2.FrameRSTStream:
		return g.pay(&g.resets)
	}
	return g.pay(&g.controls) // PING, SETTINGS, PRIORITY, and what nobody knows
}

func (g *frameGuard) pay(p *purse) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !p.pay() {
		g.spent.Store(true)
	}
	return !g.spent.Load()
}

// fromServer looks at what the server sends. Its resets count, too: a client
// can provoke them.
func (g *frameGuard) fromServer(b []byte) {
	for {
		f, rest, ok := g.out.next(b)
		if !ok {
			return
		}
		b = rest
		switch f.kind {
		case http2.FrameHeaders, http2.FrameData:
			g.mu.Lock()
			g.controls.earn(controlsEarned, fullPurse)
			g.windows.earn(windowsEarned+int(f.length)/windowEach, fullWindows)
			if f.kind == http2.FrameHeaders {
				g.resets.earn(1, fullPurse)
			}
			g.mu.Unlock()
		case http2.FrameRSTStream:
			g.pay(&g.resets)
		}
	}
}

// frame is what the guard needs of a frame's header.
type frame struct {
	kind   http2.FrameType
	flags  http2.Flags
	length uint32 // of the payload
}

func frameOf(head []byte) frame {
	return frame{
		kind: http2.FrameType(head[3]), flags: http2.Flags(head[4]),
		length: uint32(head[0])<<16 | uint32(head[1])<<8 | uint32(head[2]),
	}
}

// frameScan finds the headers of frames in a stream of bytes.
type frameScan struct {
	head [5]byte // length, type, flags
	n    int     // bytes of the header seen
	left uint32  // bytes of payload to pass over
}

const frameHeader = 9 // bytes: length, type, flags, stream

// next returns the next frame whose header is whole, and what follows that
// header in b.
func (s *frameScan) next(b []byte) (f frame, rest []byte, ok bool) {
	skip := min(uint64(len(b)), uint64(s.left))
	s.left -= uint32(skip)
	b = b[skip:]
	for len(b) > 0 {
		if s.n < len(s.head) {
			s.head[s.n] = b[0]
		}
		s.n++
		b = b[1:]
		if s.n == frameHeader {
			f = frameOf(s.head[:])
			s.n, s.left = 0, f.length
			return f, b, true
		}
	}
	return frame{}, nil, false
}
