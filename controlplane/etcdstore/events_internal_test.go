package etcdstore

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-dbc68772/slipway/controlplane"
)

func TestAppendEvent(t *testing.T) {
	many := func(from, to int) string {
		var items []string
		for n := from; n <= to; n++ {
			items = append(items, fmt.Sprintf(`{"n":%d}`, n))
		}
		return strings.Join(items, ",")
	}
	for _, c := range []struct{ name, list, want string }{
		{"one", `{"v":1,"items":[{"n":1}]}`, `{"v":1,"items":[{"n":1},{"new":1}]}`},
		{"text with brackets and quotes", `{"v":1,"items":[{"t":"}]\"{,\\"}]}`, `{"v":1,"items":[{"t":"}]\"{,\\"},{"new":1}]}`},
		{"objects within objects", `{"v":1,"items":[{"o":{"p":[1,{}]}},{}]}`, `{"v":1,"items":[{"o":{"p":[1,{}]}},{},{"new":1}]}`},
		{"one less than the most", `{"v":1,"items":[` + many(2, 64) + `]}`, `{"v":1,"items":[` + many(2, 64) + `,{"new":1}]}`},
		{"the most", `{"v":1,"items":[` + many(1, 64) + `]}`, `{"v":1,"items":[` + many(2, 64) + `,{"new":1}]}`},
		{"more than the most", `{"v":1,"items":[` + many(1, 70) + `]}`, `{"v":1,"items":[` + many(8, 70) + `,{"new":1}]}`},
		{"nothing", ``, ``},
		{"no item", `{"v":1,"items":[]}`, ``},
		{"null", `{"v":1,"items":null}`, ``},
		{"a newer schema", `{"v":2,"items":[{"n":1}]}`, ``},
		{"a field more", `{"v":1,"items":[{"n":1}],"more":[{}]}`, ``},
		{"the earlier order", `{"items":[{"n":1}],"v":1}`, ``},
		{"spaces", `{"v":1,"items":[{"n":1} ,{"n":2}]}`, ``},
		{"no object", `{"v":1,"items":[{"n":1},2]}`, ``},
		{"a string", `{"v":1,"items":["n"]}`, ``},
		{"no comma", `{"v":1,"items":[{"n":1}{"n":2}]}`, ``},
		{"a comma too many", `{"v":1,"items":[{"n":1},]}`, ``},
		{"a comma first", `{"v":1,"items":[,{"n":1}]}`, ``},
		{"cut short", `{"v":1,"items":[{"n":1},{"n":{]}`, ``},
		{"a string without an end", `{"v":1,"items":[{"n":"1},{]}`, ``},
		{"an end too many", `{"v":1,"items":[{"n":1}},{"n":1}]}`, ``},
	} {
		got, ok := appendEvent([]byte(c.list), []byte(`{"new":1}`))
		if string(got) != c.want || ok != (c.want != "") {
			t.Errorf("%s: %s, %v; want %s", c.name, got, ok, c.want)
		}
	}
}

// What is appended without parsing is what encode writes of the longer list.
func FuzzAppendEvent(f *testing.F) {
	f.Add("it is ready", `a "quoted" }],{ \ text`, 3)
	f.Add("", "\u2028\x00\xff", 64)
	f.Fuzz(func(t *testing.T, first, last string, n int) {
		n = 1 + (n&0xff)%70
		at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		var items []controlplane.Event
		for range n {
			items = append(items, controlplane.Event{Time: at, Type: controlplane.EventReady, Text: first})
		}
		list, err := encode(eventsRecord{items})
		if err != nil {
			t.Fatal(err)
		}
		one := controlplane.Event{Time: at, Type: controlplane.EventEnded, Text: last}
		raw, err := json.Marshal(one)
		if err != nil {
			t.Fatal(err)
		}
		longer, ok := appendEvent(list, raw)
		if !ok {
			t.Fatalf("%s is not as encode writes it", list)
		}
		items = append(items, one)
		want, err := encode(eventsRecord{slices.Delete(items, 0, max(0, len(items)-controlplane.MaxEvents))})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), string(longer)); diff != "" {
			t.Error(diff)
		}
	})
}
