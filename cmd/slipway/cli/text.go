package cli

import (
	"bytes"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"
)

// What a server says is data: its control characters would drive the
// terminal, and its line breaks and tabs would forge fields and columns.

// unsafe reports the characters that change how a terminal shows the text
// around them: the controls C0 and C1, and the ones that turn or hide text.
func unsafe(r rune) bool {
	switch {
	case r < 0x20, r >= 0x7f && r <= 0x9f:
		return true
	case r >= 0x200b && r <= 0x200f, r >= 0x2028 && r <= 0x202e, r >= 0x2060 && r <= 0x2069, r == 0xfeff, r == 0x061c:
		// 200D and 200C join letters in Indic scripts and emoji.
		return r != 0x200c && r != 0x200d
	}
	return false
}

// clean replaces unsafe characters but line breaks.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && unsafe(r) {
			return utf8.RuneError
		}
		return r
	}, s)
}

var tokens = regexp.MustCompile(`slw_[0-9A-Za-z_.~+/=-]+`)

// redact leaves nothing of tokens but how they begin: errors and messages end
// up in logs.
func redact(s string) string { return tokens.ReplaceAllString(s, "slw_…") }

var lineBreaks = strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ", "\t", " ")

// oneLine is s on one line, for a cell or a message.
func oneLine(s string) string {
	if isPlain(s) {
		return strings.Trim(s, " ")
	}
	return clean(strings.TrimSpace(lineBreaks.Replace(s)))
}

// isPlain reports whether s has nothing but the printable characters of ASCII.
func isPlain(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}

// logWriter passes a log on to a terminal: text, tabs, line breaks and
// colours. A lone carriage return would let one line hide another, so it
// breaks the line. Every other escape sequence is shown, not obeyed.
type logWriter struct {
	w         io.Writer
	color     bool
	held      []byte // the beginning of a sequence or a character
	wasReturn bool   // the last byte was a carriage return
}

const maxSequence = 64

func (l *logWriter) Write(b []byte) (int, error) {
	data := append(l.held, b...)
	var out bytes.Buffer
	for len(data) > 0 {
		if data[0] == 0x1b {
			n, complete := colorSequence(data)
			if !complete {
				break
			}
			if n > 0 {
				if l.color {
					out.Write(data[:n])
				}
				data = data[n:]
				continue
			}
		}
		if !utf8.FullRune(data) {
			break
		}
		r, n := utf8.DecodeRune(data)
		l.rune(&out, r)
		data = data[n:]
	}
	l.held = bytes.Clone(data)
	if _, err := l.w.Write(out.Bytes()); err != nil {
		return 0, err
	}
	return len(b), nil
}

func (l *logWriter) rune(out *bytes.Buffer, r rune) {
	after := l.wasReturn
	l.wasReturn = r == '\r'
	switch {
	case r == '\n' && after: // written for the carriage return
	case r == '\n', r == '\r':
		out.WriteByte('\n')
	case r == '\t' || !unsafe(r):
		out.WriteRune(r)
	default:
		out.WriteRune(utf8.RuneError)
	}
}

// colorSequence is the length of the SGR sequence (ESC [ numbers m) at the
// beginning of b, or 0 where there is another. It is not complete where b may
// be the beginning of one.
func colorSequence(b []byte) (n int, complete bool) {
	for i, c := range b {
		switch {
		case i == 0:
		case i == 1:
			if c != '[' {
				return 0, true
			}
		case c == 'm':
			return i + 1, true
		case c != ';' && c != ':' && (c < '0' || c > '9'), i >= maxSequence:
			return 0, true
		}
	}
	return 0, false
}

// Close writes what was held back at the end of the log, and turns colours
// off that the log left on.
func (l *logWriter) Close() error {
	var out bytes.Buffer
	for _, r := range string(l.held) {
		l.rune(&out, r)
	}
	l.held = nil
	if l.color {
		out.WriteString("\x1b[0m")
	}
	_, err := l.w.Write(out.Bytes())
	return err
}
