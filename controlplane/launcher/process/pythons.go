//go:build linux

package process

import (
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/python"
)

// versioned is how interpreters of one version are called.
var versioned = regexp.MustCompile(`^python3\.([0-9]{1,2})$`)

// nearest is the interpreter whose version is the nearest to one such as "3.10";
// of two that are as near, the newer. Where nothing is wanted, or what any finds
// will do, it is that one. The note says which was taken in the place of what was
// wanted; empty where it is that.
func (i *interpreter) nearest(runtime *controlplane.RuntimeVersion) (p python.Interpreter, note string, err error) {
	p, err = i.any()
	if runtime == nil || runtime.Python == "" {
		return p, "", err
	}
	wanted, ok := minorOf(runtime.Python)
	if !ok || err == nil && p.Minor == wanted {
		return p, "", err
	}
	for _, other := range i.others() {
		if nearer(other.Minor, p.Minor, wanted) {
			p = other
		}
	}
	if err == nil && p.Minor != wanted {
		note = fmt.Sprintf("RuntimeVersion %s has Python %s, and the nearest here is 3.%d, which %s is", runtime.Name, runtime.Python, p.Minor, p.Path)
	}
	return p, note, err
}

// any is python3, or where there is none to use the newest of the others. The
// error is why there is no python3.
func (i *interpreter) any() (python.Interpreter, error) {
	p, err := i.find()
	if err == nil {
		return p, nil
	}
	others := i.others()
	if len(others) == 0 {
		return p, err
	}
	return slices.MaxFunc(others, func(a, b python.Interpreter) int { return cmp.Compare(a.Minor, b.Minor) }), nil
}

func nearer(a, b, wanted int) bool {
	da, db := max(a-wanted, wanted-a), max(b-wanted, wanted-b)
	return da < db || da == db && a > b
}

func minorOf(version string) (int, bool) {
	major, minor, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(minor)
	return n, err == nil && major == "3"
}

// others are the interpreters of the PATH that name their version, the first of
// each. They are remembered as long as python3 is.
func (i *interpreter) others() []python.Interpreter {
	i.mu.Lock()
	defer i.mu.Unlock()
	if now := time.Now(); now.After(i.othersUntil) {
		i.otherOnes = i.searchOthers()
		i.othersUntil = now.Add(pythonFound)
	}
	return i.otherOnes
}

func (i *interpreter) searchOthers() (found []python.Interpreter) {
	known := map[string]bool{}
	for _, dir := range filepath.SplitList(i.cfg.path()) {
		if !filepath.IsAbs(dir) {
			continue
		}
		entries, _ := os.ReadDir(dir) // a folder that cannot be read has none for us
		for _, e := range entries {
			file := filepath.Join(dir, e.Name())
			if !versioned.MatchString(e.Name()) || known[e.Name()] || unix.Access(file, unix.X_OK) != nil || !i.may(file) {
				continue
			}
			if p, err := i.ask(file); err == nil && i.may(p.Path) {
				known[e.Name()] = true
				found = append(found, p)
			}
		}
	}
	return found
}
