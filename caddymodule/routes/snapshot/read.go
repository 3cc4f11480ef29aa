package snapshot

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/seed-dbc68772/slipway/routing"
)

// ErrCorrupt marks what a reader refuses.
var ErrCorrupt = errors.New("the snapshot is corrupt")

func corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrCorrupt, fmt.Sprintf(format, args...))
}

// Read reads what Write wrote. The error is ErrCorrupt where it is anything
// else, in whatever part.
func Read(from io.Reader) (Header, *routing.Table, error) {
	r := &reader{in: bufio.NewReaderSize(from, 64<<10), known: map[string]string{}}
	h, table, err := r.all()
	if err != nil && !errors.Is(err, ErrCorrupt) {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			err = corrupt("it ends early")
		}
		err = fmt.Errorf("read snapshot: %w", err)
	}
	return h, table, err
}

type reader struct {
	in  *bufio.Reader
	crc uint32
	// known are strings that many records share: apps and owners.
	known  map[string]string
	buffer [maxString]byte
}

// maxRoles bounds a policy's: a record of the store holds no more.
const maxRoles = 1 << 20

// maxKnown bounds the shared strings that are looked for.
const maxKnown = 1 << 16

func (r *reader) all() (h Header, table *routing.Table, err error) {
	head := r.take(len(magic) + 1)
	switch {
	case head == nil:
		return h, nil, r.ended()
	case string(head[:len(magic)]) != magic:
		return h, nil, corrupt("it does not begin as one")
	case head[len(magic)] != version:
		return h, nil, corrupt("format version %d, and this program knows only %d", head[len(magic)], version)
	}
	var revision, instances, aliases, policies, records uint64
	for _, into := range []*uint64{&h.Cluster, &revision, &instances, &aliases, &policies, &records} {
		if *into, err = r.uvarint(); err != nil {
			return h, nil, err
		}
	}
	if h.Prefix, err = r.string(); err != nil {
		return h, nil, err
	}
	if int64(revision) < 0 {
		return h, nil, corrupt("its revision is below 0")
	}
	changes, err := r.records()
	if err != nil {
		return h, nil, err
	}
	table = routing.NewTable().Apply(int64(revision), changes)
	// A key that came twice is missing here.
	if n, m := table.Len(); uint64(n) != instances || uint64(m) != aliases {
		return h, nil, corrupt("it holds %d instances and %d aliases, and says %d and %d", n, m, instances, aliases)
	}
	if n, m := table.LenOthers(); uint64(n) != policies || uint64(m) != records {
		return h, nil, corrupt("it holds %d policies and %d other records, and says %d and %d", n, m, policies, records)
	}
	if uint64(len(changes)) != instances+aliases+policies+records {
		return h, nil, corrupt("it holds a record twice")
	}
	return h, table, nil
}

func (r *reader) records() (changes []routing.Change, err error) {
	for {
		kind := r.take(1)
		if kind == nil {
			return nil, r.ended()
		}
		var c routing.Change
		switch kind[0] {
		case kindInstance:
			c, err = r.instance()
		case kindAlias:
			c, err = r.alias()
		case kindPolicy:
			c, err = r.policy()
		case kindRecord:
			c, err = r.record()
		case kindEnd:
			return changes, r.end()
		default:
			err = corrupt("a record of kind %d", kind[0])
		}
		if err != nil {
			return nil, err
		}
		changes = append(changes, c)
	}
}

func (r *reader) instance() (c routing.Change, err error) {
	var in routing.Instance
	fixed := r.take(len(in.ID) + 4)
	if fixed == nil {
		return c, r.ended()
	}
	copy(in.ID[:], fixed)
	enums := fixed[len(in.ID):]
	in.Mode, in.Status, in.Visibility, in.Wake = routing.Mode(enums[0]), routing.Status(enums[1]), routing.Visibility(enums[2]), routing.WakePolicy(enums[3])
	if in.Mode > routing.BaseURL || in.Status > routing.Unknown || in.Visibility > routing.Public || in.Wake > routing.WakeNever {
		return c, corrupt("an instance of a mode, status, visibility or wake policy that does not exist")
	}
	if in.Generation, err = r.varint(); err != nil {
		return c, err
	}
	var endpoint string
	for _, field := range []struct {
		into *string
		read func() (string, error)
	}{{&in.App, r.shared}, {&endpoint, r.string}, {&in.Identity, r.string}, {&in.Primary, r.string}, {&in.Owner, r.shared}} {
		if *field.into, err = field.read(); err != nil {
			return c, err
		}
	}
	if endpoint != "" {
		if in.Endpoint, err = routing.ParseEndpoint(endpoint); err != nil {
			return c, corrupt("%v", err)
		}
	}
	return routing.PutInstance(in), nil
}

