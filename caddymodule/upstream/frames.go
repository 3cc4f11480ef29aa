package upstream

// cursor follows the frames of one direction of a WebSocket (RFC 6455 §5.2),
// so that a frame of ours can be put between two of theirs, and data be told from
// what only keeps the connection. It looks at heads only.
type cursor struct {
	head    [14]byte
	have    int    // bytes of head
	payload uint64 // bytes that are still to come
	closed  bool   // a Close frame has begun: the last one
	data    bool   // bytes of data frames have passed; who looks at it resets it
	odd     bool   // this is no WebSocket: every byte counts as data, none ends a frame
}

const (
	opBinary  = 2 // the last of the frames of data; 0 continues one
	opControl = 8 // the first of the frames that keep the connection
	opClose   = 8
	opPong    = 10
)

// advance takes the next bytes of the stream.
func (c *cursor) advance(b []byte) {
	for len(b) > 0 {
		if c.odd {
			c.data = true
			return
		}
		if c.payload > 0 {
			c.data = c.data || c.head[0]&0xf <= opBinary
			n := min(c.payload, uint64(len(b)))
			c.payload -= n
			b = b[n:]
			continue
		}
		c.head[c.have] = b[0]
		c.have++
		b = b[1:]
		if c.have >= 2 && c.have == c.headSize() {
			if c.odd = !c.valid(); c.odd {
				c.data = true
				return
			}
			c.data = c.data || c.head[0]&0xf <= opBinary
			c.closed = c.closed || c.head[0]&0xf == opClose
			c.payload, c.have = c.size(), 0
		}
	}
}

// valid reports whether the head is one of a frame, as far as that does not
// depend on extensions.
func (c *cursor) valid() bool {
	const final, long, sign = 0x80, 126, 1 << 63
	op, size := c.head[0]&0xf, c.head[1]&0x7f
	switch {
	case op > opBinary && op < opControl, op > opPong:
		return false
	case op >= opControl && (c.head[0]&final == 0 || size >= long):
		return false
	}
	return c.size() < sign
}

func (c *cursor) headSize() int {
	n := 2
	switch c.head[1] & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if c.head[1]&0x80 != 0 {
		n += 4
	}
	return n
}

func (c *cursor) size() (n uint64) {
	switch n = uint64(c.head[1] & 0x7f); n {
	case 126:
		return uint64(c.head[2])<<8 | uint64(c.head[3])
	case 127:
		n = 0
		for _, b := range c.head[2:10] {
			n = n<<8 | uint64(b)
		}
	}
	return n
}

// between reports whether the stream is at the end of a frame.
func (c *cursor) between() bool { return c.have == 0 && c.payload == 0 && !c.odd }

// The statuses of the Close frames that are ours (RFC 6455 §7.4.1).
const (
	goingAway = 1001
	// PolicyViolation ends a WebSocket that its visitor may not have any more.
	PolicyViolation = 1008
)

// closeFrame is a Close frame: to a visitor, or masked to an app (with the mask
// 0, which changes nothing).
func closeFrame(status uint16, toApp bool) []byte {
	if toApp {
		return []byte{0x80 | opClose, 0x80 | 2, 0, 0, 0, 0, byte(status >> 8), byte(status)}
	}
	return []byte{0x80 | opClose, 2, byte(status >> 8), byte(status)}
}
