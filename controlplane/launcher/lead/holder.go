package lead

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

// ErrClosed is returned by a launcher that was closed.
var ErrClosed = errors.New("the launcher is closed")

// Held is a launcher's own term. What embeds a [Term] is one.
type Held interface {
	Over() error
	End(why error)
	Observe(ctx context.Context) <-chan launcher.Fact
}

// Holder has the present term of a launcher. Its methods may be called from
// several goroutines.
type Holder[T Held] struct {
	Name string // of the launcher, for errors

	turn sync.Mutex // of Lead, Resign and Close, one at a time

	mu     sync.Mutex
	closed bool
	held   *held[T] // nil: it does not lead
}

type held[T Held] struct {
	term  T
	epoch int64
}

// Lead has begin make a term. One before that is over ends first; one that goes on
// is an error. What begin refuses is left to it to end.
func (h *Holder[T]) Lead(epoch int64, begin func() (T, error)) error {
	h.turn.Lock()
	defer h.turn.Unlock()
	if err := h.vacate(epoch); err != nil {
		return fmt.Errorf("lead the %s launcher: %w", h.Name, err)
	}
	t, err := begin()
	if err != nil {
		return fmt.Errorf("lead the %s launcher: %w", h.Name, err)
	}
	h.set(&held[T]{t, epoch})
	return nil
}

// vacate makes sure that there is no term, so that one with epoch may begin.
func (h *Holder[T]) vacate(epoch int64) error {
	h.mu.Lock()
	closed, before := h.closed, h.held
	h.mu.Unlock()
	switch {
	case closed:
		return ErrClosed
	case epoch < 1:
		return fmt.Errorf("epoch %d is not above 0", epoch)
	case before != nil && before.term.Over() == nil:
		return fmt.Errorf("it leads already, with epoch %d", before.epoch)
	}
	h.end(launcher.ErrNotLeading)
	return nil
}

// Resign ends the term, if there is one.
func (h *Holder[T]) Resign() {
	h.turn.Lock()
	defer h.turn.Unlock()
	h.end(launcher.ErrNotLeading)
}

// Close ends the term, if there is one, and lets none begin any more. A stop that
// is not nil is called before with a term that goes on; meanwhile others are told
// that the launcher is closed.
func (h *Holder[T]) Close(stop func(T) error) error {
	h.turn.Lock()
	defer h.turn.Unlock()
	h.mu.Lock()
	h.closed = true
	last := h.held
	h.mu.Unlock()
	var err error
	if stop != nil && last != nil && last.term.Over() == nil {
		err = stop(last.term)
	}
	h.end(ErrClosed)
	return err
}

// Term is the present term. The error is ErrClosed, launcher.ErrNotLeading
// without a term, or why it is over.
func (h *Holder[T]) Term() (T, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var (
		term T
		err  error
	)
	switch {
	case h.closed:
		err = ErrClosed
	case h.held == nil:
		err = launcher.ErrNotLeading
	default:
		term, err = h.held.term, h.held.term.Over()
	}
	return term, err
}

// Observe streams the facts of the present term until ctx or the term ends.
// Without one the channel is closed.
func (h *Holder[T]) Observe(ctx context.Context) <-chan launcher.Fact {
	t, err := h.Term()
	if err != nil {
		none := make(chan launcher.Fact)
		close(none)
		return none
	}
	return t.Observe(ctx)
}

func (h *Holder[T]) end(why error) {
	if last := h.set(nil); last != nil {
		last.term.End(why)
	}
}

func (h *Holder[T]) set(next *held[T]) (last *held[T]) {
	h.mu.Lock()
	defer h.mu.Unlock()
	last, h.held = h.held, next
	return last
}
