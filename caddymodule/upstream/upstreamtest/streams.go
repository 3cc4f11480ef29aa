package upstreamtest

import (
	"fmt"
	"io"
	"strings"
)

// streamCases are answers that come step by step: each step must reach the
// visitor before the app takes the next.
func streamCases() (cases []testCase) {
	const head = "HTTP/1.1 200 OK\r\n"
	chunk := func(s string) string { return fmt.Sprintf("%x\r\n%s\r\n", len(s), s) }
	same := func(s string) string { return s }
	for _, c := range []struct {
		name, head string
		step       func(string) string
		size       int
	}{
		{"server-sent events", head + "Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n", chunk, 9},
		{"server-sent events until close", head + "Content-Type: text/event-stream\r\n\r\n", same, 9},
		{"chunks", head + "Transfer-Encoding: chunked\r\n\r\n", chunk, 9},
		{"known length", head + "Content-Length: %d\r\n\r\n", same, 9},
		{"until close", head + "\r\n", same, 9},
		{"chunks of 4096", head + "Transfer-Encoding: chunked\r\n\r\n", chunk, 4096},
		{"pieces of 4096 of a known length", head + "Content-Length: %d\r\n\r\n", same, 4096},
		{"chunks of 32768", head + "Transfer-Encoding: chunked\r\n\r\n", chunk, 32768},
		{"pieces of 32768 of a known length", head + "Content-Length: %d\r\n\r\n", same, 32768},
		{"pieces of 32768 until close", head + "\r\n", same, 32768},
		{"reads of 4096 with the head", head + "Content-Length: %d\r\n\r\n", same, 4096 - len(head+"Content-Length: 12180\r\n\r\n")},
	} {
		cases = append(cases, testCase{name: "stepwise: " + c.name, run: func(f *fixture) {
			const steps = 3
			step := strings.Repeat("x", c.size)
			more := make(chan struct{})
			f.start(func(conn *appConn) {
				if _, err := conn.request(); err != nil {
					return
				}
				head := c.head
				if strings.Contains(head, "%d") {
					head = fmt.Sprintf(head, steps*c.size)
				}
				conn.send(head + c.step(step))
				for range steps - 1 {
					f.hold(more)
					conn.send(c.step(step))
				}
				f.hold(more)
				if strings.Contains(c.head, "chunked") {
					conn.send("0\r\n\r\n")
				}
			})
			v := f.visit()
			v.get("/")
			resp := v.begin("GET")
			defer resp.Body.Close()
			_ = v.SetReadDeadline(deadline())
			for i := range steps {
				if _, err := io.ReadFull(resp.Body, make([]byte, c.size)); err != nil {
					f.fatalf("step %d is held back: %v", i+1, err)
				}
				select {
				case more <- struct{}{}:
				case <-f.over:
				}
			}
			if rest, err := io.ReadAll(resp.Body); err != nil || len(rest) > 0 {
				f.errorf("%d bytes too many, %v", len(rest), err)
			}
		}})
	}
	return cases
}
