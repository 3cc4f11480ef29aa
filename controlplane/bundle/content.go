package bundle

import (
	"bufio"
	"compress/flate"
	"context"
	"errors"
	"hash/crc32"
	"io"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// freeRatio is how much may be unpacked before the ratio counts: small
// archives of text compress well and harm nobody.
const freeRatio = 1 << 20

// inflater decompresses entries one after another with one set of buffers.
type inflater struct {
	r     io.ReaderAt
	buf   *bufio.Reader
	flate io.ReadCloser
	chunk []byte
}

func newInflater(r io.ReaderAt) *inflater {
	return &inflater{r: r, buf: bufio.NewReaderSize(nil, 32<<10), chunk: make([]byte, 32<<10)}
}

// copy writes e's bytes to w and checks that they are as many as e says, with
// e's checksum, and that nothing of the packed bytes is left over. It stops at
// the first byte too many. Writing ends early when w returns an error, which
// is returned as it is.
func (f *inflater) copy(ctx context.Context, w io.Writer, e *entry) error {
	f.buf.Reset(io.NewSectionReader(f.r, int64(e.data), int64(e.packed)))
	var src io.Reader = f.buf
	if e.method == methodDeflate {
		if f.flate == nil {
			f.flate = flate.NewReader(f.buf)
		} else if err := f.flate.(flate.Resetter).Reset(f.buf, nil); err != nil {
			return broken("read bundle", err)
		}
		src = f.flate
	}
	sum := crc32.NewIEEE()
	var n uint64
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		k, err := src.Read(f.chunk)
		if n += uint64(k); n > e.size {
			return refuse(CodeSize, e.name, "more than the %d bytes that it says", e.size)
		}
		sum.Write(f.chunk[:k])
		if _, err := w.Write(f.chunk[:k]); err != nil {
			return err
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return unpackError(e, err)
		}
	}
	if n != e.size {
		return refuse(CodeSize, e.name, "%d bytes, but it says %d", n, e.size)
	}
	if _, err := f.buf.ReadByte(); err == nil {
		return refuse(CodeSize, e.name, "its packed bytes end before the %d that it says", e.packed)
	}
	if sum.Sum32() != e.crc {
		return refuse(CodeChecksum, e.name, "the checksum is wrong: the archive is damaged")
	}
	return nil
}

func unpackError(e *entry, err error) error {
	var corrupt flate.CorruptInputError
	if errors.As(err, &corrupt) || errors.Is(err, io.ErrUnexpectedEOF) {
		return refuse(CodeChecksum, e.name, "the packed bytes are damaged")
	}
	return broken("read bundle", err)
}

// meter counts what is unpacked of the whole archive, and throws it away.
type meter struct {
	limits  Limits
	archive int64
	total   int64
}

func (m *meter) Write(b []byte) (int, error) {
	m.total += int64(len(b))
	return len(b), m.check()
}

func (m *meter) check() error {
	switch {
	case m.total > m.limits.Unpacked:
		return refuse(CodeTooLarge, "", "more than %d bytes unpacked", m.limits.Unpacked)
	case m.total > freeRatio && m.total/int64(m.limits.Ratio) >= m.archive:
		if m.total > m.archive*int64(m.limits.Ratio) {
			return refuse(CodeRatio, "", "more than %d unpacked bytes for each byte of the archive", m.limits.Ratio)
		}
	}
	return nil
}

// checkContents decompresses every entry and returns the sum of their sizes.
// Reading stops at the first entry that is not what it says, and at the limit.
func checkContents(r io.ReaderAt, size int64, entries []entry, limits Limits) (int64, error) {
	claimed := uint64(0)
	for i := range entries {
		if claimed += entries[i].size; claimed > uint64(limits.Unpacked) || entries[i].size > uint64(limits.Unpacked) {
			return 0, refuse(CodeTooLarge, entries[i].name, "the archive says that it has more than %d bytes unpacked", limits.Unpacked)
		}
	}
	m := &meter{limits: limits, archive: size}
	f := newInflater(r)
	for i := range entries {
		if err := f.copy(context.Background(), m, &entries[i]); err != nil {
			if e, ok := errors.AsType[*controlplane.Error](err); ok && len(e.Faults) > 0 && e.Faults[0].Where == "" {
				e.Faults[0].Where = cut(entries[i].name)
				e.What = "refuse bundle: " + e.Faults[0].String()
			}
			return 0, err
		}
	}
	return m.total, nil
}
