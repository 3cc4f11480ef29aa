package launcher_test

import (
	"errors"
	"net/http"
	"strings"
	"sync"

	"k8s.io/client-go/rest"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes"
)

// wire is the way of one launcher to the API server, on which things happen.
type wire struct {
	next http.RoundTripper

	mu sync.Mutex
	// before is asked for each request; after is asked once it is answered, and
	// its error is what the launcher gets instead.
	before, after func(*http.Request) error
	requests      []string // "VERB resource", watches and logs apart
}

// over has a launcher use the wire.
func (w *wire) over(cfg *kubernetes.Config) {
	cfg.REST = rest.CopyConfig(cfg.REST)
	cfg.REST.Wrap(func(next http.RoundTripper) http.RoundTripper {
		w.next = next
		return w
	})
}

var errCut = errors.New("the wire is cut")

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	before, after := w.before, w.after
	if !streams(r) {
		w.requests = append(w.requests, r.Method+" "+resource(r))
	}
	w.mu.Unlock()
	if before != nil {
		if err := before(r); err != nil {
			return nil, err
		}
	}
	resp, err := w.next.RoundTrip(r)
	if err == nil && after != nil {
		if err := after(r); err != nil {
			resp.Body.Close()
			return nil, err
		}
	}
	return resp, err
}

// happens sets what happens, and forgets what was asked.
func (w *wire) happens(before, after func(*http.Request) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.before, w.after, w.requests = before, after, nil
}

func (w *wire) asked() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string(nil), w.requests...)
}

func streams(r *http.Request) bool {
	q := r.URL.Query()
	return q.Get("watch") != "" || strings.HasSuffix(r.URL.Path, "/log")
}

// writes reports whether a request changes something.
func writes(r *http.Request) bool { return r.Method != http.MethodGet }

// resource is what a request is about; "LIST" in front where it is about all.
func resource(r *http.Request) string {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	for i, p := range parts {
		if p == "namespaces" && i+2 < len(parts) {
			rest := parts[i+2:]
			if len(rest) == 1 && r.Method == http.MethodGet {
				return "LIST " + rest[0]
			}
			return rest[0]
		}
	}
	return r.URL.Path
}

// WrappedRoundTripper lets idle connections be closed.
func (w *wire) WrappedRoundTripper() http.RoundTripper { return w.next }
