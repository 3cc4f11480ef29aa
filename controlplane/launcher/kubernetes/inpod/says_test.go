package inpod

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-dbc68772/slipway/controlplane"
)

func TestAMessageIsWhatTheKubeletTakes(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"words":        {"the bundle is \"another\"", "the bundle is \"another\""},
		"too many":     {strings.Repeat("é", 2000), strings.Repeat("é", maxText/2) + "…"},
		"none of text": {"a\xffb", "a?b"},
		"controls":     {strings.Repeat("\x01", 2000), strings.Repeat("\x01", maxText) + "…"},
	} {
		t.Run(name, func(t *testing.T) {
			text := Message(controlplane.Reason{Code: controlplane.BadBundle, Text: c.text})
			var got controlplane.Reason
			if err := json.Unmarshal(text, &got); err != nil || len(text) > 4096 {
				t.Fatalf("%d bytes: %v", len(text), err)
			}
			if got.Code != controlplane.BadBundle || got.Text != c.want {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestProgressIsReadAsItIsWritten(t *testing.T) {
	for line, want := range map[string]struct {
		percent int
		text    string
		ok      bool
	}{
		Progress(40, "collecting numpy (2 so far)") + "\n": {40, "collecting numpy (2 so far)", true},
		Progress(100, "x"):                              {100, "x", true},
		"slipway: progress 101% x":                      {101, "x", false},
		"slipway: progress 5% \x1b[2J\u202ea\xff b\x00": {5, "[2J a b", true},
		"slipway: progress 5% \x1b\x07":                 {5, "", false},
		Progress(5, strings.Repeat("é", 200)):           {5, strings.Repeat("é", 100) + "…", true},
		"slipway: progress -1% x":                       {},
		"Collecting numpy":                              {},
		"an app: slipway: progress 5% of all":           {},
	} {
		percent, text, ok := ReadProgress(line)
		if percent != want.percent || text != want.text || ok != want.ok {
			t.Errorf("%q: %d %q %t", line, percent, text, ok)
		}
	}
}

func TestRelativeFiles(t *testing.T) {
	all := []controlplane.File{{Path: "a", Value: "1"}, {Path: "b", Value: "\xff", Secret: "s"}, {Path: "/c", Value: "3"}, {Path: "/d", Value: "4", Secret: "s"}}
	if diff := cmp.Diff([]File{{"a", []byte("1")}}, Relative(all, false)); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]File{{"b", []byte("\xff")}}, Relative(all, true)); diff != "" {
		t.Error(diff)
	}
}
