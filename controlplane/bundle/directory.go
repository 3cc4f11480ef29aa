package bundle

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// Signatures and sizes of the zip format (APPNOTE 6.3.10, §4.3).
const (
	sigLocal      = 0x04034b50
	sigDirectory  = 0x02014b50
	sigDescriptor = 0x08074b50
	sigEnd        = 0x06054b50
	sigEnd64      = 0x06064b50
	sigLocator64  = 0x07064b50

	lenLocal     = 30
	lenDirectory = 46
	lenEnd       = 22
	lenEnd64     = 56
	lenLocator64 = 20

	extraZip64       = 0x0001
	extraUnicodePath = 0x7075

	flagEncrypted  = 1<<0 | 1<<6 | 1<<13
	flagDescriptor = 1 << 3
	flagPatched    = 1<<4 | 1<<5

	methodStore   = 0
	methodDeflate = 8

	max16 = 0xffff
	max32 = 0xffffffff
)

var le = binary.LittleEndian

// directory is where the archive says its central directory is.
type directory struct {
	records, size, offset uint64
	end                   int64 // where what follows the directory begins
}

// entry is one record of the central directory.
type entry struct {
	name   string // as written; folders end in "/"
	flags  uint16
	method uint16
	crc    uint32
	packed uint64
	size   uint64
	offset uint64 // of the local header
	data   uint64 // of its bytes, known once the local header is read
	end    uint64 // of its region: the next header, or the directory
	zip64  bool
	exec   bool
}

func (e *entry) folder() bool { return e.name[len(e.name)-1] == '/' }

// path is the name without the slash of a folder.
func (e *entry) path() string {
	if e.folder() {
		return e.name[:len(e.name)-1]
	}
	return e.name
}

// readAt fills b; an archive that ends before is truncated.
func readAt(r io.ReaderAt, b []byte, off int64) error {
	n, err := r.ReadAt(b, off)
	switch {
	case n == len(b):
		return nil
	case errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF):
		return refuse(CodeTruncated, "", "the archive ends at byte %d, inside a record", off+int64(n))
	}
	return broken("read bundle", err)
}

// findDirectory reads the end of the archive. The last end record must reach
// exactly the archive's end with its comment, and the directory exactly the
// end records: so that nothing else can be taken for either.
func findDirectory(r io.ReaderAt, size int64) (directory, error) {
	var d directory
	if size < lenEnd {
		return d, refuse(CodeNotAZip, "", "not a zip archive: %d bytes are fewer than any has", size)
	}
	tail := make([]byte, min(size, lenEnd+max16))
	start := size - int64(len(tail))
	if err := readAt(r, tail, start); err != nil {
		return d, err
	}
	i := bytes.LastIndex(tail, []byte("PK\x05\x06"))
	if i < 0 {
		return d, refuse(CodeNotAZip, "", "not a zip archive: it has no end record")
	}
	b := tail[i:]
	if len(b) < lenEnd {
		return d, refuse(CodeTruncated, "", "the end record is cut off")
	}
	if int(le.Uint16(b[20:])) != len(b)-lenEnd {
		return d, refuse(CodeSurroundingData, "", "data after the archive, or a comment of a false length")
	}
	at := start + int64(i)
	d = directory{records: uint64(le.Uint16(b[10:])), size: uint64(le.Uint32(b[12:])), offset: uint64(le.Uint32(b[16:])), end: at}
	part, first := le.Uint16(b[4:]), le.Uint16(b[6:])
	if part != 0 && part != max16 || first != 0 && first != max16 || le.Uint16(b[8:]) != le.Uint16(b[10:]) {
		return d, refuse(CodeNotAZip, "", "one part of an archive in several parts")
	}
	if d.offset+d.size != uint64(at) || d.records == max16 {
		if err := d.read64(r, at); err != nil {
			return d, err
		}
	}
	switch total := d.offset + d.size; {
	case d.offset > uint64(size) || d.size > uint64(size) || total > uint64(d.end):
		return d, refuse(CodeTruncated, "", "the directory lies outside the archive")
	case total < uint64(d.end):
		return d, refuse(CodeSurroundingData, "", "%d bytes before the archive, or between its directory and its end", uint64(d.end)-total)
	}
	return d, nil
}

