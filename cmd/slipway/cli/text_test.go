package cli

import (
	"bytes"
	"strings"
	"testing"
)

func TestLogWriter(t *testing.T) {
	tests := []struct{ name, in, want string }{
		{"text", "a\tb ü\n", "a\tb ü\n"},
		{"colours", "\x1b[1;32mgo\x1b[m", "\x1b[1;32mgo\x1b[m"},
		{"screen", "\x1b[2Jx\x1b]0;t\ay", "\ufffd[2Jx\ufffd]0;t\ufffdy"},
		{"carriage returns", "a\r\nb\rc", "a\nb\nc"},
		{"C1", "\u009b31m", "\ufffd31m"},
		{"not UTF-8", "\xff\xfe", "\ufffd\ufffd"},
		{"a long number", "\x1b[" + strings.Repeat("1", 100) + "m", "\ufffd[" + strings.Repeat("1", 100) + "m"},
		{"unfinished", "a\x1b[3", "a\ufffd[3"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for step := 1; step <= len(tt.in); step++ {
				var out bytes.Buffer
				w := &logWriter{w: &out, color: true}
				for b := []byte(tt.in); len(b) > 0; b = b[min(step, len(b)):] {
					if n, err := w.Write(b[:min(step, len(b))]); err != nil || n != min(step, len(b)) {
						t.Fatal(n, err)
					}
				}
				w.Close()
				if got := strings.TrimSuffix(out.String(), colorReset); got != tt.want {
					t.Fatalf("in steps of %d: %q, want %q", step, got, tt.want)
				}
			}
		})
	}
}

const colorReset = "\x1b[0m"
