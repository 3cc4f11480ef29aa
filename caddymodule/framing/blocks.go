package framing

import (
	"strings"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

const (
	maxContinuations = 64            // of one header block
	maxHeaderBlock   = 4 * maxHead   // bytes, compressed
	maxHeaderList    = maxHead + 320 // as the server counts: bytes of names and values, and 32 for each
	mostFields       = 5 * maxFields // of one block; the server answers fewer that are too many
)

// malformed is a frame that ends a header block as one that the server refuses
// with a stream error, PROTOCOL_ERROR: a pseudo-header after other fields. It
// changes nothing of what later blocks refer back to. Its stream is filled in.
var malformed = []byte{0, 0, 1, byte(http2.FrameContinuation), byte(http2.FlagContinuationEndHeaders), 0, 0, 0, 0,
	0x82} // :method GET, of the static table

// headerBlocks finds requests that are malformed though the server takes them,
// or answers them as if they were not (RFC 9113 §8.1.1, §8.2.2): it decodes what
// the server decodes.
type headerBlocks struct {
	decoder *hpack.Decoder

	// Of the block that is coming in.
	size, continuations  int
	fields, lengths, tes int
	request, bodiless    bool  // has a method; ends the stream
	length               int64 // of the body, as it says
	malformed            bool

	list     int // bytes, as the server counts them
	tooLarge bool

	again *rewriter // nil as long as the server gets blocks as they came
}

func newHeaderBlocks() *headerBlocks {
	// No limit of a string: that of the block is one. The server has another,
	// and must be the first to give up.
	h := new(headerBlocks)
	h.decoder = hpack.NewDecoder(tableSize, h.field)
	return h
}

// begin takes note of a frame that begins, and reports whether it may.
func (h *headerBlocks) begin(f frame) bool {
	if f.kind == http2.FrameHeaders {
		*h = headerBlocks{decoder: h.decoder, again: h.again, bodiless: f.flags&http2.FlagHeadersEndStream != 0}
	} else {
		h.continuations++
	}
	h.size += int(f.length)
	h.tooLarge = h.tooLarge || h.size > maxHead
	return h.size <= maxHeaderBlock && h.continuations <= maxContinuations
}

// take decodes a frame's payload and reports whether the block ends with it.
func (h *headerBlocks) take(f frame, payload []byte) (ended bool, err error) {
	ended = f.flags&http2.FlagHeadersEndHeaders != 0
	if f.kind == http2.FrameHeaders {
		before, padding := 0, 0
		if f.flags&http2.FlagHeadersPadded != 0 && len(payload) > 0 {
			before, padding = 1, int(payload[0])
		}
		if f.flags&http2.FlagHeadersPriority != 0 {
			before += 5
		}
		if before+padding > len(payload) {
			return false, http2.ConnectionError(http2.ErrCodeProtocol)
		}
		payload = payload[before : len(payload)-padding]
	}
	if _, err = h.decoder.Write(payload); err == nil && ended {
		err = h.decoder.Close()
	}
	switch {
	case err != nil:
		return false, http2.ConnectionError(http2.ErrCodeCompression)
	case h.fields > mostFields:
		// One byte can be a field, and one of 4 KiB.
		return false, http2.ConnectionError(http2.ErrCodeEnhanceYourCalm)
	}
	if ended && h.request && h.bodiless && h.length > 0 {
		h.malformed = true // RFC 9113 §8.1.1: the body that it announces is not there
	}
	return ended, nil
}

func (h *headerBlocks) field(f hpack.HeaderField) {
	h.fields++
	h.list += int(f.Size())
	h.tooLarge = h.tooLarge || h.list > maxHeaderList
	if h.again != nil && !h.tooLarge {
		h.again.fields = append(h.again.fields, f)
	}
	bad := false
	switch f.Name {
	case ":method":
		h.request = true
	case "connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade":
		bad = true
	case "te":
		h.tes++
		bad = h.tes > 1 || !strings.EqualFold(f.Value, "trailers")
	case "content-length":
		h.lengths++
		n, ok := decimal([]byte(f.Value))
		h.length = n
		bad = h.lengths > 1 || !ok
	}
	h.malformed = h.malformed || bad
}
