package framing

// What becomes of a request that asks to switch protocols. The server's answer
// says it, and nothing else does: who hijacks is behind other people's wrappers.
const (
	notAsked uint32 = iota
	awaited         // the request is with the server
	switched        // it answered 101
	declined        // it answered something else
)

const statusLine = "HTTP/1.1 101"

// answerScan finds the final status in what the server writes. 1xx other than
// 101 come before it.
type answerScan struct {
	n        int  // bytes of the status line seen
	informal bool // it begins as one of 1xx
	is101    bool
	skipping bool // the rest of a 1xx head
	ends     int  // bytes of CRLFCRLF seen while skipping
}

// scan looks at written bytes and returns awaited until the answer is known.
func (s *answerScan) scan(b []byte) uint32 {
	for _, c := range b {
		if s.skipping {
			s.skip(c)
			continue
		}
		switch s.n {
		case 0:
			s.informal, s.is101 = true, true
		case len(statusLine) - 3:
			s.informal = c == '1'
		}
		s.is101 = s.is101 && c == statusLine[s.n]
		if s.n++; s.n < len(statusLine) {
			continue
		}
		switch {
		case s.is101:
			return switched
		case !s.informal:
			return declined
		}
		s.n, s.skipping, s.ends = 0, true, 0
	}
	return awaited
}

func (s *answerScan) skip(c byte) {
	if c == "\r\n\r\n"[s.ends] {
		s.ends++
	} else if s.ends = 0; c == '\r' {
		s.ends = 1
	}
	s.skipping = s.ends < 4
}
