package controlplane

import (
	"context"
	"crypto/hmac"
	"fmt"
	"time"
)

// BundleLink is the right of one start to fetch the archive of its app, from
// where no user is signed in (spec instances.md §5). It ends with the start, and
// at Expires.
type BundleLink struct {
	Digest     string // of the archive
	Instance   string // ID
	Generation int64
	Expires    time.Time // to the second
}

// How long a link may be good for. A launcher asks for as long as its starts may
// take; without a wish it is DefaultBundleLink, and never more than
// MaxBundleLink.
const (
	DefaultBundleLink = 10 * time.Minute
	MaxBundleLink     = time.Hour
)

// bundleLinkSkew is by how much the clocks of control planes may differ.
const bundleLinkSkew = 30 * time.Second

// NewBundleLink is the link of a start, from now on; 0 is DefaultBundleLink.
func NewBundleLink(digest, instance string, generation int64, now time.Time, validity time.Duration) BundleLink {
	if validity <= 0 {
		validity = DefaultBundleLink
	}
	return BundleLink{
		Digest: digest, Instance: instance, Generation: generation,
		Expires: now.Add(min(validity, MaxBundleLink)).UTC().Truncate(time.Second),
	}
}

// OpenLinkedBundle opens the archive that a link is for. The error is
// CodeForbidden where the link was not signed here as it is, and CodeStale where
// it has ended or its start has.
func (s *Service) OpenLinkedBundle(ctx context.Context, l BundleLink, signature string) (*App, Blob, error) {
	if !hmac.Equal([]byte(s.SignBundleLink(l)), []byte(signature)) {
		return nil, nil, Errorf(CodeForbidden, "this link to a bundle was not signed here, or was changed since").
			WithHint("GET /api/v1/apps/{id}/bundle downloads the bundle of an app that you may see")
	}
	over := func(why string, args ...any) error {
		return Errorf(CodeStale, "this link to a bundle is over: "+why, args...).
			WithHint("start the instance again: each start gets a link of its own")
	}
	if now := s.now(); now.After(l.Expires.Add(bundleLinkSkew)) {
		return nil, nil, over("it was good until %s, and it is %s", l.Expires.Format(time.RFC3339), now.Format(time.RFC3339))
	}
	in, err := s.Store.Instance(ctx, l.Instance)
	switch {
	case CodeOf(err) == CodeNotFound:
		return nil, nil, over("instance %s is no more", l.Instance)
	case err != nil:
		return nil, nil, err
	case in.Generation != l.Generation || !in.Status.Live() || in.Status == Suspended || in.Status == Failed:
		return nil, nil, over("the start of instance %s that it was made for is", l.Instance)
	}
	app, err := s.Store.App(ctx, in.AppID)
	if CodeOf(err) == CodeNotFound || err == nil && app.Bundle != l.Digest {
		return nil, nil, over("the app of instance %s has no such bundle", l.Instance)
	}
	if err != nil {
		return nil, nil, err
	}
	blob, err := s.Blobs.Open(ctx, l.Digest)
	if err != nil {
		return nil, nil, fmt.Errorf("open bundle of app %s: %w", app.ID, err)
	}
	return app, blob, nil
}
