package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/danielgtaylor/huma/v2"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// maxJSON is the size of the largest JSON body, in bytes; huma refuses more.
const maxJSON = 1 << 20

// uniqueKeys refuses a JSON body that has a key twice. Which of two counts is
// every reader's own choice: a proxy may check the one and we obey the other.
func uniqueKeys(ctx huma.Context, next func(huma.Context)) {
	op := ctx.Operation()
	if op.RequestBody == nil || op.RequestBody.Content["application/json"] == nil || ctx.BodyReader() == nil {
		next(ctx)
		return
	}
	read, err := io.ReadAll(io.LimitReader(ctx.BodyReader(), maxJSON+1))
	body := io.MultiReader(bytes.NewReader(read), ctx.BodyReader())
	if err == nil && len(read) <= maxJSON {
		if path, twice := duplicateKey(read); twice {
			refused := controlplane.Errorf(controlplane.CodeInvalid, "the body has the key %s twice", path).
				WithHint("give each key once; capitals do not tell two keys apart")
			refuse(ctx, refused, []v1.Fault{{Code: "duplicate_key", Where: "body." + path, Message: "given twice"}})
			return
		}
	}
	next(readAgain{ctx, body})
}

// humaContext is huma.Context by a name that is none of its methods.
type humaContext = huma.Context

// readAgain is a request whose body was read.
type readAgain struct {
	humaContext
	body io.Reader
}

func (r readAgain) BodyReader() io.Reader { return r.body }

// SetReadDeadline is huma's, for the body, which is here already. It would count
// on: past it the server takes the connection for broken and ends the request's
// context, five seconds into a call that takes longer.
func (r readAgain) SetReadDeadline(time.Time) error { return nil }

// Unwrap is what humago.Unwrap looks for.
func (r readAgain) Unwrap() huma.Context { return r.humaContext }

// level is an object or an array that has not ended.
type level struct {
	keys map[string]bool // folded; nil for an array
	name string          // of the element that is read
	n    int             // index of it, in an array
	key  bool            // a key comes next
}

// duplicateKey is the path of the first key that an object in a JSON text has
// twice, in capitals or not. What is not JSON is left to the parser.
func duplicateKey(text []byte) (path string, found bool) {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var open []level
	for {
		token, err := d.Token()
		if err != nil {
			return "", false // the end, or what the parser will refuse
		}
		top := len(open) - 1
		if top >= 0 && open[top].key {
			if name, isKey := token.(string); isKey {
				folded := fold(name)
				open[top].name, open[top].key = name, false
				if open[top].keys[folded] {
					return pathOf(open), true
				}
				open[top].keys[folded] = true
				continue
			}
		}
		switch token {
		case json.Delim('{'):
			open = append(open, level{keys: map[string]bool{}, key: true})
			continue
		case json.Delim('['):
			open = append(open, level{})
			continue
		case json.Delim('}'), json.Delim(']'):
			open = open[:top]
		}
		// A value ended: the next one of what it is in comes.
		if top = len(open) - 1; top >= 0 {
			open[top].key = open[top].keys != nil
			open[top].n++
		}
	}
}

// maxPath bounds what an answer repeats of a path, in bytes.
const maxPath = 200

// pathOf is where in a text an element is, as huma names it: a.b[2].c. A key
// that is no word is quoted.
func pathOf(open []level) string {
	var out strings.Builder
	for i, l := range open {
		if out.Len() > maxPath {
			out.WriteString("…")
			break
		}
		if l.keys == nil {
			fmt.Fprintf(&out, "[%d]", l.n)
			continue
		}
		if i > 0 {
			out.WriteByte('.')
		}
		if word.MatchString(l.name) {
			out.WriteString(l.name)
		} else {
			out.WriteString(strconv.Quote(l.name[:min(len(l.name), maxPath)]))
		}
	}
	return out.String()
}

var word = regexp.MustCompile(`^[A-Za-z0-9_]{1,100}$`)

// fold makes keys equal that encoding/json takes for the same field.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		least := r
		for c := unicode.SimpleFold(r); c != r; c = unicode.SimpleFold(c) {
			least = min(least, c)
		}
		return least
	}, s)
}
