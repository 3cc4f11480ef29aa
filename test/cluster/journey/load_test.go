package journey

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load is visitors of a URL, who come one after the other until stop.
type load struct {
	t      *testing.T
	cancel context.CancelFunc
	all    sync.WaitGroup
	served atomic.Int64
	last   atomic.Pointer[said] // of the answer that came last
	// longest is what a visit took, in nanoseconds.
	longest atomic.Int64
}

// visitors come at once, so many. Every answer other than 200 fails the test,
// but for those that bear says are to be borne.
func (p *plane) visitors(n int, url string, bear func(answer) bool) *load {
	p.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	l := &load{t: p.t, cancel: cancel}
	p.t.Cleanup(l.stop)
	for range n {
		l.all.Go(func() {
			for ctx.Err() == nil {
				began := time.Now()
				a := p.visit(url)
				for took := time.Since(began).Nanoseconds(); ; {
					before := l.longest.Load()
					if took <= before || l.longest.CompareAndSwap(before, took) {
						break
					}
				}
				switch {
				case a.err == nil && a.status == http.StatusOK:
					s := a.said(p.t)
					l.last.Store(&s)
					l.served.Add(1)
				case bear == nil || !bear(a):
					p.t.Errorf("a visitor got %d (%v): %.200s", a.status, a.err, a.body)
					return
				}
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	return l
}

// stop ends it, and waits for visitors that are under way.
func (l *load) stop() {
	l.cancel()
	l.all.Wait()
}

// more waits until so many more visitors were served.
func (l *load) more(n int64) {
	l.t.Helper()
	from := l.served.Load()
	eventually(l.t, "more visitors are served", func() bool { return l.served.Load() >= from+n || l.t.Failed() })
}
