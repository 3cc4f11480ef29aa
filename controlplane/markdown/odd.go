package markdown

import "bytes"

// What goldmark takes more than linear time or memory for, and no description
// has as much of. A block is what lies between two blank lines.
const (
	maxContainers = 16     // quotes and lists that one line opens in each other
	maxBrackets   = 1000   // opening brackets in a block
	maxMarkers    = 2000   // runs of *, _ or ~ in a block, each looked for among all before
	maxCells      = 20_000 // columns by lines, of all blocks with bars
)

// tooOdd reports a text that would take long to render.
func tooOdd(source []byte) bool {
	brackets, markers, lines, columns, cells := 0, 0, 0, 0, 0
	for line := range bytes.Lines(source) {
		line = bytes.TrimRight(line, " \t\r\n")
		if len(line) == 0 {
			brackets, markers, lines, columns = 0, 0, 0, 0
			continue
		}
		brackets += bytes.Count(line, []byte("["))
		markers += runs(line)
		if bars := bytes.Count(line, []byte("|")); bars > 0 {
			if columns == 0 {
				lines = 1 // the line before may be the head
			}
			columns = max(columns, bars+1)
		}
		if lines++; columns > 0 {
			cells += columns
		}
		if brackets > maxBrackets || markers > maxMarkers || cells > maxCells || columns*lines > maxCells || containers(line) > maxContainers {
			return true
		}
	}
	return false
}

// runs counts what may begin or end an emphasis: stretches of one such character.
func runs(line []byte) (n int) {
	var last byte
	for _, c := range line {
		if c != last && (c == '*' || c == '_' || c == '~') {
			n++
		}
		last = c
	}
	return n
}

// containers counts the quotes and lists that a line opens.
func containers(line []byte) (n int) {
	for i := 0; i < len(line); n++ {
		for i < len(line) && (line[i] == ' ' || line[i] == '\t') {
			i++
		}
		digits := i
		for digits < len(line) && line[digits] >= '0' && line[digits] <= '9' {
			digits++
		}
		switch {
		case i == len(line):
			return n
		case line[i] == '>':
			i++
		case digits > i && digits < len(line) && (line[digits] == '.' || line[digits] == ')') && spaced(line, digits):
			i = digits + 1
		case (line[i] == '-' || line[i] == '*' || line[i] == '+') && spaced(line, i):
			i++
		default:
			return n
		}
	}
	return n
}

// spaced reports whether a space follows byte i, or nothing.
func spaced(line []byte, i int) bool {
	return i+1 == len(line) || line[i+1] == ' ' || line[i+1] == '\t'
}
