package bundle

// kind is what type a TOML value has.
type kind string

const (
	kindString  kind = "a string"
	kindInteger kind = "an integer"
	kindBool    kind = "true or false"
	kindFloat   kind = "a number with a fraction"
	kindTime    kind = "a date or time"
	kindArray   kind = "an array"
	kindTable   kind = "a table"
)

// value is one TOML value with the place that it was read from. Keys of tables
// are found in any case.
type value struct {
	kind  kind
	key   string // as written, of the key that it is the value of
	raw   string // as written; tables and arrays of tables have none
	text  string // of a string, unquoted
	keyAt int    // byte offset of the key
	at    int    // byte offset of the value, of the header for tables

	items []*value          // of an array
	order []*value          // of a table, as written
	named map[string]*value // of a table, by folded key
}

func newTable(key string, at int) *value {
	return &value{kind: kindTable, key: key, keyAt: at, at: at, named: map[string]*value{}}
}

// get is the value of a key in any case, or nil.
func (v *value) get(key string) *value {
	if v == nil {
		return nil
	}
	return v.named[foldCase(key)]
}

// remove takes a key out.
func (v *value) remove(child *value) {
	delete(v.named, foldCase(child.key))
	for i, x := range v.order {
		if x == child {
			v.order = append(v.order[:i:i], v.order[i+1:]...)
			return
		}
	}
}

// put adds a key that is not there yet.
func (v *value) put(child *value) {
	v.named[foldCase(child.key)] = child
	v.order = append(v.order, child)
}