// read64 replaces d by the zip64 records before the end record at byte at, if
// they are there. What the end record says itself must agree with them.
func (d *directory) read64(r io.ReaderAt, at int64) error {
	if at < lenLocator64+lenEnd64 {
		return nil
	}
	var l [lenLocator64]byte
	if err := readAt(r, l[:], at-lenLocator64); err != nil {
		return err
	}
	if le.Uint32(l[:]) != sigLocator64 {
		return nil
	}
	off := le.Uint64(l[8:])
	if le.Uint32(l[4:]) != 0 || le.Uint32(l[16:]) > 1 {
		return refuse(CodeNotAZip, "", "one part of an archive in several parts")
	}
	if off > uint64(at-lenLocator64-lenEnd64) {
		return refuse(CodeSurroundingData, "", "the zip64 end record is not where the archive says: data before the archive")
	}
	var b [lenEnd64]byte
	if err := readAt(r, b[:], int64(off)); err != nil {
		return err
	}
	if le.Uint32(b[:]) != sigEnd64 || le.Uint64(b[4:]) != uint64(at-lenLocator64)-off-12 {
		return refuse(CodeSurroundingData, "", "the zip64 end record is not where the archive says: data before the archive")
	}
	if le.Uint32(b[16:]) != 0 || le.Uint32(b[20:]) != 0 || le.Uint64(b[24:]) != le.Uint64(b[32:]) {
		return refuse(CodeNotAZip, "", "one part of an archive in several parts")
	}
	n := directory{records: le.Uint64(b[32:]), size: le.Uint64(b[40:]), offset: le.Uint64(b[48:]), end: int64(off)}
	if d.records != max16 && d.records != n.records || d.size != max32 && d.size != n.size || d.offset != max32 && d.offset != n.offset {
		return refuse(CodeHeaderMismatch, "", "the two end records disagree")
	}
	*d = n
	return nil
}

// readDirectory reads the records of the central directory and checks each by
// itself and all paths against each other. Faults go to f.
func readDirectory(r io.ReaderAt, d directory, limits Limits, f *faults) ([]entry, error) {
	if d.records > uint64(limits.Entries) {
		return nil, refuse(CodeTooManyEntries, "", "%d entries, the limit is %d", d.records, limits.Entries)
	}
	if d.size < d.records*lenDirectory {
		return nil, refuse(CodeTruncated, "", "the directory is shorter than its %d records", d.records)
	}
	sec := io.NewSectionReader(r, int64(d.offset), int64(d.size))
	br := bufio.NewReaderSize(sec, 64<<10)
	entries := make([]entry, 0, d.records)
	paths := newTree(limits.Entries)
	var fixed [lenDirectory]byte
	var variable []byte
	for range d.records {
		if err := readFull(br, fixed[:]); err != nil {
			return nil, err
		}
		if le.Uint32(fixed[:]) != sigDirectory {
			return nil, refuse(CodeTruncated, "", "the directory has fewer records than it says")
		}
		n, x, c := int(le.Uint16(fixed[28:])), int(le.Uint16(fixed[30:])), int(le.Uint16(fixed[32:]))
		if cap(variable) < n+x+c {
			variable = make([]byte, n+x+c)
		}
		variable = variable[:n+x+c]
		if err := readFull(br, variable); err != nil {
			return nil, err
		}
		e, fault := parseEntry(fixed[:], variable[:n], variable[n:n+x])
		if fault == nil {
			if err := paths.add(e.path(), e.folder()); err != nil {
				fault = &controlplane.Fault{Code: err.code, Message: err.text}
			}
		}
		if fault != nil {
			fault.Where = cut(string(variable[:n]))
			f.add(*fault)
			if fault.Code == CodeTooManyEntries || fault.Code == CodeTooLarge || len(f.list) >= maxFaults {
				return nil, f.err()
			}
			continue
		}
		entries = append(entries, e)
	}
	if _, err := br.ReadByte(); err == nil {
		return nil, refuse(CodeSurroundingData, "", "the directory has more than its %d records", d.records)
	}
	return entries, f.err()
}

// readFull is for the directory, whose end was checked: short is truncated.
func readFull(r io.Reader, b []byte) error {
	_, err := io.ReadFull(r, b)
	switch err {
	case nil:
		return nil
	case io.EOF, io.ErrUnexpectedEOF:
		return refuse(CodeTruncated, "", "the directory is cut off")
	}
	return broken("read bundle", err)
}
