//go:build linux

package pod

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/inpod"
)

// How often the two of a Wave app are knocked at until they answer, and how long
// a connection may take on loopback.
const (
	knockEvery = 20 * time.Millisecond
	dialLimit  = 5 * time.Second
)

// open opens the pod's port once both answer, passes connections on to the
// server until ctx ends, and reports whether it came to that.
func (s *step) open(ctx context.Context, r *inpod.Run, at pair) bool {
	patience := time.AfterFunc(r.Patience, func() {
		s.say("after %s the Wave server ($H2O_WAVE_LISTEN) or the app ($H2O_WAVE_APP_ADDRESS) does not answer: Runtime.Module has to define an @app of h2o_wave, or to serve there itself", r.Patience)
	})
	defer patience.Stop()
	for _, address := range at.addresses() {
		if !answers(ctx, address) {
			return false
		}
	}
	patience.Stop()
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", fmt.Sprintf(":%d", r.Port))
	if err != nil {
		if ctx.Err() == nil {
			s.say("the port of the pod cannot be opened: %v", err)
		}
		return false
	}
	pass(ctx, l, at.addresses()[0])
	return true
}

// answers waits until something accepts connections there.
func answers(ctx context.Context, address string) bool {
	dialer := net.Dialer{Timeout: dialLimit}
	for ctx.Err() == nil {
		if c, err := dialer.DialContext(ctx, "tcp", address); err == nil {
			c.Close()
			return true
		}
		rest(ctx, knockEvery)
	}
	return false
}

func rest(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// pass passes connections on until ctx ends, and cuts them then.
func pass(ctx context.Context, l net.Listener, to string) {
	defer context.AfterFunc(ctx, func() { l.Close() })()
	var open sync.WaitGroup
	defer open.Wait()
	for {
		c, err := l.Accept()
		switch {
		case err == nil:
			open.Go(func() { through(ctx, c.(*net.TCPConn), to) })
		case errors.Is(err, net.ErrClosed):
			return
		default: // no descriptor is free, perhaps
			rest(ctx, knockEvery)
		}
	}
}

// through is one connection, both ways, each to its end.
func through(ctx context.Context, c *net.TCPConn, to string) {
	defer c.Close()
	dialer := net.Dialer{Timeout: dialLimit}
	d, err := dialer.DialContext(ctx, "tcp", to)
	if err != nil {
		_ = c.SetLinger(0) // a reset, as of a port that nobody listens on
		return
	}
	server := d.(*net.TCPConn)
	defer server.Close()
	defer context.AfterFunc(ctx, func() { c.Close(); server.Close() })()
	var back sync.WaitGroup
	back.Go(func() { one(c, server) })
	one(server, c)
	back.Wait()
}

// one copies a direction to its end. One that is cut off cuts the other.
func one(to, from *net.TCPConn) {
	if _, err := io.Copy(to, from); err != nil {
		to.Close()
		from.Close()
		return
	}
	_ = to.CloseWrite() // it may have gone
}
