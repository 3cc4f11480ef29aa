package procgroup

import (
	"bufio"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
)

// Unrunnable is why the system did not run the program at path, for people: the
// error number's words, and for a script what is wrong with its first line.
// "No such file" is said of the program that this line names, and would be
// taken for the script itself.
func Unrunnable(path string, err error) string {
	cause := err
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		cause = errno
	}
	if !errors.Is(err, syscall.ENOENT) {
		return cause.Error()
	}
	line := firstLine(path)
	script, isScript := strings.CutPrefix(line, "#!")
	switch {
	case line == "":
		return cause.Error()
	case !isScript:
		return "the loader that it is linked for is not there; link it statically"
	case strings.HasSuffix(script, "\r"):
		return "its lines end as on Windows (CR LF); write them with LF alone"
	}
	name, _, _ := strings.Cut(strings.TrimSpace(script), " ")
	return "its first line names " + name + ", which is not there"
}

// firstLine is the first line of a file without its end, as far as the system
// reads it; empty where the file cannot be read.
func firstLine(path string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	line, _ := bufio.NewReader(io.LimitReader(file, 256)).ReadString('\n')
	return strings.TrimSuffix(line, "\n")
}
