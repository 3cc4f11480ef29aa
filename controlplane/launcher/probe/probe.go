package probe

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	connectTimeout = time.Second
	healthTimeout  = 5 * time.Second
	maxBody        = 64 << 10
)

// Backoff grows from 5 ms to 50 ms, by a tenth each time, so that a probe is
// late by no more than about a tenth of what the start took. The zero value is
// ready.
type Backoff struct{ next time.Duration }

// Next is how long to wait before the next probe.
func (b *Backoff) Next() time.Duration {
	d := max(b.next, 5*time.Millisecond)
	b.next = min(d*11/10, 50*time.Millisecond)
	return d
}

// Connect opens a TCP connection to address, "ip:port", and closes it.
func Connect(ctx context.Context, address string) error {
	d := net.Dialer{Timeout: connectTimeout, KeepAlive: -1}
	c, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("connect to %s: %w", address, err)
	}
	defer c.Close()
	// TCP lets a connection to a free port of the ephemeral range meet itself.
	if c.LocalAddr().String() == c.RemoteAddr().String() {
		return fmt.Errorf("connect to %s: connected to itself", address)
	}
	return nil
}

// Health asks address for path with the Host header host. It is nil for a
// status of 2xx or 3xx.
func Health(ctx context.Context, address, host, path string) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+host+path, nil)
	if err != nil {
		return fmt.Errorf("ask %s: %w", path, err)
	}
	req.Header.Set("User-Agent", "slipway-probe")
	req.Close = true
	transport := &http.Transport{
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxBody,
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			d := net.Dialer{Timeout: connectTimeout, KeepAlive: -1}
			return d.DialContext(ctx, network, address)
		},
	}
	defer transport.CloseIdleConnections()
	resp, err := transport.RoundTrip(req)
	if err != nil {
		if ctxErr := context.Cause(ctx); errors.Is(ctxErr, context.DeadlineExceeded) {
			return fmt.Errorf("ask %s: no answer within %s", path, healthTimeout)
		}
		return fmt.Errorf("ask %s: %w", path, short(err))
	}
	defer resp.Body.Close()
	if _, err := io.CopyN(io.Discard, resp.Body, maxBody); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("ask %s: read answer: %w", path, short(err))
	}
	if resp.StatusCode < 200 || resp.StatusCode > 399 {
		// The words beside the number are the app's.
		return fmt.Errorf("ask %s: it answered %s", path, strings.TrimSpace(fmt.Sprint(resp.StatusCode, " ", http.StatusText(resp.StatusCode))))
	}
	return nil
}

// longestError bounds an error of Health, in bytes: it is kept and shown.
const longestError = 200

// short leaves out what an error quotes of a long answer.
func short(err error) error {
	if text := err.Error(); len(text) > longestError {
		return errors.New(strings.ToValidUTF8(text[:longestError], "") + "…")
	}
	return err
}
