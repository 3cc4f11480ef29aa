package api

import (
	"net/http"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// recheck is how often the caller of a stream is asked for anew.
const recheck = 3 * time.Second

// still says whether who called may do that even now: a stream outlives the
// rights that it was begun with.
func (s *server) still(r *http.Request, may func(controlplane.Actor) error) error {
	actor, err := s.authenticate(r)
	if err == nil {
		err = may(actor)
	}
	if controlplane.CodeOf(err) == controlplane.CodeUnavailable {
		return nil // the store is away, and nobody's rights change meanwhile
	}
	return err
}

// endWithRight calls end when the caller may not do that any more. The function
// that it returns stops asking.
func (s *server) endWithRight(r *http.Request, may func(controlplane.Actor) error, end func()) (stop func()) {
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(recheck)
		defer ticker.Stop()
		for {
			select {
			case <-quit:
				return
			case <-ticker.C:
				if s.still(r, may) != nil {
					end()
					return
				}
			}
		}
	}()
	return func() {
		close(quit)
		<-done
	}
}
