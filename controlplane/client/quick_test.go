package client

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// quickly is into, of a whole text.
func quickly[T any](text string) (out T, ok bool) {
	q := newQuick(text)
	if q == nil {
		return out, false
	}
	q.into(reflect.ValueOf(&out).Elem())
	return out, !q.failed && q.at == len(text)
}

var quickApps = []string{
	`{}`,
	`{"id":"a","title":"x \"y\" \u00e4 \\","tags":["b","c"],"runnable":true,"reasons":[{"code":"oom","text":"t"}],"link":null,"image":"i","created_at":"2026-01-02T03:04:05.6789Z"}`,
	`{"id":"a","later":{"b":[1,"}",{"c":null}]},"name":"n","tags":[],"reasons":[],"warnings":[{"message":"m","line":3}]}`,
}

var quickInstances = []string{
	`{"id":"a","restarts":12,"reason":{"code":"oom","text":"t"},"stage":null,"resources":{"gpu_count":1},"last_active":"2026-01-02T03:04:05Z","suspend_after":null}`,
	`{"restarts":-3,"reason":null,"resources":null,"readonly":false}`,
}

func TestQuickReadsWhatServersWrite(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 678900000, time.UTC)
	app, err := json.Marshal(v1.App{ID: "a", Title: "<ä>\n", Tags: []string{"x"}, Categories: []string{}, Reasons: []v1.Reason{{Code: "c"}}, Link: new("l"), CreatedAt: now, Warnings: []v1.Fault{{Message: "m"}}})
	if err != nil {
		t.Fatal(err)
	}
	in, err := json.Marshal(v1.Instance{ID: "a", Stage: new("health"), Reason: &v1.Reason{Code: "oom"}, Restarts: 7, LastActive: &now, Resources: &v1.Resources{GPUCount: 1}})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range append([]string{string(app)}, quickApps...) {
		same[v1.App](t, text, true)
	}
	for _, text := range append([]string{string(in)}, quickInstances...) {
		same[v1.Instance](t, text, true)
	}
}

func TestQuickLeavesTheRestToTheLibrary(t *testing.T) {
	for name, text := range map[string]string{
		"white space":       `{ "id":"a"}`,
		"a key twice":       `{"id":"a","id":"b"}`,
		"a key in capitals": `{"ID":"a"}`,
		"another type":      `{"id":1}`,
		"a broken string":   `{"id":"a`,
		"a broken escape":   `{"id":"\x"}`,
		"a control":         "{\"id\":\"\x01\"}",
		"no UTF-8":          "{\"id\":\"\xff\"}",
		"no time":           `{"created_at":"yesterday"}`,
		"no value":          `{"later":}`,
		"two values":        `{"later":1 2}`,
		"a zero before":     `{"later":01}`,
		"a comma more":      `{"id":"a",}`,
		"brackets crossed":  `{"later":[{]}}`,
		"more behind it":    `{"id":"a"}}`,
	} {
		t.Run(name, func(t *testing.T) { same[v1.App](t, text, false) })
	}
	same[v1.Instance](t, `{"restarts":1.5}`, false)
	same[v1.Instance](t, `{"restarts":007}`, false)
}

// same holds that quick reads a text as the library does, or leaves it.
func same[T any](t *testing.T, text string, must bool) {
	t.Helper()
	got, ok := quickly[T](text)
	if ok != must {
		t.Errorf("%s: %t", text, ok)
	}
	if !ok {
		return
	}
	var want T
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s:\n%s", text, diff)
	}
}

func FuzzQuickReadsAsTheLibrary(f *testing.F) {
	for _, text := range append(quickApps, quickInstances...) {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, ok := quickly[v1.App](text); ok {
			same[v1.App](t, text, true)
		}
		if _, ok := quickly[v1.Instance](text); ok {
			same[v1.Instance](t, text, true)
		}
	})
}

func TestNextCursorIsSeenAtTheEndOfAPage(t *testing.T) {
	for _, tt := range []struct {
		name, body, cursor string
		seen               bool
	}{
		{"there", `{"items":[],"next_cursor":"abc","revision":"1"}`, "abc", true},
		{"none", `{"items":[],"next_cursor":null,"revision":"1"}`, "", false},
		{"in a string", `{"items":[{"title":"\"next_cursor\":\"x\""}],"next_cursor":null}`, "", false},
		{"escaped", `{"next_cursor":"a\"b"}`, "a\\", false},
		{"spaced", `{"next_cursor": "a"}`, "", false},
		{"cut off", `{"next_cursor":"a`, "a", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cursor, seen := nextCursor(tt.body)
			if seen != tt.seen || seen && cursor != tt.cursor {
				t.Error(cursor, seen)
			}
		})
	}
}

func TestPagesAreReadAlikeInAnySpelling(t *testing.T) {
	quick := `{"items":[{"id":"a","later":[1]},{"id":"b"}],"next_cursor":"n","revision":"9"}`
	want := readPage[v1.App](&Client{}, quick)
	if _, ok := quickPage[v1.App](quick); !ok || len(want.rows) != 2 || want.rows[0].JSON != `{"id":"a","later":[1]}` || want.next != "n" {
		t.Fatalf("%+v", want)
	}
	for name, text := range map[string]string{
		"spaced":   strings.ReplaceAll(quick, `,"`, ` , "`),
		"new line": quick + "\n",
		"extended": strings.Replace(quick, `"revision"`, `"total":2,"revision"`, 1),
	} {
		got := readPage[v1.App](&Client{}, text)
		if got.err != nil || len(got.rows) != 2 || got.next != "n" || !cmp.Equal(got.rows[1].Item, want.rows[1].Item) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if got := readPage[v1.App](&Client{}, `{"items":[{"id":3}]}`); got.err == nil {
		t.Error("what is no app was read as one")
	}
}
