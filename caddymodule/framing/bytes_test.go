package framing

import (
	"bytes"
	"testing"
)

func TestValuesAreReadEightBytesAtATime(t *testing.T) {
	for b := range 256 {
		for length := range 20 {
			for at := range length {
				value := bytes.Repeat([]byte{'a'}, length)
				value[at] = byte(b)
				if got, want := isValue(value), has(value, inValue); got != want {
					t.Fatalf("%q: %v, want %v", value, got, want)
				}
			}
		}
	}
}
