package faults

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// TestAnImportIsKilled: the control plane is killed at every point of an import.
// Then there is no app and no file, or the whole app, and the same import works
// at once.
func TestAnImportIsKilled(t *testing.T) {
	slow(t)
	i := newImporter(t)
	for _, at := range []struct {
		place string
		there bool // the app, afterwards
	}{
		{"import-uploaded", false}, {"import-checked", false}, {"import-bundle-kept", false}, {"import-unrecorded", false},
		{"import-recorded", true}, {"import-kept", true},
	} {
		for _, then := range []string{"nothing", "the same again"} {
			t.Run(at.place+" then "+then, func(t *testing.T) {
				ended := i.hold(t, at.place)
				i.control.Kill()
				if err := <-ended; err == nil {
					t.Error("the import ended well")
				}
				i.release(t, at.place)
				i.control.start()
				if n := len(i.apps(t)); (n == 1) != at.there {
					t.Errorf("there are %d apps", n)
				}
				if then == "the same again" {
					i.again(t, at.there)
				}
				if at.there || then == "the same again" {
					i.wantWhole(t)
					i.deletes(t)
				} else {
					i.wantNothing(t)
				}
			})
		}
	}
	t.Run("upload half-way", func(t *testing.T) {
		out, in := io.Pipe()
		ended := make(chan error, 1)
		go func() {
			_, err := i.imports(t, out)
			ended <- err
		}()
		if _, err := in.Write(i.bundle[:len(i.bundle)/2]); err != nil {
			t.Fatal(err)
		}
		eventually(t, "the server writes it down", func() bool { return len(i.files(t)) == 1 })
		i.control.Kill()
		in.CloseWithError(io.ErrUnexpectedEOF)
		if err := <-ended; err == nil {
			t.Error("the import ended well")
		}
		i.control.start()
		i.again(t, false)
		i.wantWhole(t)
		i.deletes(t)
	})
}

// TestAnUploadIsCutOff: the connection of an import ends at many places, in each
// of the ways in which one can.
func TestAnUploadIsCutOff(t *testing.T) {
	slow(t)
	i := newImporter(t)
	head := func(length string) string {
		return "POST /api/v1/bundles HTTP/1.1\r\nHost: localhost:" + i.control.port + "\r\nAuthorization: Bearer " + i.token + "\r\nContent-Type: application/zip\r\n" + length + "\r\n\r\n"
	}
	whole := map[string][]byte{
		"by length": append([]byte(head(fmt.Sprintf("Content-Length: %d", len(i.bundle)))), i.bundle...),
		"in chunks": slices.Concat([]byte(head("Transfer-Encoding: chunked")), fmt.Appendf(nil, "%x\r\n", len(i.bundle)), i.bundle, []byte("\r\n0\r\n\r\n")),
	}
	for way, message := range whole {
		for _, at := range offsets(len(message), bytes.Index(message, []byte("\r\n\r\n"))) {
			for _, end := range []string{"closed", "reset", "half closed"} {
				i.cutOff(t, message[:at], end)
			}
		}
		i.wantNothing(t)
		figure(t, "%s: cut off at %d places", way, 3*len(offsets(len(message), bytes.Index(message, []byte("\r\n\r\n")))))
	}
	i.again(t, false)
	i.wantWhole(t)
}

// offsets are places in a message: around its parts, and all over it.
func offsets(size, head int) (at []int) {
	at = []int{1, 5, head, head + 3, head + 4, head + 5, head + 34, size / 2, size - 30, size - 8, size - 6, size - 5, size - 4, size - 2, size - 1}
	for n := head + 10_000; n < size-100; n += 50_001 {
		at = append(at, n)
	}
	return at
}

// cutOff sends a message that ends too early.
func (i *importer) cutOff(t *testing.T, message []byte, end string) {
	t.Helper()
	conn, err := net.Dial("tcp", i.control.address())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write(message); err != nil {
		t.Fatal(err)
	}
	switch tcp := conn.(*net.TCPConn); end {
	case "reset":
		err = tcp.SetLinger(0)
	case "half closed":
		if err = tcp.CloseWrite(); err == nil {
			conn.SetReadDeadline(time.Now().Add(patience))
			var answer []byte
			answer, err = io.ReadAll(conn)
			if strings.Contains(string(answer), " 201 ") {
				t.Errorf("cut off after %d bytes it is imported", len(message))
			}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestTheStoreIsAwayFromAnImport: etcd is killed or stopped while an import is at
// any point, and is back a moment later.
func TestTheStoreIsAwayFromAnImport(t *testing.T) {
	slow(t)
	i := newImporter(t)
	for name, fault := range map[string]struct{ begin, end func() }{
		"killed":  {func() { i.store.Kill() }, func() { i.store.start() }},
		"stopped": {func() { i.store.Freeze() }, func() { i.store.Thaw() }},
	} {
		for _, place := range []string{"import-uploaded", "import-checked", "import-unrecorded"} {
			t.Run(name+" "+place, func(t *testing.T) {
				ended := i.hold(t, place)
				fault.begin()
				i.release(t, place)
				err := <-ended
				if code := client.CodeOf(err); err == nil || code != "unavailable" && code != "deposed" {
					t.Errorf("without the store: %v", err)
				}
				fault.end()
				eventually(t, "the same import works", func() bool {
					_, err := i.imports(t, bytes.NewReader(i.bundle))
					return err == nil || client.CodeOf(err) == "conflict"
				})
				i.wantWhole(t)
				i.deletes(t)
			})
		}
	}
}

// TestTheDiskIsFullInAnImport: there is room for any part of what an import
// writes.
func TestTheDiskIsFullInAnImport(t *testing.T) {
	slow(t)
	if os.Geteuid() != 0 {
		t.Skip("it mounts a file system: run as root")
	}
	i := buildImporter(t)
	if err := os.MkdirAll(i.folder, 0o700); err != nil {
		t.Fatal(err)
	}
	room := func(kib int, flags uintptr) {
		t.Helper()
		if err := syscall.Mount("tmpfs", i.folder, "tmpfs", flags, fmt.Sprintf("size=%dk", kib)); err != nil {
			t.Skip("it mounts a file system: ", err)
		}
	}
	room(64<<10, 0)
	t.Cleanup(func() {
		i.control.Kill()
		if err := syscall.Unmount(i.folder, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	i.control.start()
	least := (len(i.bundle) + 4095) / 4096 * 4
	full, taken := 0, 0
	for _, kib := range []int{16, 256, least - 4, least, least + 4, least + 8, least + 12, least + 16, least + 64, 64 << 10} {
		room(kib, syscall.MS_REMOUNT)
		_, err := i.imports(t, bytes.NewReader(i.bundle))
		switch {
		case err == nil:
			taken++
			i.wantWhole(t)
			i.deletes(t)
		case client.CodeOf(err) == "disk_full":
			full++
			i.wantNothing(t)
		default:
			t.Errorf("with %d KiB: %v", kib, err)
		}
	}
	figure(t, "%d imports were refused for want of room, %d taken", full, taken)
	if full < 4 || taken < 2 {
		t.Error("too few of either")
	}
}
