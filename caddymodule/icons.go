package caddymodule

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"sync"
	"time"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/routing"
)

// The limits of what an edge keeps of apps' icons. It has them from a control
// plane (spec routing.md §1), and never needs one: without, a page has none.
const (
	iconsKept = 256 // of 8 KiB at most
	// iconWait is how long a visitor waits for one that is not here yet.
	iconWait = 500 * time.Millisecond
	// iconAgain is after how long it is asked for again where that failed: who
	// waits then is one visitor in so long.
	iconAgain = 30 * time.Second
)

// icons are those that were asked for, by digest. The zero value is ready.
type icons struct {
	mu   sync.Mutex
	kept map[string]*icon
}

// icon is one of them, or that it could not be had.
type icon struct {
	done chan struct{} // closed when the rest is known
	png  []byte        // nil: it could not be had
	at   time.Time
}

// of returns the icon of that digest, and has it fetched where it is not here
// yet; nil where it cannot be had right now, or ctx ends.
func (i *icons) of(ctx context.Context, digest string, fetch func(context.Context) ([]byte, error)) []byte {
	i.mu.Lock()
	in := i.kept[digest]
	if in != nil && !in.failedLongAgo() {
		i.mu.Unlock()
		select {
		case <-in.done:
			return in.png
		case <-ctx.Done():
			return nil
		}
	}
	in = &icon{done: make(chan struct{})}
	i.keep(digest, in)
	i.mu.Unlock()
	defer close(in.done)
	// Others wait for this too: that one visitor leaves does not end it.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), iconWait)
	defer cancel()
	png, err := fetch(ctx)
	if sum := sha256.Sum256(png); err == nil && hex.EncodeToString(sum[:]) == digest {
		in.png = png
	}
	in.at = time.Now()
	return in.png
}

// keep makes room by letting go of any other: of many apps few sleep and are
// visited.
func (i *icons) keep(digest string, in *icon) {
	if i.kept == nil {
		i.kept = map[string]*icon{}
	}
	for other := range i.kept {
		if len(i.kept) < iconsKept {
			break
		}
		delete(i.kept, other)
	}
	i.kept[digest] = in
}

func (in *icon) failedLongAgo() bool {
	select {
	case <-in.done:
		return in.png == nil && time.Since(in.at) > iconAgain
	default:
		return false
	}
}

// iconOf is the icon of an instance's app, a PNG; nil where there is none.
func (rt *Runtime) iconOf(ctx context.Context, in *routing.Instance) []byte {
	policy := rt.Table().Policy(in.App)
	if policy == nil || policy.Icon == "" {
		return nil
	}
	return rt.icons.of(ctx, policy.Icon, func(ctx context.Context) ([]byte, error) {
		var got v1.Icon
		err := rt.askControl(ctx, "/api/v1/edge/icon", v1.IconRequest{App: policy.App, Digest: policy.Icon}, &got)
		return got.PNG, err
	})
}

// favicon answers what browsers ask for beside a page, in the place of an app
// that does not run; false where its app has no icon. It wakes nobody.
func (h *Handler) favicon(w http.ResponseWriter, r *http.Request, v *visit, d routing.Decision) bool {
	if d.Rest != "/favicon.ico" || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	png := h.runtime.iconOf(r.Context(), d.Instance)
	if png == nil {
		return false
	}
	ownAnswer{http.StatusOK, "image/png", png}.write(w, r) // awake, the app has its own
	h.done(w, r, v, outAsleep, http.StatusOK)
	return true
}
