package snapshot

import (
	"bufio"
	"encoding/binary"
	"hash/crc32"
	"io"

	"github.com/seed-dbc68772/slipway/routing"
)

// Header says what a snapshot is of.
type Header struct {
	Cluster uint64 // the ID of etcd's cluster
	Prefix  string // of all keys in the store
}

const (
	magic   = "SLWROUTE"
	version = 4

	kindEnd      = 0
	kindInstance = 1
	kindAlias    = 2
	kindPolicy   = 3
	kindRecord   = 4

	maxString = 64 << 10
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Write writes the table, in a stream.
func Write(to io.Writer, h Header, table *routing.Table) error {
	w := &writer{sum: sum{to: to}}
	w.out = bufio.NewWriterSize(&w.sum, 64<<10)
	instances, aliases := table.Len()
	policies, records := table.LenOthers()
	w.buffer = append(append(w.buffer, magic...), version)
	w.uvarint(h.Cluster)
	w.uvarint(uint64(table.Revision()))
	w.uvarint(uint64(instances))
	w.uvarint(uint64(aliases))
	w.uvarint(uint64(policies))
	w.uvarint(uint64(records))
	w.string(h.Prefix)
	w.flush()
	for in := range table.AllInstances() {
		w.instance(in)
	}
	for alias := range table.AllAliases() {
		w.alias(alias)
	}
	for policy := range table.AllPolicies() {
		w.policy(policy)
	}
	for record := range table.AllRecords() {
		w.record(record)
	}
	w.buffer = append(w.buffer, kindEnd)
	w.flush()
	if err := w.out.Flush(); err != nil {
		return err
	}
	_, err := to.Write(binary.BigEndian.AppendUint32(nil, w.sum.crc))
	return err
}

// writer collects a record in buffer. The first error sticks to out.
type writer struct {
	sum    sum
	out    *bufio.Writer
	buffer []byte
}

func (w *writer) instance(in *routing.Instance) {
	w.buffer = append(w.buffer, kindInstance)
	w.buffer = append(w.buffer, in.ID[:]...)
	w.buffer = append(w.buffer, byte(in.Mode), byte(in.Status), byte(in.Visibility), byte(in.Wake))
	w.buffer = binary.AppendVarint(w.buffer, in.Generation)
	w.string(in.App)
	w.string(in.Endpoint.Address())
	w.string(in.Identity)
	w.string(in.Primary)
	w.string(in.Owner)
	w.flush()
}

func (w *writer) alias(a *routing.Alias) {
	w.buffer = append(w.buffer, kindAlias, bit(a.Assigned))
	w.buffer = append(w.buffer, a.Instance[:]...)
	w.string(a.Name)
	w.flush()
}

func (w *writer) policy(p *routing.Policy) {
	w.buffer = append(w.buffer, kindPolicy, bit(p.Managed), byte(p.Visibility), bit(p.Identity))
	w.string(p.App)
	w.string(p.Owner)
	w.string(p.Title)
	w.string(p.Icon)
	w.uvarint(uint64(len(p.VisitorRoles)))
	for _, role := range p.VisitorRoles {
		w.string(role)
	}
	w.flush()
}

func (w *writer) record(r *routing.Record) {
	w.buffer = append(w.buffer, kindRecord)
	w.buffer = binary.AppendVarint(w.buffer, r.Epoch)
	w.string(r.Name)
	w.string(r.Value)
	w.flush()
}

func bit(b bool) byte {
	if b {
		return 1
	}
	return 0
}

func (w *writer) uvarint(n uint64) { w.buffer = binary.AppendUvarint(w.buffer, n) }

func (w *writer) string(s string) {
	w.uvarint(uint64(len(s)))
	w.buffer = append(w.buffer, s...)
}

func (w *writer) flush() {
	_, _ = w.out.Write(w.buffer) // Flush tells
	w.buffer = w.buffer[:0]
}

// sum counts what passes into a checksum.
type sum struct {
	to  io.Writer
	crc uint32
}

func (s *sum) Write(p []byte) (int, error) {
	s.crc = crc32.Update(s.crc, castagnoli, p)
	return s.to.Write(p)
}
