package cli

import (
	"context"
	"io"
	"sync/atomic"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// lastWord is how long an upload that was interrupted after its last byte
// waits for the answer: only that tells whether there is an app now.
const lastWord = 10 * time.Second

// upload imports an archive. An interrupt before the last byte was sent breaks
// the upload off, and the server keeps nothing. After that it returns the app
// beside the error, where the server says in time that it has become one. Where
// no answer came to a bundle that was sent whole, unknown tells so.
func (p *program) upload(ctx context.Context, api *client.Client, a *archive, in client.Import) (app *v1.App, unknown bool, err error) {
	shown, finish := p.transferring("uploading", a.file, a.size)
	defer finish()
	body := &sending{r: shown, left: a.size}
	in.Archive, in.Size = body, a.size
	call, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		if body.sent.Load() {
			select {
			case <-call.Done():
			case <-time.After(lastWord):
			}
		}
		cancel()
	})()
	app, err = api.ImportBundle(call, in)
	finish()
	if err == nil {
		return app, false, ctx.Err()
	}
	unknown = body.sent.Load() && (ctx.Err() != nil || exitCode(ctx, err) == ExitUnavailable)
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return nil, unknown, err
}

func (p *program) sayUnknown() {
	p.say("the whole bundle was sent; slipway app list tells whether it has become an app")
}

// importWarnings prints what the server said of a bundle that it took.
func (p *program) importWarnings(app *v1.App) {
	for _, f := range app.Warnings {
		p.warn("%s", oneLine(controlplane.Fault(f).String()))
	}
}

// sending notes when the last byte was read.
type sending struct {
	r    io.Reader
	left int64
	sent atomic.Bool
}

func (s *sending) Read(b []byte) (int, error) {
	n, err := s.r.Read(b)
	if s.left -= int64(n); s.left <= 0 || err == io.EOF {
		s.sent.Store(true)
	}
	return n, err
}
