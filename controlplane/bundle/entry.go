package bundle

import (
	"fmt"
	"hash/crc32"
	"io"
	"slices"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// Unix file types and bits, in the upper half of the external attributes.
const (
	unixType    = 0o170000
	unixRegular = 0o100000
	unixFolder  = 0o040000
	unixSymlink = 0o120000
	unixSetUID  = 0o004000
	unixSetGID  = 0o002000
	unixExec    = 0o000111
)

// parseEntry reads one record of the directory: its fixed part, name and
// extra fields.
func parseEntry(b, name, extra []byte) (entry, *controlplane.Fault) {
	e := entry{
		name:   string(name),
		flags:  le.Uint16(b[8:]),
		method: le.Uint16(b[10:]),
		crc:    le.Uint32(b[16:]),
		packed: uint64(le.Uint32(b[20:])),
		size:   uint64(le.Uint32(b[24:])),
		offset: uint64(le.Uint32(b[42:])),
	}
	if e.name == "" {
		return e, fault(CodeEntryPath, "an entry without a path")
	}
	if text := checkPath(e.path()); text != "" {
		return e, fault(CodeEntryPath, "%s", text)
	}
	// The type counts whatever system the archive says it is from: unzip
	// programs differ in whether they look.
	mode := le.Uint32(b[38:]) >> 16
	e.exec = mode&unixExec != 0
	switch kind := mode & unixType; {
	case kind == unixSymlink:
		return e, fault(CodeSymlink, "a symbolic link")
	case kind != 0 && kind != unixRegular && kind != unixFolder:
		return e, fault(CodeSpecialFile, "a device, pipe or socket")
	case kind == unixFolder && !e.folder() || kind == unixRegular && e.folder():
		return e, fault(CodeHeaderMismatch, "its mode and its path disagree on whether it is a folder")
	case mode&unixSetUID != 0 || mode&unixSetGID != 0 && !e.folder():
		return e, fault(CodeSpecialFile, "a file with the set-user-ID or set-group-ID bit")
	}
	switch {
	case e.flags&flagEncrypted != 0:
		return e, fault(CodeEncrypted, "the entry is encrypted")
	case e.flags&flagPatched != 0:
		return e, fault(CodeMethod, "the entry is patch data")
	case e.method != methodStore && e.method != methodDeflate:
		return e, fault(CodeMethod, "compression method %d; only store (0) and deflate (8) are taken", e.method)
	}
	if text := e.readExtra(extra, true); text != "" {
		return e, fault(CodeHeaderMismatch, "%s", text)
	}
	switch {
	case le.Uint16(b[34:]) != 0 && le.Uint16(b[34:]) != max16:
		return e, fault(CodeHeaderMismatch, "the entry lies in another part of the archive")
	case e.folder() && e.size != 0:
		return e, fault(CodeHeaderMismatch, "a folder with %d bytes", e.size)
	case e.method == methodStore && e.packed != e.size:
		return e, fault(CodeSize, "stored with %d bytes, but said to have %d", e.packed, e.size)
	}
	return e, nil
}

func fault(code, format string, args ...any) *controlplane.Fault {
	return &controlplane.Fault{Code: code, Message: fmt.Sprintf(format, args...)}
}

// readExtra takes the 64-bit figures from the extra fields. A second zip64
// field, and a second name that differs from the first (Info-ZIP's Unicode
// path), would be read differently by others.
func (e *entry) readExtra(extra []byte, directory bool) string {
	for len(extra) >= 4 {
		id, n := le.Uint16(extra), int(le.Uint16(extra[2:]))
		if extra = extra[4:]; n > len(extra) {
			return "an extra field is cut off"
		}
		b := extra[:n]
		extra = extra[n:]
		switch id {
		case extraUnicodePath:
			if n < 5 || b[0] != 1 || crc32.ChecksumIEEE([]byte(e.name)) != le.Uint32(b[1:]) || string(b[5:]) != e.name {
				return "an extra field gives the entry another path"
			}
		case extraZip64:
			if e.zip64 {
				return "two zip64 fields"
			}
			e.zip64 = true
			figures := []*uint64{&e.size, &e.packed}
			if directory {
				figures = append(figures, &e.offset)
			}
			for _, p := range figures {
				if *p != max32 {
					continue
				}
				if len(b) < 8 {
					return "the zip64 field is too short"
				}
				*p, b = le.Uint64(b), b[8:]
			}
		}
	}
	return ""
}

// readLocal reads the local header of every entry, compares it with the
// directory, and accounts for every byte up to the directory, which begins at
// byte end. The entries come back in the order of their offsets.
func readLocal(r io.ReaderAt, entries []entry, end uint64, f *faults) error {
	slices.SortFunc(entries, func(a, b entry) int {
		switch {
		case a.offset < b.offset:
			return -1
		case a.offset > b.offset:
			return 1
		}
		return 0
	})
	first := end
	if len(entries) > 0 {
		first = entries[0].offset
	}
	if first != 0 {
		return refuse(CodeSurroundingData, "", "%d bytes before the first entry", first)
	}
	var room localRoom
	for i := range entries {
		e := &entries[i]
		e.end = end
		if i+1 < len(entries) {
			e.end = entries[i+1].offset
		}
		x, err := e.readLocal(r, &room)
		if err != nil {
			return err
		}
		if x != nil {
			x.Where = e.name
			f.add(*x)
			if len(f.list) >= maxFaults {
				break
			}
		}
	}
	return f.err()
}

// localRoom is where local headers are read to, one after the other: those of a
// hundred thousand long names are many megabytes together.
type localRoom struct {
	fixed    [lenLocal]byte
	variable []byte
}

func (e *entry) readLocal(r io.ReaderAt, room *localRoom) (*controlplane.Fault, error) {
	if e.end < e.offset || e.end-e.offset < lenLocal {
		return fault(CodeOverlap, "the entry shares bytes with the next one or the directory"), nil
	}
	b := room.fixed[:]
	if err := readAt(r, b, int64(e.offset)); err != nil {
		return nil, err
	}
	if le.Uint32(b) != sigLocal {
		return fault(CodeHeaderMismatch, "there is no local header where the directory says"), nil
	}
	n, x := uint64(le.Uint16(b[26:])), uint64(le.Uint16(b[28:]))
	e.data = e.offset + lenLocal + n + x
	if e.packed > e.end || e.data > e.end-e.packed {
		return fault(CodeOverlap, "the entry shares bytes with the next one or the directory"), nil
	}
	if n > maxPath+1 {
		return fault(CodeHeaderMismatch, "local header and directory disagree on its path"), nil
	}
	variable := slices.Grow(room.variable[:0], int(n+x))[:n+x]
	room.variable = variable
	if err := readAt(r, variable, int64(e.offset+lenLocal)); err != nil {
		return nil, err
	}
	name := e.name
	if string(variable[:n]) != name {
		name = string(variable[:n])
	}
	l := entry{
		name:   name,
		flags:  le.Uint16(b[6:]),
		method: le.Uint16(b[8:]),
		crc:    le.Uint32(b[14:]),
		packed: uint64(le.Uint32(b[18:])),
		size:   uint64(le.Uint32(b[22:])),
	}
	if text := l.readExtra(variable[n:], false); text != "" && l.name == e.name {
		return fault(CodeHeaderMismatch, "local header: %s", text), nil
	}
	if what := e.differs(&l); what != "" {
		return fault(CodeHeaderMismatch, "local header and directory disagree on its %s", what), nil
	}
	return e.checkDescriptor(r)
}

// differs names the first thing that a local header has otherwise. With a data
// descriptor its sizes and checksum may be 0.
func (e *entry) differs(l *entry) string {
	later := e.flags&flagDescriptor != 0
	switch {
	case l.name != e.name:
		return "path"
	case l.flags != e.flags:
		return "flags"
	case l.method != e.method:
		return "method"
	case l.size != e.size && !(later && l.size == 0):
		return "size"
	case l.packed != e.packed && !(later && l.packed == 0):
		return "packed size"
	case l.crc != e.crc && !(later && l.crc == 0):
		return "checksum"
	}
	return ""
}

// checkDescriptor reads what lies between the entry's bytes and the next
// header: nothing, or the data descriptor that its flag announces, in one of
// the four forms in use.
func (e *entry) checkDescriptor(r io.ReaderAt) (*controlplane.Fault, error) {
	gap := e.end - e.data - e.packed
	if e.flags&flagDescriptor == 0 {
		if gap != 0 {
			return fault(CodeSurroundingData, "%d bytes between the entry and the next one", gap), nil
		}
		return nil, nil
	}
	if gap > 24 {
		return fault(CodeSurroundingData, "%d bytes between the entry and the next one", gap), nil
	}
	var buf [24]byte
	b := buf[:gap]
	if err := readAt(r, b, int64(e.data+e.packed)); err != nil {
		return nil, err
	}
	if (gap == 16 || gap == 24) && le.Uint32(b) == sigDescriptor {
		b = b[4:]
	}
	var crc uint32
	var packed, size uint64
	switch len(b) {
	case 12:
		crc, packed, size = le.Uint32(b), uint64(le.Uint32(b[4:])), uint64(le.Uint32(b[8:]))
	case 20:
		crc, packed, size = le.Uint32(b), le.Uint64(b[4:]), le.Uint64(b[12:])
	default:
		if gap == 0 && e.folder() {
			return nil, nil // announced by some for folders, and left out
		}
		return fault(CodeHeaderMismatch, "the data descriptor has %d bytes", gap), nil
	}
	if crc != e.crc || packed != e.packed || size != e.size {
		return fault(CodeHeaderMismatch, "data descriptor and directory disagree"), nil
	}
	return nil, nil
}
