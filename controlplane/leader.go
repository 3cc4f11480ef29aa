package controlplane

import "context"

// Leadership is the right of one control plane to act upon instances. It ends
// with its context; what is written after that is refused.
type Leadership struct {
	// Epoch grows from each leader to the next: launchers refuse what an older
	// one asks for.
	Epoch int64
	// Store is the store as the leader writes to it: every transaction holds only
	// while it leads. After that the error is CodeDeposed.
	Store Store
}

// Elector chooses which of several control planes leads; etcdstore.Store does.
type Elector interface {
	// Campaign blocks until ctx ends. Whenever this process leads, it calls lead
	// with a context that ends with the leadership, and waits for its return
	// before it gives the leadership up or tries to get it again.
	Campaign(ctx context.Context, name string, lead func(context.Context, Leadership))
}
