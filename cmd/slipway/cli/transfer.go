package cli

import (
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
)

// transferring returns a reader of r, which has n bytes or, if that is below
// 0, an unknown number, that shows how far it is read: as a bar on a terminal,
// and elsewhere as one line. finish takes the bar away, and must be called
// before anything else is printed; it may be called again.
func (p *program) transferring(verb string, r io.Reader, n int64) (body io.Reader, finish func()) {
	if !p.hasBars() {
		if n >= 0 {
			verb += " " + size(n)
		}
		p.say("%s", verb)
		return r, func() {}
	}
	b := &barReader{r: r, bar: p.bar(verb, n)}
	return b, b.finish
}

// hasBars reports whether there is a terminal to draw on.
func (p *program) hasBars() bool { return p.ErrTTY && p.Env("TERM") != "dumb" }

// advancing returns what is told how far something is, in bytes, and shows it
// on a terminal; elsewhere progress is nil. finish is as of transferring.
func (p *program) advancing(verb string) (progress func(done, all int64), finish func()) {
	if !p.hasBars() {
		return nil, func() {}
	}
	var bar *progressbar.ProgressBar
	progress = func(done, all int64) {
		if bar == nil {
			bar = p.bar(verb, all)
		}
		_ = bar.Set64(done)
	}
	return progress, func() {
		if bar != nil {
			_ = bar.Clear()
		}
	}
}

func (p *program) bar(verb string, n int64) *progressbar.ProgressBar {
	return progressbar.NewOptions64(n,
		progressbar.OptionSetWriter(p.Err),
		progressbar.OptionSetDescription(verb),
		progressbar.OptionShowBytes(true),
		progressbar.OptionUseIECUnits(true),
		progressbar.OptionSetWidth(30),
		progressbar.OptionSetElapsedTime(false),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionSetRenderBlankState(true),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionUseANSICodes(true),
		progressbar.OptionThrottle(50*time.Millisecond),
	)
}

// barReader moves a bar as it is read. The transport may read on for a moment
// after a call returned; the bar does not move then any more.
type barReader struct {
	r    io.Reader
	mu   sync.Mutex
	bar  *progressbar.ProgressBar
	done bool
}

func (b *barReader) Read(data []byte) (int, error) {
	n, err := b.r.Read(data)
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.done {
		_ = b.bar.Add(n)
	}
	return n, err
}

func (b *barReader) finish() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.done = true
	_ = b.bar.Clear()
}

// size is a number of bytes for people.
func size(n int64) string {
	const k = 1024
	switch {
	case n < k:
		return fmt.Sprintf("%d bytes", n)
	case n < k*k:
		return fmt.Sprintf("%.1f KiB", float64(n)/k)
	case n < k*k*k:
		return fmt.Sprintf("%.1f MiB", float64(n)/(k*k))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(k*k*k))
}
