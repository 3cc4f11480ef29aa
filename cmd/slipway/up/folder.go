package up

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// lockFolder makes the data folder and takes it for this process. The lock
// ends with the process, however that ends.
func lockFolder(dir string) (unlock func(), err error) {
	if err := makeFolder(dir); err != nil {
		return nil, fail(err, "cannot make the data folder %s", dir).WithHint("name another with --data DIR")
	}
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fail(err, "cannot use the data folder %s", dir).WithHint("name another with --data DIR")
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		holder, _ := os.ReadFile(path) // only to name the holder
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fail(nil, "the data folder %s is in use by another slipway up, process %s", dir, strings.TrimSpace(string(holder))).
				WithHint("use the one that runs, stop it with: kill %s, or name another folder with --data DIR", strings.TrimSpace(string(holder)))
		}
		return nil, fail(err, "cannot lock the data folder %s", dir)
	}
	err = errors.Join(f.Truncate(0), writeAt(f, strconv.Itoa(os.Getpid())+"\n"))
	if err != nil {
		f.Close()
		return nil, fail(err, "cannot write to the data folder %s", dir).WithHint("is the disk full?")
	}
	return func() { f.Close() }, nil
}

// makeFolder makes the data folder with its parents. Root's instances have users
// of their own, who pass through it: they cannot list it, and what lies in it is
// closed to them.
func makeFolder(dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil { //nolint:gosec // parents are nobody's in particular
		return err
	}
	mode := os.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o711
	}
	if err := os.Mkdir(dir, mode); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		return errors.Join(err, unix.ENOTDIR)
	}
	return nil
}

func writeAt(f *os.File, text string) error {
	_, err := f.WriteAt([]byte(text), 0)
	return err
}

// socketFolder makes the folder of this data folder's sockets: short, whatever
// the length of the data folder's path, and this user's alone.
func socketFolder(dataDir string) (string, error) {
	sum := sha256.Sum256([]byte(dataDir))
	name := fmt.Sprintf("slipway-%d-%s", os.Getuid(), hex.EncodeToString(sum[:6]))
	dir := filepath.Join(runtimeParent(), name)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return "", fail(err, "cannot make a folder for sockets").WithHint("set XDG_RUNTIME_DIR to a folder of yours")
	}
	var st unix.Stat_t
	if err := unix.Lstat(dir, &st); err != nil {
		return "", fail(err, "cannot look at the folder for sockets %s", dir)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFDIR || int(st.Uid) != os.Getuid() || st.Mode&0o077 != 0 {
		return "", fail(nil, "%s is not a folder of this user alone", dir).
			WithHint("remove it if it is yours, or set XDG_RUNTIME_DIR to a folder of yours")
	}
	return dir, nil
}

// maxRuntimeParent leaves room for our own names in the 107 bytes of a
// socket's path.
const maxRuntimeParent = 48

func runtimeParent() string {
	for _, dir := range []string{os.Getenv("XDG_RUNTIME_DIR"), os.TempDir()} {
		if st, err := os.Stat(dir); filepath.IsAbs(dir) && len(dir) <= maxRuntimeParent && err == nil && st.IsDir() {
			return dir
		}
	}
	return "/tmp"
}
