//go:build linux

package pod

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/kubernetes/inpod"
)

// The patience of a fetch with one attempt: to be answered, and between two parts
// of the archive.
const (
	answerLimit = 30 * time.Second
	stallLimit  = 30 * time.Second
)

// fetch is the archive, with the digest that was promised. An attempt that is cut
// off is taken up where it was.
func (s *step) fetch(ctx context.Context, b *inpod.Bundle) (*os.File, error) {
	f, err := newFetch(s, b)
	if err != nil {
		return nil, err
	}
	defer f.client.CloseIdleConnections()
	archive, err := os.CreateTemp(b.Scratch, "bundle-*.zip")
	if err != nil {
		return nil, fmt.Errorf("fetch bundle: %w", err)
	}
	f.archive = archive
	if err = f.insist(ctx); err == nil {
		err = f.verify()
	}
	if err != nil {
		return nil, errors.Join(err, archive.Close(), os.Remove(archive.Name()))
	}
	return archive, nil
}

// fetching is the fetch of one archive.
type fetching struct {
	*step
	*inpod.Bundle
	client  *http.Client
	archive *os.File
	have    int64     // bytes of the archive
	told    time.Time // when progress was said last
}

func newFetch(s *step, b *inpod.Bundle) (*fetching, error) {
	config := &tls.Config{ServerName: b.Host, MinVersion: tls.VersionTLS12}
	if len(b.CA) > 0 {
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(b.CA) {
			return nil, fail(controlplane.LauncherDown, "the file of the launcher's setting control_ca has no certificate in PEM")
		}
	}
	return &fetching{step: s, Bundle: b, client: &http.Client{
		Transport: &http.Transport{ // no proxy: it is within the cluster
			TLSClientConfig: config, ResponseHeaderTimeout: answerLimit,
			DialContext: (&net.Dialer{Timeout: answerLimit}).DialContext, TLSHandshakeTimeout: answerLimit,
		},
		// A link is for one place.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// insist repeats what may yet succeed, until it does or Patience is over since
// the last byte came.
func (f *fetching) insist(ctx context.Context) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 200*time.Millisecond, 5*time.Second
	for since := time.Now(); ; {
		before := f.have
		err := f.attempt(ctx)
		if _, final := errors.AsType[failure](err); err == nil || final || ctx.Err() != nil || reasonOf(err).Code == controlplane.NoCapacity {
			return err
		}
		if f.have > before {
			since = time.Now()
			wait.Reset()
		}
		pause := wait.NextBackOff()
		if time.Since(since)+pause > f.Patience {
			return fail(controlplane.LauncherDown, "the bundle cannot be fetched from the control plane within %s: %v; an admin checks the launcher's setting control_plane and what network policies let out of the pods", f.Patience, err)
		}
		f.say("the bundle cannot be fetched yet: %v", err)
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// attempt asks for what is missing. An error that is a failure is final.
func (f *fetching) attempt(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.URL, nil)
	if err != nil {
		return fail(controlplane.LauncherDown, "the launcher's setting control_plane makes no URL")
	}
	r.Host = f.Host
	if f.have > 0 {
		r.Header.Set("Range", fmt.Sprintf("bytes=%d-", f.have))
		r.Header.Set("If-Range", `"`+f.Digest+`"`)
	}
	resp, err := f.client.Do(r)
	if err != nil {
		return withoutURL(err)
	}
	defer resp.Body.Close()
	switch resp.StatusCode {
	case http.StatusOK:
		f.have = 0
		if err := f.archive.Truncate(0); err != nil {
			return err
		}
	case http.StatusPartialContent:
	default:
		return refusal(resp)
	}
	stalled := time.AfterFunc(stallLimit, cancel)
	defer stalled.Stop()
	whole := f.have + resp.ContentLength
	for chunk := make([]byte, 256<<10); ; stalled.Reset(stallLimit) {
		n, err := resp.Body.Read(chunk)
		if f.have+int64(n) > f.Limit {
			return fail(controlplane.BadBundle, "the archive that the control plane sends has more than %d bytes", f.Limit)
		}
		if _, err := f.archive.WriteAt(chunk[:n], f.have); err != nil {
			return fmt.Errorf("write archive: %w", err)
		}
		f.have += int64(n)
		f.tell(whole)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read archive: %w", err)
		}
	}
}

// withoutURL is an error of a client without the link, which is a secret.
func withoutURL(err error) error {
	if u, ok := errors.AsType[*url.Error](err); ok {
		return u.Err
	}
	return err
}

// refusal is what the control plane says in the place of the archive. What the
// link is to blame for stays so.
func refusal(resp *http.Response) error {
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 8<<10))
	var problem struct{ Detail string }
	_ = json.Unmarshal(text, &problem) // of something in between, perhaps
	said := resp.Status
	if problem.Detail != "" {
		said += ", " + problem.Detail
	}
	switch {
	case resp.StatusCode == http.StatusForbidden, resp.StatusCode == http.StatusGone:
		return fail(controlplane.LauncherDown, "the control plane does not give the bundle: %s; start the instance again", said)
	case resp.StatusCode >= 500, resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusRequestTimeout:
		return errors.New("the control plane answers " + said)
	}
	return fail(controlplane.LauncherDown, "what answers at the launcher's setting control_plane is no control plane of this installation: %s; it has to be an address of one, without a redirect", said)
}

// tell says how far it is, at most once a second.
func (f *fetching) tell(whole int64) {
	if now := time.Now(); whole > 0 && now.Sub(f.told) >= time.Second {
		f.told = now
		f.progress(int(100*f.have/whole), fmt.Sprintf("fetching the bundle (%d of %d MiB)", f.have>>20, (whole+1<<20-1)>>20))
	}
}

// verify compares the archive with its digest.
func (f *fetching) verify() error {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f.archive, 0, f.have)); err != nil {
		return fmt.Errorf("read archive: %w", err)
	}
	if got := hex.EncodeToString(h.Sum(nil)); got != f.Digest {
		return fail(controlplane.BadBundle, "what the control plane sent is not the app's bundle: its SHA-256 is %s, not %s", got, f.Digest)
	}
	return nil
}
