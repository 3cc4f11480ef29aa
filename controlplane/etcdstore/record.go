package etcdstore

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// schemaVersion is written as "v" into every value. It grows when a change of
// a record's meaning would be misread by an older program.
const schemaVersion = 1

// decode reads a value. A newer schema is an error: to act upon half of what a
// record says is worse than not to act.
func decode(key string, raw []byte, into any) error {
	if err := readable(key, raw); err != nil {
		return err
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	return nil
}

// ours is how encode writes the schema version.
var ours = fmt.Appendf(nil, `"v":%d`, schemaVersion)

// readable is an error for a value of a newer schema.
func readable(key string, raw []byte) error {
	// Where the name is there once, and with our version, the whole need not be
	// parsed for it: a newer version would be there beside it.
	if before, after, ok := bytes.Cut(raw, ours); ok && len(after) > 0 && (after[0] == ',' || after[0] == '}') &&
		!bytes.Contains(before, ours[:3]) && !bytes.Contains(after, ours[:3]) {
		return nil
	}
	var head struct {
		V int `json:"v"`
	}
	if err := json.Unmarshal(raw, &head); err != nil {
		return fmt.Errorf("read %s: %w", key, err)
	}
	if head.V > schemaVersion {
		return controlplane.Errorf(controlplane.CodeInternal,
			"the record %s has schema version %d, and this program knows none above %d", key, head.V, schemaVersion).
			WithHint("run the version of Slipway that wrote it, or a newer one")
	}
	return nil
}

// encode writes a record, an object.
func encode(record any) ([]byte, error) {
	raw, err := json.Marshal(record)
	if err != nil {
		return nil, err
	}
	if string(raw) == "{}" {
		return slices.Concat([]byte("{"), ours, []byte("}")), nil
	}
	return slices.Concat([]byte("{"), ours, []byte(","), raw[1:]), nil
}

// encodeOver writes a record over an old one. Fields of old that the record's
// type does not know are kept; whole is whether there are none.
func encodeOver(record any, old []byte) (value []byte, whole bool, err error) {
	raw, err := json.Marshal(record)
	if err != nil {
		return nil, false, err
	}
	merged, foreign, err := merge(reflect.TypeOf(record), raw, old)
	if err != nil {
		return nil, false, err
	}
	delete(merged, "v")
	value, err = encode(merged)
	return value, !foreign, err
}

// merge is the object in raw with the fields of old added that typ does not
// know, in nested objects too, and whether there were any beside the schema's
// version.
func merge(typ reflect.Type, raw, old []byte) (fields map[string]json.RawMessage, foreign bool, err error) {
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, false, err
	}
	before := map[string]json.RawMessage{}
	if err := json.Unmarshal(old, &before); err != nil {
		return nil, false, err
	}
	known := knownFields(typ)
	for name, value := range before {
		sub, ok := known[name]
		switch {
		case !ok:
			fields[name] = value
			foreign = foreign || name != "v"
		case sub != nil && isObject(fields[name]) && isObject(value):
			nested, more, err := merge(sub, fields[name], value)
			if err != nil {
				return nil, false, err
			}
			if fields[name], err = json.Marshal(nested); err != nil {
				return nil, false, err
			}
			foreign = foreign || more
		}
	}
	return fields, foreign, nil
}

func isObject(raw json.RawMessage) bool {
	return len(raw) > 0 && bytes.TrimLeft(raw, " \t\r\n")[0] == '{'
}

var knownCache sync.Map // reflect.Type → map[string]reflect.Type

// knownFields maps the JSON names of a struct's fields to the struct types of
// their values, nil for all other types.
func knownFields(typ reflect.Type) map[string]reflect.Type {
	if typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if cached, ok := knownCache.Load(typ); ok {
		return cached.(map[string]reflect.Type)
	}
	known := map[string]reflect.Type{}
	for i := range typ.NumField() {
		f := typ.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if f.Anonymous && name == "" { // its fields are written as this struct's own
			maps.Copy(known, knownFields(f.Type))
			continue
		}
		if name == "" || name == "-" {
			continue
		}
		sub := f.Type
		if sub.Kind() == reflect.Pointer {
			sub = sub.Elem()
		}
		if sub.Kind() != reflect.Struct || !strings.HasPrefix(sub.PkgPath(), "github.com/seed-dbc68772/") {
			sub = nil
		}
		known[name] = sub
	}
	knownCache.Store(typ, known)
	return known
}
