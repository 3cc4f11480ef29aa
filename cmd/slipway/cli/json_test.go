package cli

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func TestJSONIsIndentedAsTheLibraryDoes(t *testing.T) {
	for name, text := range map[string]string{
		"object":          `{"a":1,"b":"x","c":null}`,
		"empty":           `{"a":[],"b":{},"c":[{}]}`,
		"nested":          `[{"a":[1,2,{"b":[true,false]}]},[[]]]`,
		"structure in it": `{"a":"{[,:]}","b":"\"\\","c\\":"\\\\"}`,
		"spaced":          "{ \"a\" : [ ] ,\n\"b\" : [ 1 , { } ] }",
		"a number":        `-1.5e+3`,
		"other scripts":   `{"ä":"日本"}`,
	} {
		t.Run(name, func(t *testing.T) {
			var want bytes.Buffer
			if err := json.Indent(&want, []byte(text), "", "  "); err != nil {
				t.Fatal(err)
			}
			if got := string(indent(nil, text, 0)); got != want.String() {
				t.Errorf("%s\nwant\n%s", got, want.String())
			}
		})
	}
}

func TestAListIsPrintedAsItsItemsAre(t *testing.T) {
	for _, raw := range []rawItems{{}, {`{"a":"b"}`}, {`{"a":1}`, `{"a":[{"c":null}],"unknown":{}}`}} {
		got, err := encodeJSON(raw)
		if err != nil {
			t.Fatal(err)
		}
		want, err := encodeJSON(json.RawMessage(`{"items":[` + strings.Join(raw, ",") + `]}`))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s\nwant\n%s", got, want)
		}
	}
}

func TestUnsafeCharactersAreEscaped(t *testing.T) {
	for text, want := range map[string]string{
		"\"\u009b31m\"": `"\u009b31m"`,
		"\"a\u202eb\"":  `"a\u202eb"`,
		"\"\x7f\"":      `"\u007f"`,
		"\"\x1b[2J\"":   `"\u001b[2J"`, // no JSON; a server may send it all the same
		"\"\xff\"":      "\"\ufffd\"",
		`"\u001b"`:      `"\u001b"`,
	} {
		if got := string(indent(nil, text, 0)); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
