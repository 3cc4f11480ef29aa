package client

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
)

// event is one of a stream of server-sent events (WHATWG HTML §9.2).
type event struct {
	id   string // of the last event that had one
	name string // "message" without one
	data []byte
}

// maxEvent is the longest line and the longest event that is read, in bytes.
const maxEvent = 1 << 20

var errEventTooLong = errors.New("an event of more than 1 MiB")

// events reads a stream. Comments and empty events, which keep a connection
// alive, are skipped; an event that the end of the stream cuts off is none.
type events struct {
	lines *bufio.Scanner
	id    string
}

func newEvents(r io.Reader) *events {
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxEvent)
	return &events{lines: s}
}

// next is the next event; at the end of the stream the error is io.EOF.
func (s *events) next() (event, error) {
	var e event
	var data bytes.Buffer
	id, has := s.id, false
	for s.lines.Scan() {
		line := s.lines.Text()
		if line == "" {
			s.id = id
			if has {
				e.id, e.data = id, bytes.TrimSuffix(data.Bytes(), []byte("\n"))
				if e.name == "" {
					e.name = "message"
				}
				return e, nil
			}
			e = event{}
			continue
		}
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			if !strings.Contains(value, "\x00") {
				id = value
			}
		case "event":
			e.name = value
		case "data":
			has = true
			data.WriteString(value + "\n")
			if data.Len() > maxEvent {
				return e, errEventTooLong
			}
		}
	}
	switch err := s.lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return e, errEventTooLong
	case err != nil:
		return e, err
	}
	return e, io.EOF
}
