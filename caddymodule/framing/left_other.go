//go:build !linux

package framing

import "syscall"

type endWatch struct{}

var ends endWatch

func (*endWatch) watch(syscall.RawConn, func()) (stop func()) { return func() {} }
