package controlplane

import (
	"context"
	"slices"
)

type revisionsKey struct{}

// OnlyAt makes a change conditional: it is made if the record is at one of these
// store revisions, and refused with CodePrecondition otherwise (If-Match, spec
// interfaces.md §4).
func OnlyAt(ctx context.Context, revisions []int64) context.Context {
	return context.WithValue(ctx, revisionsKey{}, revisions)
}

// unconditional is for what a change does beside the record that OnlyAt is about.
func unconditional(ctx context.Context) context.Context {
	return context.WithValue(ctx, revisionsKey{}, nil)
}

// unchanged holds what OnlyAt says, within the transaction that makes the
// change.
func unchanged(ctx context.Context, at int64) error {
	only, conditional := ctx.Value(revisionsKey{}).([]int64)
	if !conditional || slices.Contains(only, at) {
		return nil
	}
	return Errorf(CodePrecondition, "it has changed since: it is at revision %d", at).
		WithHint("read it again, look whether the change still makes sense, and send it with the ETag of that answer")
}
