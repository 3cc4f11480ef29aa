package framing

import (
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// endWatch tells which sockets have been ended by their clients: one goroutine
// and one epoll instance for all, as long as there are any.
type endWatch struct {
	mu      sync.Mutex
	set     *os.File // the epoll instance; nil: nobody is watched
	watched map[uint64]func()
	last    uint64
}

var ends endWatch

// watch does nothing where the system has no more descriptors: then the limit
// of the wait is the end.
func (e *endWatch) watch(socket syscall.RawConn, gone func()) (stop func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.set == nil && e.open() != nil {
		return func() {}
	}
	e.last++
	id := e.last
	if e.control(socket, unix.EPOLL_CTL_ADD, id) != nil {
		e.closeIfIdle()
		return func() {}
	}
	e.watched[id] = gone
	return func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(e.watched, id)
		_ = e.control(socket, unix.EPOLL_CTL_DEL, id) // a socket that was closed is out of it
		e.closeIfIdle()
	}
}

// control adds a socket or takes it out, while it cannot be closed.
func (e *endWatch) control(socket syscall.RawConn, op int, id uint64) (err error) {
	event := unix.EpollEvent{Events: unix.EPOLLRDHUP | unix.EPOLLONESHOT, Fd: int32(uint32(id)), Pad: int32(uint32(id >> 32))} //nolint:gosec // two halves
	set, failed := e.set.SyscallConn()
	if failed != nil {
		return failed
	}
	closed := socket.Control(func(fd uintptr) {
		if failed := set.Control(func(epoll uintptr) { err = unix.EpollCtl(int(epoll), op, int(fd), &event) }); failed != nil { //nolint:gosec // descriptors are small
			err = failed
		}
	})
	if closed != nil {
		return closed
	}
	return err
}

func (e *endWatch) open() error {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return err
	}
	// The runtime waits for it as for a socket, without a thread of its own.
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return err
	}
	e.set, e.watched = os.NewFile(uintptr(fd), "epoll"), map[uint64]func(){} //nolint:gosec // it is no negative number
	go e.run(e.set)                                                          // ends when it is closed
	return nil
}

func (e *endWatch) closeIfIdle() {
	if e.set != nil && len(e.watched) == 0 {
		_ = e.set.Close()
		e.set, e.watched = nil, nil
	}
}

// run tells of what the epoll instance reports, until that is closed.
func (e *endWatch) run(set *os.File) {
	raw, err := set.SyscallConn()
	if err != nil {
		return
	}
	events := make([]unix.EpollEvent, 64)
	for {
		n := 0
		err := raw.Read(func(fd uintptr) bool {
			n, _ = unix.EpollWait(int(fd), events, 0) //nolint:gosec // descriptors are small
			return n > 0
		})
		if err != nil {
			return
		}
		var gone []func()
		e.mu.Lock()
		for _, event := range events[:n] {
			id := uint64(uint32(event.Fd)) | uint64(uint32(event.Pad))<<32 //nolint:gosec // two halves
			if tell := e.watched[id]; tell != nil && e.set == set {
				e.watched[id] = nil
				gone = append(gone, tell)
			}
		}
		e.mu.Unlock()
		for _, tell := range gone {
			tell()
		}
	}
}
