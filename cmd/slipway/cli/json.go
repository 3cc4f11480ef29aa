package cli

import (
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"
)

// encodeJSON writes indented JSON in which every character that is unsafe on
// a terminal is escaped; that changes no value.
func encodeJSON(v any) ([]byte, error) {
	raw, ok := v.(rawItems)
	if !ok {
		var text strings.Builder
		e := json.NewEncoder(&text)
		e.SetEscapeHTML(false)
		if err := e.Encode(v); err != nil {
			return nil, fmt.Errorf("encode output: %w", err)
		}
		return append(indent(nil, text.String(), 0), '\n'), nil
	}
	if len(raw) == 0 {
		return []byte("{\n  \"items\": []\n}\n"), nil
	}
	size := 0
	for _, item := range raw {
		size += len(item)*3/2 + len(newLine)
	}
	out := append(make([]byte, 0, size), "{\n  \"items\": ["...)
	for i, item := range raw {
		if i > 0 {
			out = append(out, ',')
		}
		out = indent(append(out, newLine[:5]...), item, 2)
	}
	return append(out, "\n  ]\n}\n"...), nil
}

// newLine is a line break with the indent of what is on the next line, of which
// there is as much as the JSON of our servers needs.
const newLine = "\n                                                                "

func appendLine(out []byte, depth int) []byte {
	return append(out, newLine[:min(1+2*max(depth, 0), len(newLine))]...)
}

// indent appends a text of JSON, indented, to what is at this depth.
func indent(out []byte, text string, depth int) []byte {
	for i := 0; i < len(text); i++ {
		switch c := text[i]; c {
		case ' ', '\n', '\t', '\r':
		case '"':
			end := i + 1
			for end < len(text) && text[end] != '"' {
				if text[end] == '\\' {
					end++
				}
				end++
			}
			end = min(end+1, len(text))
			out = appendSafe(out, text[i:end])
			i = end - 1
		case '{', '[':
			out = append(out, c)
			if depth++; !closes(text[i+1:]) {
				out = appendLine(out, depth)
			}
		case '}', ']':
			if depth--; out[len(out)-1] != '{' && out[len(out)-1] != '[' {
				out = appendLine(out, depth)
			}
			out = append(out, c)
		case ',':
			out = appendLine(append(out, c), depth)
		case ':':
			out = append(out, ": "...)
		default:
			out = append(out, c)
		}
	}
	return out
}

// closes reports whether an object or an array ends here.
func closes(text string) bool {
	text = strings.TrimLeft(text, " \n\t\r")
	return len(text) > 0 && (text[0] == '}' || text[0] == ']')
}

// appendSafe appends a string of JSON, and escapes what is unsafe.
func appendSafe(out []byte, text string) []byte {
	for len(text) > 0 {
		n := 0
		for n < len(text) && text[n] >= 0x20 && text[n] < 0x7f {
			n++
		}
		out = append(out, text[:n]...)
		if text = text[n:]; len(text) == 0 {
			break
		}
		r, size := utf8.DecodeRuneInString(text)
		if text = text[size:]; unsafe(r) {
			out = fmt.Appendf(out, `\u%04x`, r)
		} else {
			out = utf8.AppendRune(out, r)
		}
	}
	return out
}
