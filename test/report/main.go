// Command report reads the output of go test -json. It prints how long each
// package took in seconds and what was skipped, with the reason; then what
// failed, with its output; and ends with the counts. Its exit code is 1 when a
// test or a package failed, or when no test was run.
//
//	go test -json ./... | go run ./test/report
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// event is one line of test2json.
type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64 // seconds
}

type report struct {
	passed, failed, skipped int
	packages                int               // that failed
	output                  map[string]string // of what has not ended yet
	failures                []string          // name and output, for the end: that is what one looks for
}

func main() {
	r := report{output: map[string]string{}}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			fmt.Println(lines.Text()) // not of a test: the go command itself
			continue
		}
		r.take(e)
	}
	for _, f := range r.failures {
		fmt.Print(f)
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", r.passed, r.failed, r.skipped)
	if lines.Err() != nil || r.failed > 0 || r.packages > 0 || r.passed == 0 {
		os.Exit(1)
	}
}

func (r *report) take(e event) {
	name := strings.TrimPrefix(e.Package+" "+e.Test, "github.com/seed-dbc68772/slipway/")
	key := e.Package + e.ImportPath + " " + e.Test
	switch e.Action {
	case "output":
		r.output[key] += e.Output
		return
	case "build-output":
		fmt.Print(e.Output)
		return
	case "pass", "fail", "skip":
	default:
		return
	}
	switch {
	case e.Action == "fail":
		r.failures = append(r.failures, fmt.Sprintf("FAIL %s (%.1f s)\n%s", name, e.Elapsed, r.output[key]))
		if e.Test == "" {
			r.packages++
		} else {
			r.failed++
		}
	case e.Test == "":
		if e.Action == "pass" {
			fmt.Printf("ok   %s (%.1f s)\n", name, e.Elapsed)
		}
	case e.Action == "skip":
		r.skipped++
		fmt.Printf("SKIP %s: %s\n", name, reason(r.output[key]))
	default:
		r.passed++
	}
	delete(r.output, key)
}

// reason is what a test said when it skipped itself: "file.go:7: why", between
// the lines that frame every test.
func reason(output string) string {
	for line := range strings.Lines(output) {
		if _, why, ok := strings.Cut(line, ".go:"); ok {
			_, why, _ = strings.Cut(why, ": ")
			return strings.TrimSpace(why)
		}
	}
	return "without a reason"
}
