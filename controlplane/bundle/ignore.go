package bundle

import (
	"errors"
	"io/fs"
	"path"
	"regexp"
	"strings"

	"github.com/go-git/go-git/v5/plumbing/format/gitignore"
)

// maxIgnore is the largest .appignore that is read.
const maxIgnore = 256 << 10

// defaultIgnore is left out unless .appignore takes it back ("!*.pyc"): what
// Python, macOS and notebooks make by themselves, other on each machine.
const defaultIgnore = `__pycache__/
*.pyc
.pytest_cache/
.ipynb_checkpoints/
.DS_Store
`

// environmentMarker is what a virtual environment of Python has at its root.
const environmentMarker = "pyvenv.cfg"

// ignore reads .appignore.
func (x *folder) ignore() (gitignore.Matcher, error) {
	data, err := x.read(ignoreName, maxIgnore)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return gitignore.NewMatcher(append(ignorePatterns(defaultIgnore), ignorePatterns(string(data))...)), nil
}

func ignorePatterns(data string) []gitignore.Pattern {
	var out []gitignore.Pattern
	for line := range strings.Lines(strings.TrimPrefix(data, "\ufeff")) {
		line = trimSpaces(strings.TrimRight(line, "\r\n"))
		if line != "" && line[0] != '#' {
			// The package matches by path.Match, whose word for "not" is another.
			out = append(out, gitignore.ParsePattern(notIn.ReplaceAllString(line, "$1[^"), nil))
		}
	}
	return out
}

// notIn is the beginning of "[!a-z]", where no backslash quotes it.
var notIn = regexp.MustCompile(`(^|[^\\])\[!`)

// trimSpaces takes spaces off the end of a pattern, but for one that is quoted
// by a backslash.
func trimSpaces(line string) string {
	short := strings.TrimRight(line, " \t")
	if short != line && strings.HasSuffix(short, `\`) {
		return short + line[len(short):len(short)+1]
	}
	return short
}

// leaveOut reports what is never packed, and what .appignore names. The
// manifest is always packed.
func (x *folder) leaveOut(name string, dir bool) bool {
	switch base := path.Base(name); {
	case name == manifestName || name == oldManifestName:
		return false
	case base == ".git" || base == ".slipway", name == macFolder, name == x.o.Output:
		return true
	case name == base && !dir && (strings.HasSuffix(base, ".wave") || strings.HasSuffix(base, ".qz")):
		return true
	case dir && x.isEnvironment(name):
		return true
	}
	return x.ignored.Match(strings.Split(name, "/"), dir)
}

// isEnvironment reports a virtual environment of Python: full of paths of the
// machine that it was made on, it works on no other.
func (x *folder) isEnvironment(name string) bool {
	info, err := x.root.Lstat(path.Join(name, environmentMarker))
	return err == nil && info.Mode().IsRegular()
}
