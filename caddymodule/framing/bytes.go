package framing

import (
	"encoding/binary"
	"math"
)

// Sets of bytes; a byte may be in several.
const (
	inToken  = 1 << iota // a name: RFC 9110 §5.6.2
	inValue              // a field's value: no control character but the tab
	inTarget             // a request target: no space, no control character
	inHost               // what net/http takes in Host
)

var sets = func() (t [256]uint8) {
	for b := range t {
		if b >= ' ' && b != 0x7f || b == '\t' {
			t[b] |= inValue
		}
		if b > ' ' && b != 0x7f {
			t[b] |= inTarget
		}
	}
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	for _, b := range []byte("!#$%&'*+-.^_`|~" + letters) {
		t[b] |= inToken
	}
	for _, b := range []byte("!$%&'()*+,-.:;=[]_~" + letters) {
		t[b] |= inHost
	}
	return t
}()

// has reports whether all bytes are in a set.
func has(b []byte, set uint8) bool {
	for _, c := range b {
		if sets[c]&set == 0 {
			return false
		}
	}
	return true
}

// isValue is has with inValue, eight bytes at a time: values are most of a head.
func isValue(b []byte) bool {
	if len(b) < 8 {
		return has(b, inValue)
	}
	const ones, high = 0x0101010101010101, 0x8080808080808080
	for last := len(b) - 8; ; {
		x := binary.LittleEndian.Uint64(b)
		del := x ^ 0x7f*ones
		// A byte below 0x20 or equal to 0x7f leaves its high bit, and perhaps
		// that of the next one.
		if ((x-0x20*ones)&^x|(del-ones)&^del)&high != 0 && !has(b[:8], inValue) {
			return false
		}
		if last == 0 {
			return true
		}
		step := min(last, 8) // the last eight may be looked at twice
		b, last = b[step:], last-step
	}
}

func isToken(b []byte) bool { return len(b) > 0 && has(b, inToken) }

func isDigit(b byte) bool { return b >= '0' && b <= '9' }

// is compares with a name in lower case, of which every byte is a letter, a
// digit or a dash.
func is(b []byte, name string) bool {
	if len(b) != len(name) {
		return false
	}
	for i, c := range b {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		if c != name[i] {
			return false
		}
	}
	return true
}

func trim(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// hasToken finds a token in a list as net/http does.
func hasToken(b []byte, token string) bool {
	edge := func(c byte) bool { return c == ' ' || c == ',' || c == '\t' }
	for i := 0; i+len(token) <= len(b); i++ {
		end := i + len(token)
		if (i == 0 || edge(b[i-1])) && (end == len(b) || edge(b[end])) && is(b[i:end], token) {
			return true
		}
	}
	return false
}

func decimal(b []byte) (int64, bool) {
	var n int64
	for _, c := range b {
		if !isDigit(c) || n > (math.MaxInt64-int64(c-'0'))/10 {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	return n, len(b) > 0
}

// hexValue is the value of a hexadecimal digit, or -1.
func hexValue(b byte) int64 {
	switch {
	case isDigit(b):
		return int64(b - '0')
	case b >= 'a' && b <= 'f':
		return int64(b-'a') + 10
	case b >= 'A' && b <= 'F':
		return int64(b-'A') + 10
	}
	return -1
}
