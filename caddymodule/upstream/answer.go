package upstream

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"os"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// Limits of an answer's head (spec routing.md §6).
const (
	maxHead          = 64 << 10 // bytes
	maxInformational = 10       // 1xx answers before the final one
)

// answer is the head of an app's answer.
type answer struct {
	status  int
	minor   int      // of HTTP/1.x
	names   []string // canonical
	values  []string
	length  int64 // of the body; -1: until the connection's end, or chunked
	chunked bool
	close   bool // the connection cannot be used again
}

// readAnswer reads the next head. Its strings stay good.
func readAnswer(r *bufio.Reader, a *answer) error {
	head, err := readHead(r)
	if err != nil {
		return err
	}
	return a.parse(head)
}

// readHead reads up to and with the empty line. A head that ends before that
// is malformed: something came, so that the request may not be repeated.
func readHead(r *bufio.Reader) (string, error) {
	if _, err := r.Peek(1); err != nil {
		return "", err
	}
	if seen, _ := r.Peek(r.Buffered()); len(seen) > 0 {
		if n := endOfHead(seen, 0); n > 0 {
			head := string(seen[:n])
			_, _ = r.Discard(n) // it is buffered
			return head, nil
		}
	}
	var long []byte
	for {
		part, err := r.ReadSlice('\n')
		long = append(long, part...)
		switch {
		case len(long) > maxHead:
			return "", fmt.Errorf("%w: its head is longer than %d bytes", ErrBadAnswer, maxHead)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case errors.Is(err, os.ErrDeadlineExceeded):
			return "", err
		case err != nil:
			return "", badAnswer("its head breaks off: %v", err)
		}
		if emptyLine(long) {
			return string(long), nil
		}
	}
}

// endOfHead returns where the head ends, after its empty line; 0 if it does
// not end here. A line may end without a carriage return, as of old.
func endOfHead(b []byte, from int) int {
	for {
		i := bytes.IndexByte(b[from:], '\n')
		if i < 0 {
			return 0
		}
		from += i + 1
		switch {
		case from < len(b) && b[from] == '\n':
			return from + 1
		case from+1 < len(b) && b[from] == '\r' && b[from+1] == '\n':
			return from + 2
		}
	}
}

// emptyLine reports whether what was read ends with an empty line.
func emptyLine(b []byte) bool {
	return bytes.HasSuffix(b, []byte("\n\r\n")) || bytes.HasSuffix(b, []byte("\n\n"))
}

func badAnswer(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrBadAnswer, fmt.Sprintf(format, args...))
}

func (a *answer) parse(head string) error {
	*a = answer{names: a.names[:0], values: make([]string, 0, strings.Count(head, "\n")), length: -1}
	line, rest := cutLine(head)
	if err := a.statusLine(line); err != nil {
		return err
	}
	for {
		line, rest = cutLine(rest)
		if line == "" {
			return a.framing()
		}
		name, value, ok := strings.Cut(line, ":")
		if !ok || !httpguts.ValidHeaderFieldName(name) {
			return badAnswer("%.80q is no header", line)
		}
		value = strings.Trim(value, " \t")
		if !httpguts.ValidHeaderFieldValue(value) {
			return badAnswer("the header %s holds a control character", name)
		}
		a.names = append(a.names, textproto.CanonicalMIMEHeaderKey(name))
		a.values = append(a.values, value)
	}
}

func cutLine(s string) (line, rest string) {
	line, rest, _ = strings.Cut(s, "\n")
	return strings.TrimSuffix(line, "\r"), rest
}

// statusLine parses "HTTP/1.1 200 OK"; the reason may be missing.
func (a *answer) statusLine(line string) error {
	version, rest, _ := strings.Cut(line, " ")
	code, _, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	status, err := strconv.Atoi(code)
	if (version != "HTTP/1.1" && version != "HTTP/1.0") || err != nil || len(code) != 3 || status < 100 {
		return badAnswer("it begins with %.80q", line)
	}
	a.status = status
	if version == "HTTP/1.1" {
		a.minor = 1
	}
	return nil
}

// framing finds out how long the body is: RFC 9112 §6.3.
func (a *answer) framing() error {
	a.close = a.minor == 0
	keep := false
	for i, name := range a.names {
		value := a.values[i]
		switch name {
		case "Connection":
			a.close = a.close || listed(value, "close")
			keep = keep || listed(value, "keep-alive")
		case "Transfer-Encoding":
			if a.chunked || !strings.EqualFold(value, "chunked") || a.minor == 0 {
				return badAnswer("its transfer encoding is %.80q", value)
			}
			a.chunked = true
		case "Content-Length":
			n, err := strconv.ParseUint(value, 10, 63)
			if err != nil || a.length >= 0 && a.length != int64(n) {
				return badAnswer("its content length is %.80q", value)
			}
			a.length = int64(n)
		}
	}
	if a.minor == 0 && keep {
		a.close = false
	}
	if a.chunked && a.length >= 0 {
		// The encoding counts; whoever sends both is not to be trusted with
		// another request: RFC 9112 §6.3.
		a.length, a.close = -1, true
	}
	return nil
}

// bodyless reports whether the answer has no body whatever its headers say.
func (a *answer) bodyless(method string) bool {
	return method == http.MethodHead || a.status < 200 || a.status == http.StatusNoContent || a.status == http.StatusNotModified
}

// lookUp returns the first value of a header, by its canonical name.
func (a *answer) lookUp(name string) string {
	for i, n := range a.names {
		if n == name {
			return a.values[i]
		}
	}
	return ""
}

// readTrailers reads up to and with the empty line that ends a chunked body.
func readTrailers(r *bufio.Reader) (string, error) {
	var section []byte
	for {
		line, err := r.ReadSlice('\n')
		section = append(section, line...)
		switch {
		case len(section) > maxHead:
			return "", badAnswer("its trailers are longer than %d bytes", maxHead)
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil:
			return "", err
		}
		if string(section) == "\r\n" || string(section) == "\n" || emptyLine(section) {
			return string(section), nil
		}
	}
}
