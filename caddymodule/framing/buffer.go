package framing

import "sync"

// Sizes of what a connection may hold of bytes that were read and cannot be
// handed over yet. Most connections never need either; those that do need the
// large one only for a large head.
const (
	smallBuffer = 4 << 10
	largeBuffer = maxHead + smallBuffer
)

var (
	small = sync.Pool{New: func() any { b := make([]byte, smallBuffer); return &b }}
	large = sync.Pool{New: func() any { b := make([]byte, largeBuffer); return &b }}
)

// buffer holds bytes in a slice that is borrowed while there are any.
type buffer struct {
	mem  *[]byte
	r, w int
}

func (b *buffer) bytes() []byte {
	if b.mem == nil {
		return nil
	}
	return (*b.mem)[b.r:b.w]
}

// put appends at most a large buffer's size in all.
func (b *buffer) put(p []byte) {
	if len(p) > 0 {
		b.w += copy(b.room(len(p)), p)
	}
}

// take gives the memory back with the last byte.
func (b *buffer) take(n int) {
	if b.r += n; b.r == b.w {
		b.free()
	}
}

// room is free space for n bytes or more, if a large buffer has it.
func (b *buffer) room(n int) []byte {
	held := b.w - b.r
	switch {
	case b.mem == nil && n <= smallBuffer:
		b.mem = small.Get().(*[]byte)
	case b.mem == nil:
		b.mem = large.Get().(*[]byte)
	case len(*b.mem)-b.w >= n:
	case len(*b.mem)-held >= n:
		copy(*b.mem, (*b.mem)[b.r:b.w])
		b.r, b.w = 0, held
	default:
		wider := large.Get().(*[]byte)
		copy(*wider, b.bytes())
		b.free()
		b.mem, b.w = wider, held
	}
	return (*b.mem)[b.w:]
}

func (b *buffer) free() {
	if b.mem != nil {
		if len(*b.mem) == smallBuffer {
			small.Put(b.mem)
		} else {
			large.Put(b.mem)
		}
	}
	*b = buffer{}
}
