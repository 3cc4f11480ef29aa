package inpod

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// maxText bounds a reason's words, in bytes: the kubelet reads 4096 of a message,
// and JSON may need six for one.
const maxText = 600

// Message is a reason as a container's termination message:
// {"code":"bad_bundle","text":"…"}.
func Message(r controlplane.Reason) []byte {
	r.Text = cut(strings.ToValidUTF8(r.Text, "?"), maxText)
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

// maxWords bounds the words of a line of Progress, in bytes.
const maxWords = 200

// ReadProgress reads a line of Progress; false of every other line. Packages may
// write such lines too, and every visitor reads the words: they are printable, on
// one line, and not many.
func ReadProgress(line string) (percent int, text string, ok bool) {
	m := progressLine.FindStringSubmatch(strings.TrimRight(line, "\r\n"))
	if m == nil {
		return 0, "", false
	}
	percent, err := strconv.Atoi(m[1])
	text = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(m[2], ""), func(r rune) bool {
		return unicode.IsSpace(r) || !unicode.IsPrint(r)
	}), " ")
	return percent, cut(text, maxWords), err == nil && percent <= 100 && text != ""
}

// cut leaves about so many bytes, and no half of a character.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	for !utf8.RuneStart(text[most]) {
		most--
	}
	return text[:most] + "…"
}
