package controlplane

import (
	"context"
	"slices"
)

// One transaction that changes many apps is bounded: etcd takes 128 operations,
// as many comparisons, and 1.5 MiB. What edges are told of one app has 600 KiB
// at most.
const (
	batchWeight = 100
	batchBytes  = 512 << 10
)

// changeTag changes a tag in a transaction. With spread it changes what edges
// are told of the apps that have it, too: of the first ones in the transaction
// itself, of the others before it returns, in as many transactions as that
// takes. What a kill leaves undone MendTags does. The revision is the last one's.
func (s *Service) changeTag(ctx context.Context, name string, spread bool, f func(Tx) (changed bool, err error)) (revision int64, err error) {
	var ids []string
	if spread {
		err := every(ctx, s.Store.Apps, func(a *App) {
			if slices.Contains(a.Tags, name) {
				ids = append(ids, a.ID)
			}
		})
		if err != nil {
			return 0, err
		}
	}
	revision, err = s.Store.Update(ctx, func(tx Tx) error {
		changed, err := f(tx)
		if err != nil || !changed {
			return err
		}
		_, err = s.tell(tx, ids)
		return err
	})
	if err != nil || !spread {
		return revision, err
	}
	last, err := s.mendTags(ctx)
	return max(revision, last), err
}

// MendTags makes what edges are told of apps agree with the tags, and takes
// tags from apps that are not there any more. It is called before the first
// change of a control plane.
func (s *Service) MendTags(ctx context.Context) error {
	_, err := s.mendTags(ctx)
	return err
}

// mendTags returns the revision of the last transaction that it took; 0 for none.
func (s *Service) mendTags(ctx context.Context) (revision int64, err error) {
	ids, err := s.Store.StaleApps(ctx)
	for len(ids) > 0 && err == nil {
		var rest []string
		revision, err = s.Store.Update(ctx, func(tx Tx) (err error) {
			rest, err = s.tell(tx, ids)
			return err
		})
		ids = rest
	}
	return revision, err
}

// tell writes what edges are told of these apps, of as many as one transaction
// takes, and returns the others.
func (s *Service) tell(tx Tx, ids []string) (rest []string, err error) {
	known := map[string]bool{}
	for i, id := range ids {
		app, err := tx.App(id)
		if CodeOf(err) == CodeNotFound {
			continue
		}
		if err != nil {
			return nil, err
		}
		var gone []string
		for _, name := range app.Tags {
			if _, err := tx.Tag(name); CodeOf(err) == CodeNotFound {
				gone = append(gone, name)
			} else if err != nil {
				return nil, err
			}
			known[name] = true
		}
		if len(gone) == 0 {
			err = tx.PutPolicy(app)
		} else {
			app.Tags = slices.DeleteFunc(app.Tags, func(name string) bool { return slices.Contains(gone, name) })
			err = tx.Put(app)
		}
		if err != nil {
			return nil, err
		}
		// An app costs two writes at most, and a comparison as each of the tags does.
		if 2*(i+1)+len(known)+maxTags >= batchWeight || tx.Size() >= batchBytes {
			return ids[i+1:], nil
		}
	}
	return nil, nil
}
