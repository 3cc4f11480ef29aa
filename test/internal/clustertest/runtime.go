package clustertest

import (
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/seed-dbc68772/slipway/deploy/image"
)

// Pod is the reference of an image with slipway-pod, which the node has.
var Pod = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "slipway-pod")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir)
	program := filepath.Join(dir, "slipway-pod")
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", program, "../../../cmd/slipway-pod")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build slipway-pod: %w: %s", err, out)
	}
	s, err := image.Slipway("test", program)
	if err != nil {
		return "", err
	}
	return Load("pod", s)
})

// Python is the reference of an image with the Python of this machine's Debian,
// which is what a runtime version would have, without anything pulled. Its pip
// asks no index.
var Python = sync.OnceValues(func() (reference string, err error) {
	if _, err := os.Stat("/usr/lib/python3.11/ensurepip"); err != nil {
		return "", fmt.Errorf("this machine has no Python of Debian 12 with its venv (apt-get install python3-venv): %w", err)
	}
	c := closure{files: map[string]string{}}
	c.program("/usr/bin/python3.11")
	c.tree("/usr/lib/python3.11", "test", "dist-packages", "__pycache__", "config-3.11-x86_64-linux-gnu")
	c.tree("/usr/share/python-wheels")
	if c.err != nil {
		return "", c.err
	}
	files := []image.File{
		{Path: "/usr/bin/python3", Link: "python3.11"}, {Path: "/lib", Link: "usr/lib"}, {Path: "/lib64", Link: "usr/lib64"},
		{Path: "/etc/passwd", Data: []byte("root:x:0:0:root:/root:/bin/sh\n")},
	}
	for path, source := range c.files {
		info, err := os.Stat(source)
		if err != nil {
			return "", err
		}
		files = append(files, image.File{Path: path, Source: source, Mode: info.Mode().Perm()})
	}
	return Load("python", image.Spec{Layers: [][]image.File{files}, Env: []string{"PIP_NO_INDEX=1"}})
})

// closure is programs with the libraries that they need.
type closure struct {
	files map[string]string // by path in the image: where it is here
	err   error
}

// libraries is where Debian keeps them.
const libraries = "/usr/lib/x86_64-linux-gnu"

// program adds one, its interpreter and what it is linked with.
func (c *closure) program(path string) {
	f, err := elf.Open(path)
	if err != nil {
		c.err = errors.Join(c.err, err)
		return
	}
	defer f.Close()
	c.files[path] = path
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			name := make([]byte, p.Filesz-1)
			if _, err := p.ReadAt(name, 0); err != nil {
				c.err = errors.Join(c.err, err)
			}
			c.files["/usr"+string(name)] = string(name)
		}
	}
	needed, err := f.ImportedLibraries()
	c.err = errors.Join(c.err, err)
	for _, name := range needed {
		if library := filepath.Join(libraries, name); c.files[library] == "" && !strings.HasPrefix(name, "ld-linux") {
			c.program(library)
		}
	}
}

// tree adds a folder but for some names, and what its libraries need.
func (c *closure) tree(root string, without ...string) {
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		for _, name := range without {
			if d.Name() == name && d.IsDir() {
				return fs.SkipDir
			}
		}
		info, err := os.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist): // a link to what is not installed
		case err != nil:
			return err
		case info.Mode().IsRegular() && strings.HasSuffix(path, ".so"):
			c.program(path)
		case info.Mode().IsRegular():
			c.files[path] = path
		}
		return nil
	})
	c.err = errors.Join(c.err, err)
}
