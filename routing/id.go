package routing

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// idLen is the length of an ID as text: xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx.
const idLen = 36

// ID is an instance's ID, a UUID. The zero ID is no instance's.
type ID [16]byte

// ParseID parses the 36 characters of a UUID, hexadecimal digits in any case.
// Braces, "urn:uuid:" and other spellings are not IDs. It does not allocate.
func ParseID(s string) (ID, bool) {
	id, _, ok := parseID(s)
	return id, ok
}

// parseID also reports whether the text has upper-case digits.
func parseID(s string) (id ID, upper, ok bool) {
	if len(s) != idLen || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return ID{}, false, false
	}
	var digits [2 * len(id)]byte
	copy(digits[0:8], s[0:8])
	copy(digits[8:12], s[9:13])
	copy(digits[12:16], s[14:18])
	copy(digits[16:20], s[19:23])
	copy(digits[20:32], s[24:36])
	var marks byte
	for i := range id {
		hi, lo := hexValue[digits[2*i]], hexValue[digits[2*i+1]]
		marks |= hi | lo
		id[i] = hi<<4 | lo&0xf
	}
	if marks&notHex != 0 {
		return ID{}, false, false
	}
	return id, marks&upperHex != 0, true
}

// String returns the ID in lower case, the spelling of canonical URLs.
func (id ID) String() string {
	text := id.text()
	return string(text[:])
}

// MarshalText implements [encoding.TextMarshaler].
func (id ID) MarshalText() ([]byte, error) {
	text := id.text()
	return text[:], nil
}

// UnmarshalText implements [encoding.TextUnmarshaler] with the rules of [ParseID].
func (id *ID) UnmarshalText(text []byte) error {
	parsed, ok := ParseID(string(text))
	if !ok {
		return fmt.Errorf("parse instance id: %q is not a UUID", text)
	}
	*id = parsed
	return nil
}

func (id ID) text() (text [idLen]byte) {
	const digits = "0123456789abcdef"
	text[8], text[13], text[18], text[23] = '-', '-', '-', '-'
	for i, at := range idDigits {
		text[at], text[at+1] = digits[id[i]>>4], digits[id[i]&0xf]
	}
	return text
}

// hash spreads IDs of any making: random ones, and those that begin with a
// time or end with a counter.
func (id ID) hash() uint64 {
	hi, lo := bits.Mul64(
		binary.LittleEndian.Uint64(id[:8])^0x9e3779b97f4a7c15,
		binary.LittleEndian.Uint64(id[8:])^0xd1b54a32d192ed03,
	)
	return hi ^ lo
}

// idDigits is where the two digits of each byte are.
var idDigits = [16]uint8{0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34}

// The marks in hexValue, above the digit's four bits.
const (
	notHex   = 0x80 // no hexadecimal digit
	upperHex = 0x40
)

var hexValue = func() (values [256]byte) {
	for i := range values {
		values[i] = notHex
	}
	for i := range byte(10) {
		values['0'+i] = i
	}
	for i := range byte(6) {
		values['a'+i], values['A'+i] = 10+i, 10+i|upperHex
	}
	return values
}()
