package identity

import (
	"net/http"
	"strings"
	"sync"
	"time"
)

// keysPause is the least time between two requests for the provider's keys.
const keysPause = time.Second

// pacedTransport lets the requests for the provider's keys begin a keysPause
// after each other: whoever sends a token with a key that nobody knows has the
// keys asked for. All who wait for them share one answer.
type pacedTransport struct {
	http.RoundTripper
	issuer string

	mu   sync.Mutex
	next time.Time // when the next may begin
}

// RoundTrip implements http.RoundTripper.
func (t *pacedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.String() == strings.TrimSuffix(t.issuer, "/")+"/.well-known/openid-configuration" {
		return t.RoundTripper.RoundTrip(r) // discovery has a pace of its own
	}
	t.mu.Lock()
	wait := max(0, time.Until(t.next))
	t.next = time.Now().Add(wait + keysPause)
	t.mu.Unlock()
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return t.RoundTripper.RoundTrip(r)
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
}
