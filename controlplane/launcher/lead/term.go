package lead

import (
	"context"
	"sync"

	"github.com/seed-dbc68772/slipway/controlplane/launcher"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/facts"
)

// Term is the time that a launcher leads. It is over once [Term.End] or
// [Term.Depose] was called, and stays so. Its methods may be called from several
// goroutines.
type Term struct {
	// Facts is what Observe tells; it is closed when the term is over.
	Facts *facts.Hub

	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup

	mu  sync.Mutex
	why error // it is over; nil while it goes on
}

// New returns a term that goes on until it is ended.
func New() *Term {
	t := &Term{Facts: facts.New()}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	return t
}

// Context ends with the term.
func (t *Term) Context() context.Context { return t.ctx }

// Over is why the term is over, or nil.
func (t *Term) Over() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.why
}

// Go runs f as a part of the term, whose end waits for it. It does not, and
// returns false, once the term is over.
func (t *Term) Go(f func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.why != nil {
		return false
	}
	t.running.Go(f)
	return true
}

// Observe streams the term's facts until ctx or the term ends.
func (t *Term) Observe(ctx context.Context) <-chan launcher.Fact { return t.Facts.Observe(ctx) }

// Depose ends the term with launcher.ErrFenced, since another leads. It does not
// wait for what runs, which may call it. It returns false if the term was over.
func (t *Term) Depose() bool {
	first := t.finish(launcher.ErrFenced)
	t.Facts.Close()
	return first
}

// End ends the term, unless it is over, and waits for all that runs for it.
func (t *Term) End(why error) {
	t.finish(why)
	t.running.Wait()
	t.Facts.Close()
}

func (t *Term) finish(why error) (first bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if first = t.why == nil; first {
		t.why = why
		t.cancel()
	}
	return first
}
