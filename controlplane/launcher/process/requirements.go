//go:build linux

package process

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// requirements are the Python packages that a bundle wants, and the wheels that
// it brings.
type requirements struct {
	dir    string // the unpacked bundle
	text   []byte // requirements.txt
	wheels []wheel
}

type wheel struct {
	path   string // in dir
	digest string
}

func readRequirements(dir string) (requirements, error) {
	r := requirements{dir: dir}
	text, err := os.ReadFile(filepath.Join(dir, "requirements.txt"))
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	r.text = text
	if !r.any() {
		return r, nil
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || filepath.Ext(path) != ".whl" {
			return err
		}
		digest, err := digestOf(path)
		if err != nil {
			return err
		}
		name, err := filepath.Rel(dir, path)
		r.wheels = append(r.wheels, wheel{name, digest})
		return err
	})
	return r, err
}

// any reports whether anything is to be installed.
func (r requirements) any() bool {
	for line := range strings.Lines(string(r.text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return true
		}
	}
	return false
}

// count is how many packages are named, at least; those may want others.
func (r requirements) count() (n int) {
	for line := range strings.Lines(string(r.text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "-") {
			n++
		}
	}
	return n
}

// folders are the folders that hold wheels.
func (r requirements) folders() []string {
	var dirs []string
	for _, w := range r.wheels {
		if d := filepath.Dir(filepath.Join(r.dir, w.path)); !slices.Contains(dirs, d) {
			dirs = append(dirs, d)
		}
	}
	return dirs
}

// key names the environment that these requirements make with that Python:
// equal keys, equal environments.
func (r requirements) key(p python) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q\n", p.real, p.version, r.text)
	for _, w := range r.wheels {
		fmt.Fprintf(h, "%q %s\n", w.path, w.digest)
	}
	return hex.EncodeToString(h.Sum(nil))
}

func digestOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
