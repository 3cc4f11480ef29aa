package objects_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// found is what the app in a pod finds.
type found struct {
	UID, GID int
	Groups   []int
	Args     []string
	Env      map[string]string
	Files    map[string]string // contents, or the error
	Modes    map[string]string
	Writes   map[string]string // the error, of folders that were written to
	SHM      uint64            // bytes of /dev/shm
	Status   map[string]string // of /proc/self/status
}

// looks are what it is asked for, by the names of environment variables.
const (
	envRead  = "OBJECTS_READ"  // files, with colons between them
	envWrite = "OBJECTS_WRITE" // folders, likewise
)

// app says on its port what it finds.
func app() {
	f := found{
		UID: os.Getuid(), GID: os.Getgid(), Args: os.Args[1:], Env: map[string]string{},
		Files: map[string]string{}, Modes: map[string]string{}, Writes: map[string]string{}, Status: map[string]string{},
	}
	f.Groups, _ = os.Getgroups()
	for _, entry := range os.Environ() {
		name, value, _ := strings.Cut(entry, "=")
		f.Env[name] = value
	}
	for _, file := range strings.Split(os.Getenv(envRead), ":") {
		text, err := os.ReadFile(file)
		if err != nil {
			text = []byte(err.Error())
		}
		f.Files[file] = string(text)
		if info, err := os.Stat(file); err == nil {
			f.Modes[file] = info.Mode().String()
		}
	}
	for _, folder := range strings.Split(os.Getenv(envWrite), ":") {
		f.Writes[folder] = ""
		if err := os.WriteFile(filepath.Join(folder, "written"), []byte("x"), 0o600); err != nil {
			f.Writes[folder] = err.Error()
		}
	}
	var shm syscall.Statfs_t
	if err := syscall.Statfs("/dev/shm", &shm); err == nil {
		f.SHM = shm.Blocks * uint64(shm.Bsize)
	}
	status, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(status)) {
		name, value, _ := strings.Cut(line, ":")
		f.Status[name] = strings.TrimSpace(value)
	}
	l, err := net.Listen("tcp", ":"+os.Getenv("PORT"))
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(f)
	})))
	os.Exit(1)
}
