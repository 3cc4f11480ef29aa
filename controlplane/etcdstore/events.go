package etcdstore

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/seed-dbc68772/slipway/controlplane"
)

type eventsRecord struct {
	Items []controlplane.Event `json:"items"`
}

// AddEvent implements controlplane.Tx. It is part of every step of an instance,
// and the list is most of what that writes: it is not parsed where it looks as
// this function leaves it.
func (t *tx) AddEvent(instanceID string, e controlplane.Event) {
	key := eventsKey(instanceID)
	raw, err := json.Marshal(e)
	if err != nil {
		t.fail(fmt.Errorf("write event of instance %s: %w", instanceID, err))
		return
	}
	old, err := t.get(key)
	if err != nil {
		t.fail(err)
		return
	}
	if list, ok := appendEvent(old.raw, raw); ok {
		t.writes[key] = list
		return
	}
	var r struct {
		Items []json.RawMessage `json:"items"` // they stay as they are
	}
	if _, _, err := t.load(key, &r); err != nil {
		t.fail(err)
		return
	}
	r.Items = append(r.Items, raw)
	r.Items = slices.Delete(r.Items, 0, max(0, len(r.Items)-controlplane.MaxEvents))
	t.putPlain(key, r)
}

// The ends of a list of events as encode writes it.
var (
	eventsHead = slices.Concat([]byte("{"), ours, []byte(`,"items":[`))
	eventsTail = []byte("]}")
)

// appendEvent is the list with one more event, and without the oldest where it
// has more than MaxEvents then. It is not ok where the list is empty or does not
// look as encode writes it.
func appendEvent(list, event []byte) (longer []byte, ok bool) {
	items, headed := bytes.CutPrefix(list, eventsHead)
	items, tailed := bytes.CutSuffix(items, eventsTail)
	if !headed || !tailed {
		return nil, false
	}
	starts, ok := objects(items)
	if !ok {
		return nil, false
	}
	if more := len(starts) + 1 - controlplane.MaxEvents; more > 0 {
		items = items[starts[more]:]
	}
	return slices.Concat(eventsHead, items, []byte(","), event, eventsTail), true
}

// objects are the places at which the objects begin that items is a list of,
// with nothing but a comma between them. There is one at least.
func objects(items []byte) (starts []int, ok bool) {
	depth, between := 0, true
	for i := 0; i < len(items); i++ {
		switch c := items[i]; {
		case c == '"' && depth > 0:
			if i = endOfString(items, i); i < 0 {
				return nil, false
			}
		case c == '{':
			if depth == 0 {
				if !between {
					return nil, false
				}
				starts, between = append(starts, i), false
			}
			depth++
		case c == '}':
			if depth--; depth < 0 {
				return nil, false
			}
		case depth > 0:
		case c == ',' && !between:
			between = true
		default:
			return nil, false
		}
	}
	return starts, depth == 0 && !between
}

// endOfString is where the string ends that begins at i; below 0 if nowhere.
func endOfString(raw []byte, i int) int {
	for i++; i < len(raw); i++ {
		switch raw[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

// Events implements controlplane.EventStore.
func (s *Store) Events(ctx context.Context, instanceID string) (items []controlplane.Event, err error) {
	_, err = s.Update(ctx, func(c controlplane.Tx) error {
		var r eventsRecord
		_, _, err := c.(*tx).load(eventsKey(instanceID), &r)
		items = r.Items
		return err
	})
	return items, err
}

// WatchEvents implements controlplane.EventStore.
func (s *Store) WatchEvents(ctx context.Context, instanceID string, sink func([]controlplane.Event)) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	key := eventsKey(instanceID)
	s.Feed(ctx, key, func(b Batch) {
		for _, e := range b.Events {
			var r eventsRecord
			switch {
			case e.Key != key:
			case e.Value == nil:
				end(errGone)
			default:
				if err := decode(e.Key, e.Value, &r); err != nil {
					end(err)
					return
				}
				sink(r.Items)
			}
		}
	})
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) && !errors.Is(err, errGone) {
		return storeError(err)
	}
	return nil
}

var errGone = errors.New("the instance is gone")

var _ controlplane.EventStore = (*Store)(nil)
