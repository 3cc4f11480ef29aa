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

// Candidate is a control plane that would lead.
type Candidate struct {
	Name    string
	Address string // where it answers other edges; empty: nowhere
	// Lead is called whenever this process leads, with a context that ends with
	// the leadership. That is given up when Lead returns, not before.
	Lead func(ctx context.Context, l Leadership)
	// Follow is told who leads in its place, perhaps many times.
	Follow func(leader string)
}

// Elector chooses which of several control planes leads; etcdstore.Store does.
type Elector interface {
	// Campaign blocks until ctx ends, and Lead has returned.
	Campaign(ctx context.Context, c Candidate)
}

// Place is where the workloads of a launcher are: one place for all control
// planes of a store (launcher.Placed).
type Place struct {
	ID   string `json:"place"`
	Host string `json:"host"` // for people
}
