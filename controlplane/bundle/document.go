package bundle

import (
	"bytes"
	"errors"
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// maxDepth is how deep tables and arrays of app.toml may lie in each other.
const maxDepth = 32

// maxKeys is how many keys app.toml may have: the decoder's time grows with the
// square of them.
const maxKeys = 5000

// document is app.toml as a tree, with positions.
type document struct {
	name  string
	data  []byte
	text  string // data, so that raw values are slices of it
	lines []int  // offset of each line's first byte
	root  *value
	f     *faults

	keys       int
	duplicates bool
}

// position is the line and the column, in characters, of a byte; 1-based.
func (d *document) position(offset int) (line, column int) {
	offset = min(offset, len(d.data))
	line = sort.SearchInts(d.lines, offset+1)
	return line, utf8.RuneCount(d.data[d.lines[line-1]:offset]) + 1
}

// parseDocument reads data. It is nil where data is not TOML, with that one
// fault; keys given twice are faults beside which the rest is still read.
func parseDocument(name string, data []byte, f *faults) *document {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	data = data[:len(data):len(data)]
	d := &document{name: name, data: data, text: string(data), lines: []int{0}, root: newTable("", 0), f: f}
	for i, c := range data {
		if c == '\n' {
			d.lines = append(d.lines, i+1)
		}
	}
	for i := 0; i < len(data); {
		r, n := utf8.DecodeRune(data[i:])
		if r == utf8.RuneError && n == 1 {
			d.syntax(i, "not UTF-8")
			return nil
		}
		i += n
	}
	var p unstable.Parser
	p.Reset(data)
	if !d.build(&p) {
		return nil
	}
	if d.duplicates {
		return d // which the decoder would report too
	}
	// The decoder knows the rules that need the whole document: dates that do
	// not exist, integers that do not fit, tables that are defined twice.
	var all map[string]any
	if err := toml.Unmarshal(data, &all); err != nil {
		at, text := 0, strings.TrimPrefix(err.Error(), "toml: ")
		if e, ok := errors.AsType[*toml.DecodeError](err); ok {
			line, column := e.Position()
			at = d.lines[min(max(line, 1), len(d.lines))-1] + max(column, 1) - 1
		}
		d.syntax(at, text)
		return nil
	}
	return d
}

// syntax makes a fault that comes alone, without others of this document.
func (d *document) syntax(at int, text string) {
	line, column := d.position(at)
	kept := d.f.list[:0]
	for _, x := range d.f.list {
		if x.Where != d.name {
			kept = append(kept, x)
		}
	}
	d.f.list = append(kept, controlplane.Fault{Code: CodeManifestSyntax, Where: d.name, Line: line, Column: column, Message: "not TOML: " + text})
}

// build walks the parser's expressions; false after a syntax error.
func (d *document) build(p *unstable.Parser) bool {
	table := d.root
	for p.NextExpression() {
		x := p.Expression()
		if x.Kind == unstable.KeyValue {
			if !d.keyValue(p, table, x, 0) {
				return false
			}
			continue
		}
		if at, deep := deepKey(x); deep {
			d.syntax(at, "the key has too many dots")
			return false
		}
		if d.keys++; d.keys > maxKeys {
			key := x.Key()
			key.Next()
			d.syntax(int(key.Node().Raw.Offset), fmt.Sprintf("more than %d keys", maxKeys))
			return false
		}
		table = d.table(d.root, x.Key(), x.Kind == unstable.ArrayTable)
	}
	if err := p.Error(); err != nil {
		at, text := len(d.data), err.Error()
		if e, ok := errors.AsType[*unstable.ParserError](err); ok {
			text = e.Message
			if n := cap(d.data) - cap(e.Highlight); n >= 0 && n <= len(d.data) {
				at = n
			}
		}
		d.syntax(at, text)
		return false
	}
	return true
}

// table is the table that a header names, made as needed. Where the document
// contradicts itself it is one that nobody reads: the decoder says so.
func (d *document) table(from *value, key unstable.Iterator, array bool) *value {
	at := from
	for key.Next() {
		k := key.Node()
		name, offset, last := string(k.Data), int(k.Raw.Offset), key.IsLast()
		next := at.named[foldCase(name)]
		if next != nil && next.key != name {
			d.duplicate(next, name, offset)
			return newTable(name, offset)
		}
		switch {
		case next == nil && last && array:
			next = &value{kind: kindArray, key: name, keyAt: offset, at: offset}
			at.put(next)
		case next == nil:
			next = newTable(name, offset)
			at.put(next)
		case last && !array && next.kind == kindTable && next.raw == "[":
			d.duplicate(next, name, offset)
			return newTable(name, offset)
		}
		if last && array {
			if next.kind != kindArray || next.raw != "" {
				return newTable(name, offset)
			}
			next.items = append(next.items, newTable(name, offset))
		}
		if last && !array && next.kind == kindTable && next.raw == "" {
			next.raw, next.keyAt, next.at = "[", offset, offset
		}
		if next.kind == kindArray && len(next.items) > 0 {
			next = next.items[len(next.items)-1]
		}
		if next.kind != kindTable {
			return newTable(name, offset)
		}
		at = next
	}
	return at
}

// deepKey reports a key of more parts than any manifest's.
func deepKey(x *unstable.Node) (int, bool) {
	n := 0
	for key := x.Key(); key.Next(); {
		if n++; n > maxDepth {
			return int(key.Node().Raw.Offset), true
		}
	}
	return 0, false
}

// keyValue puts one key and its value into the table that its dots name.
func (d *document) keyValue(p *unstable.Parser, table *value, x *unstable.Node, depth int) bool {
	if at, deep := deepKey(x); deep {
		d.syntax(at, "the key has too many dots")
		return false
	}
	if d.keys++; d.keys > maxKeys {
		d.syntax(int(x.Raw.Offset), fmt.Sprintf("more than %d keys", maxKeys))
		return false
	}
	key := x.Key()
	for key.Next() {
		k := key.Node()
		name, offset := string(k.Data), int(k.Raw.Offset)
		next := table.named[foldCase(name)]
		if !key.IsLast() {
			switch {
			case next == nil:
				next = newTable(name, offset)
				table.put(next)
			case next.key != name:
				d.duplicate(next, name, offset)
				next = newTable(name, offset)
			case next.kind != kindTable:
				next = newTable(name, offset)
			}
			table = next
			continue
		}
		start, end := d.valueRange(k, x)
		v, ok := d.value(p, x.Value(), start, end, depth)
		if !ok {
			return false
		}
		v.key, v.keyAt = name, offset
		if next != nil {
			d.duplicate(next, name, offset)
			return true
		}
		table.put(v)
	}
	return true
}

// valueRange is where the value of a key lies: behind the equals sign, to the
// end of the expression.
func (d *document) valueRange(key, x *unstable.Node) (start, end int) {
	end = int(x.Raw.Offset + x.Raw.Length)
	start = int(key.Raw.Offset + key.Raw.Length)
	for start < end && (d.data[start] == ' ' || d.data[start] == '\t' || d.data[start] == '=') {
		start++
	}
	return start, end
}

func (d *document) value(p *unstable.Parser, x *unstable.Node, start, end, depth int) (*value, bool) {
	v := &value{at: start, raw: d.text[start:end]}
	if depth > maxDepth {
		d.syntax(start, "tables and arrays lie too deep in each other")
		return nil, false
	}
	switch x.Kind {
	case unstable.String:
		v.kind, v.text = kindString, string(x.Data)
	case unstable.Integer:
		v.kind = kindInteger
	case unstable.Bool:
		v.kind = kindBool
	case unstable.Float:
		v.kind = kindFloat
	case unstable.Array:
		v.kind = kindArray
		for it := x.Children(); it.Next(); {
			n := it.Node()
			s, e := start, end
			if n.Raw.Length > 1 || n.Kind != unstable.Array && n.Raw.Length > 0 {
				s, e = int(n.Raw.Offset), int(n.Raw.Offset+n.Raw.Length)
			}
			item, ok := d.value(p, n, s, e, depth+1)
			if !ok {
				return nil, false
			}
			v.items = append(v.items, item)
		}
	case unstable.InlineTable:
		v.kind, v.named = kindTable, map[string]*value{}
		for it := x.Children(); it.Next(); {
			if !d.keyValue(p, v, it.Node(), depth+1) {
				return nil, false
			}
		}
	default:
		v.kind = kindTime
	}
	return v, true
}

func (d *document) duplicate(first *value, name string, offset int) {
	d.duplicates = true
	if d.f.full() {
		return
	}
	line, column := d.position(offset)
	before, _ := d.position(first.keyAt)
	text := "the same key twice"
	if first.key != name {
		text = "the same key twice, since case does not count"
	}
	d.f.add(controlplane.Fault{
		Code: CodeManifestKey, Where: d.name, Line: line, Column: column, Field: name,
		Message: text, Hint: fmt.Sprintf("it is in line %d already; keep one of them", before),
	})
}
