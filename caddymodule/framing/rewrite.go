package framing

import (
	"bytes"
	"fmt"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// rewriter writes header blocks anew for a server that was spared one: what
// later blocks refer back to is not in its table. Nothing refers back any more.
type rewriter struct {
	fields  []hpack.HeaderField // of the block that is coming in
	block   bytes.Buffer
	encoder *hpack.Encoder
}

func newRewriter() *rewriter {
	w := new(rewriter)
	w.encoder = hpack.NewEncoder(&w.block)
	w.encoder.SetMaxDynamicTableSize(0) // which the next block says first
	return w
}

// rewrite puts a block that has ended into whole: what its client meant, or if
// it was too large a request that stands for it (see [Refusal]). Trailers that
// were are an error of their stream.
func (h *headerBlocks) rewrite(whole *buffer, first [frameHeader]byte) {
	if h.again == nil {
		h.again = newRewriter()
	}
	w := h.again
	w.block.Reset()
	switch {
	case h.tooLarge && h.request:
		w.fields = append(w.fields[:0], hpack.HeaderField{Name: ":method", Value: "GET"}, hpack.HeaderField{Name: ":scheme", Value: "https"},
			hpack.HeaderField{Name: ":authority", Value: refusedHost}, hpack.HeaderField{Name: ":path", Value: "/"},
			hpack.HeaderField{Name: "slipway-refused", Value: fmt.Sprintf("%s %d %s", token, headersTooLarge.status, headersTooLarge.code)})
		h.malformed = false
	case h.tooLarge:
		w.fields, h.malformed = w.fields[:0], true
	}
	for _, f := range w.fields {
		_ = w.encoder.WriteField(f) // into memory
	}
	if w.fields = w.fields[:0]; h.malformed {
		_ = w.encoder.WriteField(hpack.HeaderField{Name: "x", Value: "x"}) // so that it follows one
		_ = w.encoder.WriteField(hpack.HeaderField{Name: ":method", Value: "GET"})
	}
	whole.free()
	first[3], first[4] = byte(http2.FrameHeaders), first[4]&byte(http2.FlagHeadersEndStream)
	for {
		part := w.block.Next(maxFrame)
		if w.block.Len() == 0 {
			first[4] |= byte(http2.FlagHeadersEndHeaders)
		}
		first[0], first[1], first[2] = 0, byte(len(part)>>8), byte(len(part))
		whole.put(first[:])
		whole.put(part)
		if w.block.Len() == 0 {
			return
		}
		first[3], first[4] = byte(http2.FrameContinuation), 0
	}
}
