package framing

import (
	"bytes"
	"net/url"
)

// Limits of spec routing.md §7, in bytes and lines.
const (
	maxRequestLine = 32 << 10 // without its line end
	maxHead        = 64 << 10 // request line, fields and line ends
	maxFields      = 200
)

// headScan judges one head, line by line. It sees the head from its first
// byte at each call and goes on where it was, so that what it finds does not
// depend on how the bytes arrive. The zero value is ready.
type headScan struct {
	start    int // of the first line that is not judged yet
	searched int // up to where there is no line end after start
	lines    int // judged

	http10, refusedMethod, badTarget bool
	hosts                            int
	badHost                          bool
	length                           int64 // of the body
	hasLength                        bool
	codings                          int // Transfer-Encoding lines
	unknownCoding, badTrailer        bool
	upgrade, hasExpect, badExpect    bool
}

// scan looks at a head of which b is there so far. It returns its length when
// it is whole and good, 0 while more is needed, or why it is refused.
func (s *headScan) scan(b []byte) (int, *refusal) {
	for {
		i := bytes.IndexByte(b[s.searched:], '\n')
		end := s.searched + i // of the line, its line feed not included
		if i < 0 {
			end = len(b)
		}
		// The limits come first, and alike for a line that is still growing.
		if s.lines == 0 && end-s.start > maxRequestLine+1 {
			return 0, requestLineTooLong
		}
		if end >= maxHead {
			return 0, headersTooLarge
		}
		if i < 0 {
			s.searched = end
			return 0, nil
		}
		line := b[s.start:end]
		if len(line) == 0 || line[len(line)-1] != '\r' {
			return 0, badFraming
		}
		line = line[:len(line)-1]
		s.start, s.searched = end+1, end+1
		s.lines++
		if s.lines == 1 {
			if r := s.requestLine(line); r != nil {
				return 0, r
			}
			continue
		}
		if len(line) == 0 {
			return s.start, s.whole()
		}
		if s.lines > maxFields+1 {
			return 0, tooManyFields
		}
		if r := s.field(line); r != nil {
			return 0, r
		}
	}
}

func (s *headScan) requestLine(line []byte) *refusal {
	method, rest, ok := bytes.Cut(line, []byte{' '})
	target, version, ok2 := bytes.Cut(rest, []byte{' '})
	if !ok || !ok2 || !isToken(method) || len(target) == 0 || !has(target, inTarget) {
		return badFraming
	}
	if len(version) != 8 || string(version[:5]) != "HTTP/" || !isDigit(version[5]) || version[6] != '.' || !isDigit(version[7]) {
		return badFraming
	}
	if version[5] != '1' || version[7] > '1' {
		return unsupportedVersion
	}
	s.http10 = version[7] == '0'
	s.refusedMethod = string(method) == "TRACE" || string(method) == "CONNECT"
	s.badTarget = !goodTarget(target)
	return nil
}

// goodTarget reports whether net/http takes a target; it would answer for one
// that it does not take.
func goodTarget(target []byte) bool {
	if target[0] != '/' {
		_, err := url.ParseRequestURI(string(target))
		return err == nil
	}
	path, _, _ := bytes.Cut(target, []byte{'?'})
	for {
		i := bytes.IndexByte(path, '%')
		if i < 0 {
			return true
		}
		if path = path[i+1:]; len(path) < 2 || hexValue(path[0]) < 0 || hexValue(path[1]) < 0 {
			return false
		}
	}
}

// goodHost reports whether net/http and Caddy take a Host; they would answer for
// one that they do not take. Nothing is decided about what it names.
func goodHost(value []byte) bool {
	host, port, _ := bytes.Cut(value, []byte{':'})
	dots := len(host) > 0 && len(bytes.Trim(host, ".")) == 0
	return has(value, inHost) && !(dots && has(port, inToken))
}

func (s *headScan) field(line []byte) *refusal {
	// A line that begins with a space has no name: folding ends here too.
	n := 0
	for n < len(line) && sets[line[n]]&inToken != 0 {
		n++
	}
	if n == 0 || n == len(line) || line[n] != ':' || !isValue(line[n+1:]) {
		return badFraming
	}
	name, value := line[:n], line[n+1:]
	switch len(name) {
	case len("host"):
		if is(name, "host") {
			value = trim(value)
			s.hosts++
			s.badHost = s.badHost || !goodHost(value) || len(value) == 0 && !s.http10
		}
	case len("expect"):
		if is(name, "expect") && !s.hasExpect {
			s.hasExpect = true
			value = trim(value)
			s.badExpect = len(value) > 0 && !hasToken(value, "100-continue")
		}
	case len("upgrade"):
		if is(name, "upgrade") {
			s.upgrade = true
		} else if is(name, "trailer") {
			s.badTrailer = s.badTrailer || namesFraming(value)
		}
	case len("content-length"):
		if is(name, "content-length") {
			if s.hasLength {
				return badFraming
			}
			s.hasLength = true
			length, ok := decimal(trim(value))
			if !ok {
				return badFraming
			}
			s.length = length
		}
	case len("transfer-encoding"):
		if is(name, "transfer-encoding") {
			s.codings++
			s.unknownCoding = s.unknownCoding || !is(trim(value), "chunked")
		}
	}
	return nil
}

// whole judges what only the whole head shows. What could be understood in two
// ways comes first.
func (s *headScan) whole() *refusal {
	switch {
	case s.codings > 0 && (s.http10 || s.hasLength), s.codings > 1 && !s.unknownCoding, s.codings > 0 && s.badTrailer:
		return badFraming
	case s.unknownCoding:
		return unsupportedCoding
	case s.refusedMethod:
		return methodNotAllowed
	case s.badTarget, s.badHost, s.hosts > 1, s.hosts == 0 && !s.http10:
		return badRequest
	case s.badExpect:
		return expectationFailed
	}
	return nil
}

// namesFraming reports whether a Trailer field announces one that belongs into
// the head.
func namesFraming(value []byte) bool {
	for len(value) > 0 {
		var name []byte
		name, value, _ = bytes.Cut(value, []byte{','})
		name = trim(name)
		if is(name, "transfer-encoding") || is(name, "content-length") || is(name, "trailer") {
			return true
		}
	}
	return false
}