func (r *reader) alias() (c routing.Change, err error) {
	var a routing.Alias
	fixed := r.take(1 + len(a.Instance))
	if fixed == nil {
		return c, r.ended()
	}
	if fixed[0] > 1 {
		return c, corrupt("an alias that is neither assigned nor not")
	}
	a.Assigned = fixed[0] == 1
	copy(a.Instance[:], fixed[1:])
	if a.Name, err = r.string(); err != nil {
		return c, err
	}
	return routing.PutAlias(a), nil
}

func (r *reader) policy() (c routing.Change, err error) {
	fixed := r.take(3)
	if fixed == nil {
		return c, r.ended()
	}
	if fixed[0] > 1 || fixed[1] > byte(routing.Public) || fixed[2] > 1 {
		return c, corrupt("a policy of a life cycle, visibility or identity that does not exist")
	}
	p := routing.Policy{Managed: fixed[0] == 1, Visibility: routing.Visibility(fixed[1]), Identity: fixed[2] == 1}
	for _, into := range []*string{&p.App, &p.Owner, &p.Title, &p.Icon} {
		if *into, err = r.string(); err != nil {
			return c, err
		}
	}
	n, err := r.uvarint()
	if err != nil {
		return c, err
	}
	if n > maxRoles {
		return c, corrupt("a policy of %d roles, and %d are allowed", n, maxRoles)
	}
	for range n {
		role, err := r.shared()
		if err != nil {
			return c, err
		}
		p.VisitorRoles = append(p.VisitorRoles, role)
	}
	return routing.PutPolicy(p), nil
}

func (r *reader) record() (c routing.Change, err error) {
	var record routing.Record
	if record.Epoch, err = r.varint(); err != nil {
		return c, err
	}
	if record.Name, err = r.string(); err != nil {
		return c, err
	}
	record.Value, err = r.string()
	return routing.PutRecord(record), err
}

// end checks that the file is what was written and goes no further.
func (r *reader) end() error {
	want := r.crc
	raw := r.take(4)
	if raw == nil {
		return r.ended()
	}
	if binary.BigEndian.Uint32(raw) != want {
		return corrupt("its checksum does not fit")
	}
	if _, err := r.in.ReadByte(); !errors.Is(err, io.EOF) {
		return corrupt("something follows its end")
	}
	return nil
}

// take returns the next n bytes, at most maxString, until the next call; nil
// where there are fewer.
func (r *reader) take(n int) []byte {
	raw := r.buffer[:n]
	if _, err := io.ReadFull(r.in, raw); err != nil {
		return nil
	}
	r.crc = crc32.Update(r.crc, castagnoli, raw)
	return raw
}

// ended is why take returned nil.
func (r *reader) ended() error {
	_, err := r.in.ReadByte()
	if err == nil {
		err = io.ErrUnexpectedEOF
	}
	return err
}

// ReadByte implements io.ByteReader, for varints.
func (r *reader) ReadByte() (byte, error) {
	raw := r.take(1)
	if raw == nil {
		return 0, r.ended()
	}
	return raw[0], nil
}

func (r *reader) uvarint() (uint64, error) {
	n, err := binary.ReadUvarint(r)
	return n, varintError(err)
}

func (r *reader) varint() (int64, error) {
	n, err := binary.ReadVarint(r)
	return n, varintError(err)
}

func varintError(err error) error {
	if err == nil || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	return corrupt("%v", err)
}

func (r *reader) bytes() ([]byte, error) {
	n, err := r.uvarint()
	if err != nil {
		return nil, err
	}
	if n > maxString {
		return nil, corrupt("a string of %d bytes, and %d are allowed", n, maxString)
	}
	raw := r.take(int(n))
	if raw == nil {
		return nil, r.ended()
	}
	return raw, nil
}

func (r *reader) string() (string, error) {
	raw, err := r.bytes()
	return string(raw), err
}

func (r *reader) shared() (string, error) {
	raw, err := r.bytes()
	if err != nil {
		return "", err
	}
	if s, ok := r.known[string(raw)]; ok {
		return s, nil
	}
	s := string(raw)
	if len(r.known) < maxKnown {
		r.known[s] = s
	}
	return s, nil
}
