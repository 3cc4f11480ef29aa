package diagnose_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/diagnose"
)

// fit says what is wrong with a verdict, whatever it is of.
func fit(v diagnose.Verdict) string {
	texts := []string{v.Text}
	if v.Reason != nil {
		texts = append(texts, v.Reason.Text)
		if !slices.Contains(controlplane.ReasonCodes, v.Reason.Code) || v.Reason.Text == "" {
			return fmt.Sprintf("no reason is of this kind: %+v", v.Reason)
		}
	}
	for _, text := range texts {
		if len(text) > 480 || !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return fmt.Sprintf("a text is too long, or not printable: %q", text)
		}
	}
	switch {
	case !slices.Contains(controlplane.Stages, v.Stage):
		return fmt.Sprintf("there is no stage %q", v.Stage)
	case v.Ended && v.Reason == nil:
		return "it has ended without a reason"
	case v.Text == "" && v.Percent != 0, v.Percent < 0, v.Percent > 100:
		return fmt.Sprintf("%d %% of %q", v.Percent, v.Text)
	case len(v.Text) > 100:
		return fmt.Sprintf("too many words for visitors: %q", v.Text)
	}
	return ""
}

// FuzzPod holds that no status, however odd, is a panic or a text that cannot be
// shown.
func FuzzPod(f *testing.F) {
	paths, err := filepath.Glob("testdata/captured/*.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		var pod, event []byte
		for line := range strings.Lines(string(data)) {
			var fr frame
			if err := json.Unmarshal([]byte(line), &fr); err != nil {
				f.Fatal(err)
			}
			if strings.Contains(string(fr.Object), `"kind":"Pod","apiVersion"`) {
				pod = fr.Object
			} else {
				event = fr.Object
			}
		}
		f.Add(pod, event)
	}
	f.Add([]byte(`{"status":{"phase":"Failed"}}`), []byte(`{}`))
	f.Fuzz(func(t *testing.T, pod, event []byte) {
		var p corev1.Pod
		var e corev1.Event
		if json.Unmarshal(pod, &p) != nil || json.Unmarshal(event, &e) != nil {
			return
		}
		e.InvolvedObject.UID, e.InvolvedObject.Name = p.UID, p.Name
		if problem := fit(diagnose.Pod(&p, []*corev1.Event{&e, nil})); problem != "" {
			t.Error(problem)
		}
	})
}
