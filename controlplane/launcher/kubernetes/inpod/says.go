package inpod

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// maxText bounds a reason's words, in bytes: the kubelet reads 4096 of a message,
// and JSON may need six for one.
const maxText = 600

// Message is a reason as a container's termination message:
// {"code":"bad_bundle","text":"…"}.
func Message(r controlplane.Reason) []byte {
	r.Text = strings.ToValidUTF8(r.Text, "?")
	if len(r.Text) > maxText {
		cut := maxText
		for !utf8.RuneStart(r.Text[cut]) {
			cut--
		}
		r.Text = r.Text[:cut] + "…"
	}
	text, err := json.Marshal(r)
	if err != nil {
		panic(err) // two strings
	}
	return text
}

const progressPrefix = "slipway: progress "

// Progress is a line of a step's log that says how far it is, for people and for
// programs.
func Progress(percent int, text string) string {
	return fmt.Sprintf("%s%d%% %s", progressPrefix, percent, text)
}

var progressLine = regexp.MustCompile(`^` + progressPrefix + `([0-9]{1,3})% (.+)$`)

// ReadProgress reads a line of Progress; false of every other line.
func ReadProgress(line string) (percent int, text string, ok bool) {
	m := progressLine.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
	if m == nil {
		return 0, "", false
	}
	percent, err := strconv.Atoi(m[1])
	return percent, m[2], err == nil && percent <= 100
}
