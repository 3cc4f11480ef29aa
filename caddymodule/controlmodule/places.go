package controlmodule

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/launcher"
)

// placeLook is how often a control plane that may not lead looks whether it may.
const placeLook = 5 * time.Second

// places are where the workloads of this control plane's launchers are.
func (r *running) places(ctx context.Context) (map[string]controlplane.Place, error) {
	host, _ := os.Hostname()
	found := map[string]controlplane.Place{}
	for name, l := range r.launchers {
		placed, ok := l.(launcher.Placed)
		if !ok {
			continue
		}
		id, err := placed.Place(ctx)
		if err != nil {
			return nil, fmt.Errorf("launcher %s: %w", name, err)
		}
		found[name] = controlplane.Place{ID: id, Host: host}
	}
	return found, nil
}

// awaitPlaces returns when this control plane may lead; false once ctx has
// ended.
func (c *candidate) awaitPlaces(ctx context.Context) bool {
	for told := ""; ctx.Err() == nil; pause(ctx, placeLook) {
		err := c.checkPlaces(ctx, c.Store, false)
		elsewhere, is := errors.AsType[*elsewhereError](err)
		if !is {
			return ctx.Err() == nil // who leads asks again, in its own transaction
		}
		c.settled.open()
		if told != err.Error() {
			told = err.Error()
			c.log.Error("this control plane answers people and does not lead", zap.Error(err),
				zap.String("hint", "run it on that machine with that data folder; or terminate all instances of the launcher "+
					"while a control plane of that place leads. Where that is gone for good, delete the key launchers/"+
					elsewhere.launcher+" below the prefix in etcd: what ran there starts here, without its volumes"))
		}
	}
	return false
}

// takePlaces makes the places of this control plane those of the records.
func (c *candidate) takePlaces(ctx context.Context, store controlplane.Store) error {
	return c.checkPlaces(ctx, store, true)
}

// checkPlaces fails with an elsewhereError where a launcher has its instances in
// another place than here. Instances that are created meanwhile do not count:
// they run nowhere yet. With take the places of here become those of the records.
func (c *candidate) checkPlaces(ctx context.Context, store controlplane.Store, take bool) error {
	places, err := c.places(ctx)
	if err != nil {
		return fmt.Errorf("find where instances run: %w", err)
	}
	used := map[string]bool{} // by launchers whose place is another
	for {
		var asked string
		_, err := store.Update(ctx, func(tx controlplane.Tx) error {
			known, err := tx.Places()
			if err != nil {
				return err
			}
			asked = ""
			for name, place := range places {
				at, ok := known[name]
				inUse, counted := used[name]
				switch elsewhere := ok && at.ID != place.ID; {
				case elsewhere && !counted:
					asked = name
					return nil
				case elsewhere && inUse:
					return &elsewhereError{launcher: name, at: at, here: place}
				case take && at != place:
					tx.PutPlace(name, place)
				}
			}
			return nil
		})
		if err != nil || asked == "" {
			return err
		}
		if used[asked], err = c.hasInstances(ctx, asked); err != nil {
			return err
		}
	}
}

// hasInstances reports whether the records have an instance of a launcher.
func (c *candidate) hasInstances(ctx context.Context, launcher string) (has bool, err error) {
	err = c.eachInstance(ctx, func(in *controlplane.Instance) (bool, error) {
		has = in.Launcher == launcher
		return !has, nil
	})
	return has, err
}

// eachInstance calls look with all instances, until it returns false or fails.
func (c *candidate) eachInstance(ctx context.Context, look func(*controlplane.Instance) (bool, error)) error {
	for page := (controlplane.Page{Limit: 1000}); ; {
		list, err := c.Store.Instances(ctx, page)
		if err != nil {
			return err
		}
		for _, in := range list.Items {
			if more, err := look(in); err != nil || !more {
				return err
			}
		}
		if list.NextAfter == "" {
			return nil
		}
		page.After, page.Revision = list.NextAfter, list.Revision
	}
}

// elsewhereError says that the workloads of a launcher are where this control
// plane does not see them.
type elsewhereError struct {
	launcher string
	at, here controlplane.Place
}

func (e *elsewhereError) Error() string {
	return "the instances of launcher " + e.launcher + " are at place " + e.at.ID + " of host " + e.at.Host +
		", and here is place " + e.here.ID + " of host " + e.here.Host
}
