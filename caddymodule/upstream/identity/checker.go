package identity

import (
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/routing"
)

// Checker says whether connections reached their instances. Its methods may be
// called from several goroutines. Make one with [New].
type Checker struct {
	log     *zap.Logger
	system  system
	refused atomic.Int64
	quiet   atomic.Int64 // no line is logged before: nanoseconds since 1970
}

// logPause is the time between two lines about strangers; what is refused
// meanwhile counts in the next one.
const logPause = 10 * time.Second

// New makes a checker that reports strangers to log.
func New(log *zap.Logger) *Checker { return &Checker{log: log, system: newSystem()} }

// Check returns nil if the program at the other end of conn is the instance's,
// or if in has no identity. Call it once for each new connection, before a
// byte is read or written; began is when its dialling began. An error means
// that the connection is to be closed: it may be a stranger's.
func (c *Checker) Check(conn net.Conn, began time.Time, in *routing.Instance) error {
	if in.Identity == "" {
		return nil
	}
	err := c.system.check(conn, began, in.Identity)
	if err == nil {
		return nil
	}
	c.refuse(in, err)
	return fmt.Errorf("check who answers at %s: %w", conn.RemoteAddr(), err)
}

// Refused counts the connections that Check had an error for.
func (c *Checker) Refused() int64 { return c.refused.Load() }

// Close gives back what the checker keeps open. It may be used again.
func (c *Checker) Close() { c.system.close() }

func (c *Checker) refuse(in *routing.Instance, err error) {
	total := c.refused.Add(1)
	now, until := time.Now().UnixNano(), c.quiet.Load()
	if now < until || !c.quiet.CompareAndSwap(until, now+int64(logPause)) {
		return
	}
	c.log.Warn("another program answers where an instance should; nothing was sent to it",
		zap.Stringer("instance", in.ID), zap.Int64("generation", in.Generation), zap.Stringer("endpoint", in.Endpoint),
		zap.Error(err), zap.String("who", c.system.who(err)), zap.Int64("refused", total))
}
