package h2oconfig

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"

	"github.com/seed-dbc68772/slipway/cmd/slipway/cli/tomltext"
)

// MaxSize is how long a file may be, in bytes.
const MaxSize = 64 << 10

// Key is one of the names that the App Store's command line knows.
type Key string

// The keys. Only Endpoint and Token say something to Slipway: the others are
// those of the App Store's own sign-in.
const (
	Endpoint         Key = "Endpoint"
	OIDCAddress      Key = "OIDCAddress"
	ClientID         Key = "ClientID"
	Token            Key = "Token"
	PlatformClientID Key = "PlatformClientID"
	PlatformToken    Key = "PlatformToken"
)

// Keys are all of them, in the order of the App Store's file.
func Keys() []Key {
	return []Key{Endpoint, OIDCAddress, ClientID, Token, PlatformClientID, PlatformToken}
}

// File is a configuration file. The zero File is an empty one.
type File struct {
	text   []byte
	values map[Key]value
	others []string
}

// value is a key's, and where it stands in the text.
type value struct {
	text       string
	start, end int
}

// Get is the value of a key without the space around it, or empty where the
// file does not have the key.
func (f *File) Get(k Key) string { return strings.TrimSpace(f.values[k].text) }

// Others are the names of the file's other keys and tables at its top.
func (f *File) Others() []string { return slices.Clone(f.others) }

// Text is the file.
func (f *File) Text() []byte { return bytes.Clone(f.text) }

var byteOrderMark = []byte("\ufeff")

// Parse reads a file. What is not TOML is an error that names line and column,
// where the parser knows them, and never a value.
func Parse(text []byte) (*File, error) {
	text = bytes.TrimPrefix(text, byteOrderMark)
	if len(text) > MaxSize {
		return nil, fmt.Errorf("it has more than %d bytes", MaxSize)
	}
	if !utf8.Valid(text) {
		return nil, errors.New("it is not UTF-8")
	}
	// The decoder knows the rules that need the whole document.
	all := map[string]any{}
	if err := toml.Unmarshal(text, &all); err != nil {
		return nil, where(err)
	}
	f := &File{text: bytes.Clone(text), values: map[Key]value{}}
	for name, v := range all {
		k, known := keyOf(name)
		if !known {
			f.others = append(f.others, name)
			continue
		}
		if _, twice := f.values[k]; twice {
			return nil, fmt.Errorf("the key %s is there twice, since case does not count", k)
		}
		s, ok := v.(string)
		if !ok {
			return nil, fmt.Errorf("%s is no string: write %s = \"…\"", k, k)
		}
		f.values[k] = value{text: s}
	}
	slices.Sort(f.others)
	if err := f.locate(); err != nil {
		return nil, err
	}
	return f, nil
}

// where is a decoder's error with its place, but without the text around it,
// which may be a token.
func where(err error) error {
	if d, ok := errors.AsType[*toml.DecodeError](err); ok {
		line, column := d.Position()
		return fmt.Errorf("line %d, column %d is not TOML", line, column)
	}
	return errors.New("it is not TOML")
}

func keyOf(name string) (Key, bool) {
	for _, k := range Keys() {
		if strings.EqualFold(string(k), name) {
			return k, true
		}
	}
	return "", false
}

// locate finds the values in the text.
func (f *File) locate() error {
	var p unstable.Parser
	p.Reset(f.text)
	for p.NextExpression() {
		x := p.Expression()
		if x.Kind != unstable.KeyValue {
			break // a table: what follows is not at the top
		}
		name := x.Key()
		if !name.Next() || !name.IsLast() {
			continue // a dotted key is a table
		}
		k, known := keyOf(string(name.Node().Data))
		if v := f.values[k]; known {
			raw := x.Value().Raw
			v.start, v.end = int(raw.Offset), int(raw.Offset+raw.Length)
			f.values[k] = v
		}
	}
	for k, v := range f.values {
		if v.end <= v.start {
			return fmt.Errorf("%s cannot be found in the file", k)
		}
	}
	return nil
}

// With is the file with another value for a key. A key that it does not have
// is put before all others.
func (f *File) With(k Key, text string) (*File, error) {
	literal := tomltext.Quote(text)
	var out []byte
	if v, ok := f.values[k]; ok {
		out = slices.Concat(f.text[:v.start], []byte(literal), f.text[v.end:])
	} else {
		out = slices.Concat([]byte(string(k)+" = "+literal+"\n"), f.text)
	}
	changed, err := Parse(out)
	if err != nil {
		return nil, err
	}
	if changed.values[k].text != text {
		return nil, fmt.Errorf("%s cannot be written", k)
	}
	return changed, nil
}
