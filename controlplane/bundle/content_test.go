package bundle

import (
	"bytes"
	"io"
	"math/rand/v2"
	"testing"
)

// counted counts what is read of an archive.
type counted struct {
	io.ReaderAt
	read int
}

func (c *counted) ReadAt(b []byte, at int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(b, at)
	c.read += n
	return n, err
}

// An entry that is longer than it says is read no further than that shows, and
// nothing of what is too much is written.
func TestReadingStopsAtTheClaimedSize(t *testing.T) {
	const claimed = 10
	noise := make([]byte, 8<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(noise) // it never fails
	body := deflated(noise)
	lie := func(at int) func([]byte) { return func(header []byte) { copy(header[at:], u32(claimed)) } }
	packed := withManifest(rawEntry{name: "a", data: noise, packed: body, method: methodDeflate, local: lie(22), central: lie(24)}).bytes()
	r := &counted{ReaderAt: bytes.NewReader(packed)}
	_, err := Open(r, int64(len(packed)), Options{})
	if list := faultsOf(t, err); !hasCode(list, CodeSize) {
		t.Fatalf("%v", err)
	}
	if r.read > 1<<20 {
		t.Errorf("%d of %d bytes were read", r.read, len(packed))
	}
	var out bytes.Buffer
	err = newInflater(bytes.NewReader(body)).copy(t.Context(), &out, &entry{name: "a", method: methodDeflate, packed: uint64(len(body)), size: claimed})
	if list := faultsOf(t, err); !hasCode(list, CodeSize) {
		t.Fatalf("%v", err)
	}
	if out.Len() > claimed {
		t.Errorf("%d bytes were written, the entry says %d", out.Len(), claimed)
	}
}
