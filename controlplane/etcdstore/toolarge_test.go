package etcdstore_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// Whoever asks for it can mend it, and need not look whether it was done.
func TestWhatIsTooLargeIsNotTakenForAStoreThatIsAway(t *testing.T) {
	w := newWorld(t)
	for name, size := range map[string]int{
		"more than etcd takes":        1700 << 10,
		"more than the client sends":  3 << 20,
		"a change of many that fit":   0,
		"far more than either of all": 20 << 20,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := w.Update(t.Context(), func(tx controlplane.Tx) (err error) {
				for range 4 {
					app := newApp("large")
					app.Description = strings.Repeat("x", max(size, 500<<10))
					err = errors.Join(err, tx.Put(app))
				}
				return err
			})
			if code := controlplane.CodeOf(err); code != controlplane.CodeTooLarge {
				t.Errorf("the code is %s: %v", code, err)
			}
		})
	}
}
