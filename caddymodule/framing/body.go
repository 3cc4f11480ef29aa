package framing

import (
	"errors"
	"math"
)

// maxExtension bounds the extensions of one chunk, in bytes with their first
// semicolon. Nobody uses them.
const maxExtension = 256

var errBadBody = errors.New("malformed chunked body")

// part is what the next byte of a body belongs to.
type part uint8

const (
	plainData  part = iota // of a known length
	chunkSize              // its digits
	extension              // what follows the size up to its line end
	sizeEnd                // the line feed after it
	chunkData              // as many as the size says
	dataCR                 // the line end after them
	dataLF                 //
	lineStart              // of a trailer's line, or of the empty one
	fieldName              // of a trailer
	fieldValue             //
	fieldEnd               // its line feed
	finalLF                // the last byte of all
)

// bodyScan follows one body from its first byte to its last.
type bodyScan struct {
	part   part
	left   int64 // bytes of data; in chunkSize: the size so far
	digits int   // of the size; in extension: its bytes
	lines  int   // of the trailers
	size   int   // of the trailers
}

func plainBody(length int64) bodyScan { return bodyScan{part: plainData, left: length} }
func chunkedBody() bodyScan           { return bodyScan{part: chunkSize} }

// scan returns how many bytes of b are the body's, and whether it ends there.
// With an error, those before n are good.
func (s *bodyScan) scan(b []byte) (n int, done bool, err error) {
	for n < len(b) {
		if s.part == plainData || s.part == chunkData {
			step := min(int64(len(b)-n), s.left)
			n += int(step)
			if s.left -= step; s.left == 0 {
				if s.part == plainData {
					return n, true, nil
				}
				s.part = dataCR
			}
			continue
		}
		if s.part == fieldValue {
			if n += s.values(b[n:]); n == len(b) {
				break
			}
		}
		if s.part >= lineStart {
			if s.size++; s.size > maxHead {
				return n, false, errBadBody
			}
		}
		if !s.step(b[n]) {
			return n, false, errBadBody
		}
		n++
		if s.part == finalLF && b[n-1] == '\n' {
			return n, true, nil
		}
	}
	return n, false, nil
}

// values passes over the value of a trailer, as far as it is good.
func (s *bodyScan) values(b []byte) (n int) {
	b = b[:min(len(b), maxHead-s.size)]
	for n < len(b) && sets[b[n]]&inValue != 0 {
		n++
	}
	s.size += n
	return n
}

// step takes one byte that is not data, and reports whether it may be there.
func (s *bodyScan) step(c byte) bool {
	switch s.part {
	case chunkSize:
		if d := hexValue(c); d >= 0 {
			s.digits++
			if s.digits > 16 || s.left > math.MaxInt64>>4 {
				return false
			}
			s.left = s.left<<4 | d
			return true
		}
		if s.digits == 0 {
			return false
		}
		if s.part, s.digits = sizeEnd, 0; c == ';' {
			s.part, s.digits = extension, 1
		}
		return c == ';' || c == '\r'
	case extension:
		if c == '\r' {
			s.part = sizeEnd
			return true
		}
		s.digits++
		return s.digits <= maxExtension && sets[c]&inValue != 0
	case sizeEnd:
		s.part, s.digits = chunkData, 0
		if s.left == 0 {
			s.part = lineStart
		}
		return c == '\n'
	case dataCR:
		s.part = dataLF
		return c == '\r'
	case dataLF:
		s.part = chunkSize
		return c == '\n'
	case lineStart:
		if c == '\r' {
			s.part = finalLF
			return true
		}
		s.part = fieldName
		s.lines++
		return s.lines <= maxFields && sets[c]&inToken != 0
	case fieldName:
		if c == ':' {
			s.part = fieldValue
			return true
		}
		return sets[c]&inToken != 0
	case fieldValue:
		if c == '\r' {
			s.part = fieldEnd
			return true
		}
		return sets[c]&inValue != 0
	case fieldEnd:
		s.part = lineStart
		return c == '\n'
	case finalLF:
		return c == '\n'
	}
	return false
}
