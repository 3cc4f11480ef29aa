package etcdstore

import (
	"context"
	"reflect"
	"slices"
	"strings"

	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// Owned implements controlplane.Store.
func (s *Store) Owned(ctx context.Context, owner string, revision int64) (out controlplane.Owned, err error) {
	if known, ok := s.lists.ownedBefore(ownedAt{owner, revision}); ok {
		return known, nil
	}
	ctx, cancel := withTimeout(ctx)
	defer cancel()
	prefixes := []string{s.prefix + ownedApps(owner), s.prefix + ownedInstances(owner)}
	ops := make([]clientv3.Op, len(prefixes))
	for i, prefix := range prefixes {
		ops[i] = clientv3.OpGet(prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithRev(revision))
	}
	asked := s.lists.ask()
	resp, err := s.client.Txn(ctx).Then(ops...).Commit()
	if err != nil {
		return out, listError(err)
	}
	out.Revision = revision
	if revision == 0 {
		out.Revision = resp.Header.Revision
	}
	out.Apps, out.Instances = map[string]bool{}, map[string]bool{}
	for i, into := range []map[string]bool{out.Apps, out.Instances} {
		for _, kv := range resp.Responses[i].GetResponseRange().Kvs {
			into[strings.TrimPrefix(string(kv.Key), prefixes[i])] = true
		}
	}
	s.lists.keepOwned(resp.Header, asked, ownedAt{owner, out.Revision}, out)
	return out, nil
}

// StaleApps implements controlplane.Store.
func (s *Store) StaleApps(ctx context.Context) (ids []string, err error) {
	tags := map[string][]string{}
	told := map[string]policyRoute{}
	page := controlplane.Page{Limit: maxPage}
	for {
		list, err := s.Tags(ctx, page)
		if err != nil {
			return nil, err
		}
		for _, t := range list.Items {
			tags[t.Name] = t.VisitorRoles
		}
		page.Revision, page.After = list.Revision, list.NextAfter
		if page.After == "" {
			break
		}
	}
	err = s.ListAt(ctx, routePolicies, page.Revision, func(events []Event) error {
		for _, e := range events {
			var policy policyRoute
			if err := decode(e.Key, e.Value, &policy); err != nil {
				continue // it is written anew
			}
			told[strings.TrimPrefix(e.Key, routePolicies)] = policy
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for {
		list, err := s.Apps(ctx, page)
		if err != nil {
			return nil, err
		}
		for _, a := range list.Items {
			if stale(a, tags, told) {
				ids = append(ids, a.ID)
			}
		}
		if page.After = list.NextAfter; page.After == "" {
			return ids, nil
		}
	}
}

func stale(a *controlplane.App, tags map[string][]string, told map[string]policyRoute) bool {
	var roles []string
	for _, name := range a.Tags {
		of, known := tags[name]
		if !known {
			return true
		}
		roles = append(roles, of...)
	}
	slices.Sort(roles)
	want, policy := policyOf(a, slices.Compact(roles)), told[a.ID]
	same := slices.Equal(policy.VisitorRoles, want.VisitorRoles)
	policy.VisitorRoles, want.VisitorRoles = nil, nil
	return !same || !reflect.DeepEqual(policy, want)
}
