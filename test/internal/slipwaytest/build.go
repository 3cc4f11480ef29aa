package slipwaytest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/seed-dbc68772/slipway/test/internal/sources"
)

// What Main makes once for all tests of a package.
var (
	Binary  string // slipway
	Testapp string // test/e2e/testapp, the web app of the bundles
	// RuntimeDir is XDG_RUNTIME_DIR of every slipway: sockets that a kill -9
	// leaves behind go with it. Its path is short, as a socket's must be.
	RuntimeDir string
)

// root is the module's folder, and buildFolder where Main puts programs.
var root, buildFolder string

// Breakable is the slipway of the tag failpoints (package failpoint). It is built
// when it is asked for first.
var Breakable = sync.OnceValues(func() (string, error) { return build("./cmd/slipway", buildFolder, "failpoints") })

// Main builds the binaries and runs a package's tests: what TestMain hands to
// os.Exit.
func Main(run func() int) int {
	code, err := withBinaries(run)
	if err != nil {
		fmt.Fprintln(os.Stderr, "slipwaytest:", err)
		return 1
	}
	return code
}

func withBinaries(run func() int) (int, error) {
	dir, err := os.MkdirTemp("/tmp", "slipway-test-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	RuntimeDir = filepath.Join(dir, "run")
	if err := os.Mkdir(RuntimeDir, 0o700); err != nil {
		return 1, err
	}
	if root, err = moduleRoot(); err != nil {
		return 1, err
	}
	if Binary, err = build("./cmd/slipway", dir); err != nil {
		return 1, err
	}
	buildFolder = dir
	if Testapp, err = build("./test/e2e/testapp", dir); err != nil {
		return 1, err
	}
	return run(), nil
}

func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	for err == nil {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return dir, nil
		}
		if parent := filepath.Dir(dir); parent != dir {
			dir = parent
			continue
		}
		err = errors.New("find go.mod: there is none above the test")
	}
	return "", err
}

// build makes a program of the module and puts it into dir. Linking takes longer
// than most tests, and the go command keeps no executables: so they stay in the
// user's cache folder, one set for each checkout. There the go command sees by
// itself that nothing has changed.
func build(pkg, dir string, tags ...string) (string, error) {
	kept, err := cacheDir()
	if err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(kept, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return "", err
	}
	defer lock.Close() // which unlocks
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	name := strings.Join(append([]string{filepath.Base(pkg)}, tags...), "-")
	cmd := exec.Command("go", "build", "-tags", strings.Join(tags, ","), "-o", filepath.Join(kept, name), pkg)
	cmd.Dir, cmd.Stdout, cmd.Stderr = root, os.Stderr, os.Stderr
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build %s: %w", pkg, err)
	}
	// Another package's tests may build it anew while these run.
	own := filepath.Join(dir, name)
	return own, linkOrCopy(filepath.Join(kept, name), own)
}

func cacheDir() (string, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(base, "slipway-test", fmt.Sprintf("%x", sha256.Sum256([]byte(root)))[:16])
	return dir, os.MkdirAll(dir, 0o700)
}

// linkOrCopy gives a file another name, on another disk by a copy.
func linkOrCopy(from, to string) error {
	err := os.Link(from, to)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		return err
	}
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o700) //nolint:gosec // it is a program
}

// touchOnce is called by the first test that runs a binary.
var touchOnce = sync.OnceValue(func() error { return sources.Touch(root) })
