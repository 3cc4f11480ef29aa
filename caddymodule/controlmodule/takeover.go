package controlmodule

import (
	"context"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// slowTakeOver is how long a take-over may last before those who wait are told.
const slowTakeOver = 5 * time.Second

// What they are told: of operators' affairs no more than whom to ask.
const (
	takingOver = "a control plane is taking over; starts begin once it has"
	nobodyActs = "the control plane cannot start anything at the moment; its operators find why in its log"
)

// takeOver makes the launchers' workloads this control plane's. While that lasts,
// and where it fails, nobody starts anything, and those who wait for a start are
// told so.
func (c *candidate) takeOver(ctx context.Context, l controlplane.Leadership) error {
	waiting, over := context.WithCancel(ctx)
	var telling sync.WaitGroup
	telling.Go(func() {
		wait := slowTakeOver
		for pause(waiting, wait); waiting.Err() == nil; pause(waiting, wait) {
			c.tryTell(waiting, l.Store, takingOver)
			wait = min(2*wait, time.Minute) // for those who have come since
		}
	})
	err := c.takeLaunchers(ctx, l)
	over()
	telling.Wait()
	if err != nil {
		c.tryTell(ctx, l.Store, nobodyActs)
	}
	return err
}

func (c *candidate) takeLaunchers(ctx context.Context, l controlplane.Leadership) error {
	if err := c.takePlaces(ctx, l.Store); err != nil {
		return err
	}
	for name, launcher := range c.launchers {
		if err := launcher.Lead(ctx, l.Epoch); err != nil {
			return fmt.Errorf("take over from the last leader: launcher %s: %w", name, err)
		}
	}
	return nil
}

func (c *candidate) tryTell(ctx context.Context, store controlplane.Store, text string) {
	if err := c.tellStarts(ctx, store, text); err != nil && ctx.Err() == nil {
		c.log.Warn("those who wait for a start could not be told that nobody begins it", zap.Error(err))
	}
}

// tellStarts puts words on all starts that are under way, in place of all but an
// app's own. Empty ones take back those of a take-over alone.
func (c *candidate) tellStarts(ctx context.Context, store controlplane.Store, text string) error {
	return c.eachInstance(ctx, func(in *controlplane.Instance) (bool, error) {
		if !in.Status.Starting() {
			return true, nil
		}
		_, err := store.Update(ctx, func(tx controlplane.Tx) error {
			p, err := tx.Progress(in.ID)
			if err != nil || p == nil || !p.Said.IsZero() || p.Text == text || text == "" && p.Text != takingOver && p.Text != nobodyActs {
				return err
			}
			p.Text = text
			tx.PutProgress(in.ID, p)
			return nil
		})
		return true, err
	})
}
