package upstream

import (
	"errors"
	"net/http"
	"sync"
)

// ErrEnded says that the request was ended by [Request.Cut] before an answer
// began.
var ErrEnded = errors.New("the request was ended")

// cutting is what ends a request that is under way.
type cutting struct {
	mu      sync.Mutex
	done    bool
	through cutter
	to      http.ResponseWriter // nil until the answer begins
}

// cutter is what a request goes through: a connection, or a call of gRPC.
type cutter interface{ cut() }

// Cut ends the request wherever it is: an answer that has begun breaks off, and
// before that Serve returns ErrEnded and leaves the answer to its caller. It may
// be called from any goroutine, more than once, and after the end. It does not
// end a WebSocket that is open: see Opened.
func (r *Request) Cut() {
	c := &r.cutting
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done = true
	if c.through != nil {
		c.through.cut()
	}
	if c.to != nil {
		// The visitor may take nothing of what is sent already.
		_ = http.NewResponseController(c.to).SetWriteDeadline(longAgo) // without one his patience counts
	}
}

// IsCut reports whether the request was ended by Cut.
func (r *Request) IsCut() bool {
	r.cutting.mu.Lock()
	defer r.cutting.mu.Unlock()
	return r.cutting.done
}

// begin makes Cut end what the request goes through from now on; false if it
// was called before.
func (c *cutting) begin(through cutter) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.done {
		c.through = through
	}
	return !c.done
}

// answer makes Cut break off what is written to the visitor from now on; false
// if it was called before: then nothing of the answer is.
func (c *cutting) answer(to http.ResponseWriter) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.done {
		c.to = to
	}
	return !c.done
}

// open takes from Cut what becomes a WebSocket; false if it was called before.
func (c *cutting) open() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.through = nil
	return !c.done
}

// end gives back what the request went through, for other requests; false if it
// was cut.
func (c *cutting) end() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.through, c.to = nil, nil
	return !c.done
}

func (c *conn) cut() { _ = c.SetDeadline(longAgo) } // a closed one is at its end
