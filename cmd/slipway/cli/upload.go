package cli

import (
	"fmt"
	"io"
	"sync"

	"github.com/schollz/progressbar/v3"
)

// uploading returns a reader of r, which has n bytes, that shows how far it is
// read: as a bar on a terminal, and elsewhere as one line. finish takes the
// bar away, and must be called before anything else is printed.
func (p *program) uploading(r io.Reader, n int64) (body io.Reader, finish func()) {
	if !p.ErrTTY || p.Env("TERM") == "dumb" {
		p.say("uploading %s", size(n))
		return r, func() {}
	}
	bar := progressbar.NewOptions64(n,
		progressbar.OptionSetWriter(p.Err),
		progressbar.OptionSetDescription("uploading"),
		progressbar.OptionShowBytes(true),
		progressbar.OptionUseIECUnits(true),
		progressbar.OptionSetWidth(30),
		progressbar.OptionSetElapsedTime(false),
		progressbar.OptionSetPredictTime(false),
		progressbar.OptionSetRenderBlankState(true),
		progressbar.OptionClearOnFinish(),
		progressbar.OptionUseANSICodes(true),
	)
	b := &barReader{r: r, bar: bar}
	return b, b.finish
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
