package python

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

// Requirements are the Python packages that a bundle wants, and the wheels that
// it brings.
type Requirements struct {
	dir    string // of the unpacked bundle
	text   []byte // requirements.txt
	wheels []wheel
}

type wheel struct {
	path   string // in dir
	digest string
}

// ReadRequirements reads them in the folder of an unpacked bundle.
func ReadRequirements(dir string) (Requirements, error) {
	r := Requirements{dir: dir}
	text, err := os.ReadFile(filepath.Join(dir, "requirements.txt"))
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, err
	}
	r.text = text
	if !r.Any() {
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

// Any reports whether anything is to be installed.
func (r Requirements) Any() bool {
	for line := range strings.Lines(string(r.text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			return true
		}
	}
	return false
}

// Count is how many packages are named, at least; those may want others.
func (r Requirements) Count() (n int) {
	for line := range strings.Lines(string(r.text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "-") {
			n++
		}
	}
	return n
}

// Folders are the folders that hold wheels, in dir.
func (r Requirements) Folders(dir string) []string {
	var dirs []string
	for _, w := range r.wheels {
		if d := filepath.Dir(filepath.Join(dir, w.path)); !slices.Contains(dirs, d) {
			dirs = append(dirs, d)
		}
	}
	return dirs
}

// Copy writes what the key is made of, and nothing else of the bundle, to dir:
// python3 -m imports from the folder that it is called in, and pip takes source
// archives from beside wheels. An app that brought either could have its own code
// put into the environment that it shares with all who ask for the same.
func (r Requirements) Copy(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "requirements.txt"), r.text, 0o600); err != nil {
		return err
	}
	for _, w := range r.wheels {
		name := filepath.Join(dir, w.path)
		err := os.MkdirAll(filepath.Dir(name), 0o700)
		if err == nil {
			err = copyFile(name, filepath.Join(r.dir, w.path))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func copyFile(to, from string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close()
	f, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, source)
	return errors.Join(err, f.Close())
}

// Key names the environment that these requirements make with that Python:
// equal keys, equal environments.
func (r Requirements) Key(p Interpreter) string {
	h := sha256.New()
	fmt.Fprintf(h, "%q %q %q\n", p.Real, p.Version, r.text)
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
