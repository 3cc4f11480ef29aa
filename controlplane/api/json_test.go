package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestDuplicateKeys(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"none":                    {`{"a":1,"b":{"a":2},"c":[{"a":1},{"a":2}]}`, ""},
		"at the top":              {`{"a":1,"b":2,"a":3}`, "a"},
		"the same value":          {`{"a":1,"a":1}`, "a"},
		"null":                    {`{"a":null,"a":null}`, "a"},
		"in capitals":             {`{"owner":1,"Owner":2}`, "Owner"},
		"by another letter":       {`{"tasks":1,"taſks":2}`, `"taſks"`}, // long s
		"kelvin":                  {`{"k":1,"\u212a":2}`, "\"\u212a\""}, // as encoding/json folds it
		"escaped":                 {`{"a":1,"\u0061":2}`, "a"},
		"deep":                    {`{"a":{"b":[0,{"c":1,"d":{},"c":2}]}}`, "a.b[1].c"},
		"in an array":             {`[{"a":1},{"b":1,"b":2}]`, "[1].b"},
		"array in array":          {`{"x":[[1,2],[{"y":1,"y":2}]]}`, "x[1][0].y"},
		"after an array":          {`{"a":[1,2],"b":"a","a":[]}`, "a"},
		"after an object":         {`{"a":{"x":1},"b":{},"a":{}}`, "a"},
		"a value of that name":    {`{"a":"b","b":"a"}`, ""},
		"strings of an array":     {`{"a":["a","a","a"]}`, ""},
		"empty keys":              {`{"":1,"":2}`, `""`},
		"not objects":             {`"a"`, ""},
		"broken":                  {`{"a":1,"a"`, "a"},
		"broken before":           {`{"a":1,]"a":2}`, ""},
		"nothing":                 {``, ""},
		"two texts":               {`{"a":1}{"a":2}`, ""},
		"siblings":                {`[{"a":1},{"a":1}]`, ""},
		"parent's":                {`{"a":{"a":{"a":1}}}`, ""},
		"numbers beyond a double": {`{"a":1e999,"a":2}`, "a"},
	} {
		t.Run(name, func(t *testing.T) {
			if got, found := duplicateKey([]byte(c.text)); got != c.want || found != (c.want != "") {
				t.Errorf("%q, want %q", got, c.want)
			}
		})
	}
	deep := strings.Repeat(`{"a":[`, 100_000)
	if got, found := duplicateKey([]byte(deep)); found {
		t.Errorf("a deep text: %.20s", got)
	}
}

// FuzzDuplicateKey holds that of a text which passes, the two ways to read it
// agree: into a map, where each key has a value of its own, and one by one.
func FuzzDuplicateKey(f *testing.F) {
	for _, text := range []string{
		`{"a":1,"b":{"a":[{"c":null}]}}`, `{"a":1,"A":2}`, `[[],{"x":{"y":1,"y":2}}]`, `{"k":1,"\u212a":2}`, `{"a":1`, `"x"`, `{"":{"":0}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		path, found := duplicateKey(text)
		var into any
		if json.Unmarshal(text, &into) != nil {
			return
		}
		keys, distinct := countKeys(json.NewDecoder(bytes.NewReader(text))), distinctKeys(into)
		if !found && keys != distinct {
			t.Errorf("%q passes, with %d keys of which %d are distinct", text, keys, distinct)
		}
		if found && !hasTwins(into) && keys == distinct {
			t.Errorf("%q is refused for %s", text, path)
		}
	})
}

// countKeys counts the keys as they are written.
func countKeys(d *json.Decoder) (n int) {
	type frame struct{ object, value bool }
	var open []frame
	for {
		token, err := d.Token()
		if err != nil {
			return n
		}
		if top := len(open) - 1; top >= 0 && open[top].object && token != json.Delim('}') {
			if open[top].value = !open[top].value; open[top].value {
				n++
				continue
			}
		}
		switch token {
		case json.Delim('{'):
			open = append(open, frame{object: true})
		case json.Delim('['):
			open = append(open, frame{})
		case json.Delim('}'), json.Delim(']'):
			open = open[:len(open)-1]
		}
	}
}

// distinctKeys counts those that are left in maps.
func distinctKeys(v any) (n int) {
	switch v := v.(type) {
	case map[string]any:
		n = len(v)
		for _, value := range v {
			n += distinctKeys(value)
		}
	case []any:
		for _, value := range v {
			n += distinctKeys(value)
		}
	}
	return n
}

// hasTwins reports whether an object has two keys that differ in case only.
func hasTwins(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		var keys []string
		for key, value := range v {
			for _, other := range keys {
				if strings.EqualFold(key, other) {
					return true
				}
			}
			keys = append(keys, key)
			if hasTwins(value) {
				return true
			}
		}
	case []any:
		for _, value := range v {
			if hasTwins(value) {
				return true
			}
		}
	}
	return false
}

func TestFoldingAgreesWithTheParser(t *testing.T) {
	for _, key := range []string{"owner", "OWNER", "oWNER", "ownEr"} {
		var into struct{ Owner string }
		if err := json.Unmarshal(fmt.Appendf(nil, `{%q:"x"}`, key), &into); err != nil || (into.Owner == "x") != (fold(key) == fold("owner")) {
			t.Errorf("%s: parsed %+v (%v), folded %q", key, into, err, fold(key))
		}
	}
}
