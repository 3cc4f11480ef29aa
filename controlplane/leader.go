package controlplane

import (
	"context"
	"time"
)

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

// Leader is the control plane that leads (leader/current).
type Leader struct {
	Name    string    `json:"name"`
	Address string    `json:"address,omitempty"` // where it answers other edges
	Since   time.Time `json:"since"`             // by its own clock
	Epoch   int64     `json:"epoch"`             // see Leadership
}

// LeaderStore knows who leads; etcdstore.Store does.
type LeaderStore interface {
	// Leader is who leads now; nil: nobody.
	Leader(ctx context.Context) (*Leader, error)
}

// Leading tells admins who leads. The error is CodeUnavailable while nobody does.
func (s *Service) Leading(ctx context.Context, actor Actor) (*Leader, error) {
	if err := s.Allow(actor, SeeLeader); err != nil {
		return nil, err
	}
	l, err := s.Leaders.Leader(ctx)
	if err == nil && l == nil {
		err = Errorf(CodeUnavailable, "no control plane leads now").
			WithHint("after one was killed or cut off it takes about 6 seconds; if it stays so, the logs of the control planes say why")
	}
	return l, err
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
