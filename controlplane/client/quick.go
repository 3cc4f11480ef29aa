package client

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// quick reads the JSON of long lists, in a fraction of the time that
// encoding/json takes. It knows JSON as our servers write it: anything else
// makes it stop, and then encoding/json decides whether that is an error. What
// it accepts, it reads as encoding/json would (FuzzQuickReadsAsTheLibrary).
//
// The strings that it returns are parts of the text, not copies.
type quick struct {
	text   string
	at     int
	failed bool
}

// newQuick is nil for a text that has to be read by encoding/json.
func newQuick(text string) *quick {
	if !utf8.ValidString(text) {
		return nil // the library replaces what is not
	}
	return &quick{text: text}
}

func (q *quick) fail() { q.failed = true }

// next is the next byte, which is taken only by take; 0 at the end.
func (q *quick) next() byte {
	if q.failed || q.at >= len(q.text) {
		return 0
	}
	return q.text[q.at]
}

// take takes the next byte if it is this one.
func (q *quick) take(c byte) bool {
	if q.next() != c || c == 0 {
		return false
	}
	q.at++
	return true
}

func (q *quick) want(c byte) {
	if !q.take(c) {
		q.fail()
	}
}

// word takes a literal.
func (q *quick) word(w string) bool {
	if q.failed || !strings.HasPrefix(q.text[q.at:], w) {
		return false
	}
	q.at += len(w)
	return true
}

// string reads a string.
func (q *quick) string() string {
	q.want('"')
	if q.failed {
		return ""
	}
	from, escaped := q.at, false
	for i := from; i < len(q.text); i++ {
		switch c := q.text[i]; {
		case c == '"':
			q.at = i + 1
			if !escaped {
				return q.text[from:i]
			}
			var s string
			if json.Unmarshal([]byte(q.text[from-1:q.at]), &s) != nil {
				q.fail()
			}
			return s
		case c == '\\':
			escaped = true
			i++
		case c < 0x20:
			q.fail()
			return ""
		}
	}
	q.fail()
	return ""
}

// skip goes over a value and returns it. Of numbers and of what is in objects
// and arrays it tells only where they end.
func (q *quick) skip() string {
	from, open := q.at, 0
	for !q.failed {
		switch c := q.next(); c {
		case '"':
			q.string()
		case '{', '[':
			open++
			q.at++
			continue
		case '}', ']':
			if open--; open < 0 {
				q.fail()
				return ""
			}
			q.at++
		case ',', ':':
			q.at++
			continue
		default:
			start := q.at
			for q.at < len(q.text) && strings.IndexByte("+-.0123456789Eaeflnrstu", q.text[q.at]) >= 0 {
				q.at++
			}
			if q.at == start {
				q.fail()
				return ""
			}
		}
		if open == 0 {
			return q.text[from:q.at]
		}
	}
	return ""
}

func (q *quick) time() (t time.Time) {
	if s := q.string(); !q.failed && t.UnmarshalText([]byte(s)) != nil {
		q.fail()
	}
	return t
}

// library has encoding/json read the next value.
func (q *quick) library(into any) {
	if value := q.skip(); !q.failed && json.Unmarshal([]byte(value), into) != nil {
		q.fail()
	}
}

// array calls element at each element.
func (q *quick) array(element func()) {
	q.want('[')
	if q.failed || q.take(']') {
		return
	}
	for !q.failed {
		element()
		if !q.take(',') {
			q.want(']')
			return
		}
	}
}

// object calls field at the value of each key.
func (q *quick) object(field func(key string)) {
	q.want('{')
	if q.failed || q.take('}') {
		return
	}
	for !q.failed {
		key := q.string()
		q.want(':')
		if q.failed {
			return
		}
		field(key)
		if !q.take(',') {
			q.want('}')
			return
		}
	}
}

// shape is the fields of a struct, by the names that they have in JSON.
type shape struct {
	names []string
	index map[string]int
}

var shapes sync.Map // of shape, by reflect.Type

func shapeOf(t reflect.Type) shape {
	if known, ok := shapes.Load(t); ok {
		return known.(shape)
	}
	s := shape{index: map[string]int{}}
	for i := range t.NumField() {
		name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		s.names = append(s.names, name)
		s.index[name] = i
	}
	shapes.Store(t, s)
	return s
}

// into reads an object into a struct of at most 64 fields, which are all named
// in their tags.
func (q *quick) into(v reflect.Value) {
	s, guess, seen := shapeOf(v.Type()), 0, uint64(0)
	q.object(func(key string) {
		// Keys come in the order of the fields, mostly.
		for guess < len(s.names) && s.names[guess] != key {
			guess++
		}
		i, known := guess, guess < len(s.names)
		if guess++; !known {
			guess = 0
			if i, known = s.index[key]; !known {
				// The library takes a key in any case.
				if strings.Trim(key, "abcdefghijklmnopqrstuvwxyz_0123456789") != "" {
					q.fail()
				}
				q.library(new(any))
				return
			}
			guess = i + 1
		}
		if seen&(1<<i) != 0 {
			q.fail() // what the library makes of a key that comes twice is its own
		}
		seen |= 1 << i
		q.field(v.Field(i))
	})
}

func (q *quick) field(f reflect.Value) {
	switch into := f.Addr().Interface().(type) {
	case *string:
		*into = q.string()
	case **string:
		if *into = nil; !q.word("null") {
			*into = new(q.string())
		}
	case *bool:
		if *into = q.word("true"); !*into && !q.word("false") {
			q.fail()
		}
	case *int:
		digits := q.skip()
		n, err := strconv.Atoi(digits)
		if *into = n; err != nil || strconv.Itoa(n) != digits {
			q.fail()
		}
	case *time.Time:
		*into = q.time()
	case **time.Time:
		if *into = nil; !q.word("null") {
			*into = new(q.time())
		}
	case *[]string:
		*into = []string{}
		q.array(func() { *into = append(*into, q.string()) })
	default:
		f.SetZero()
		switch {
		case f.Kind() == reflect.Slice && q.word("[]"):
			f.Set(reflect.MakeSlice(f.Type(), 0, 0))
		case q.word("null"):
		default:
			q.library(into)
		}
	}
}
