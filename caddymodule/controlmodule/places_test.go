package controlmodule

import (
	"errors"
	"maps"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/seed-dbc68772/slipway/controlplane"
)

func TestWhereALauncherMayLead(t *testing.T) {
	host, _ := os.Hostname()
	here, there := controlplane.Place{ID: "here", Host: host}, controlplane.Place{ID: "there", Host: "machine-2"}
	for name, c := range map[string]struct {
		known     map[string]controlplane.Place
		instances []string // their launchers
		elsewhere bool
		taken     map[string]controlplane.Place // known, once it leads
	}{
		"the first of all": {nil, nil, false, map[string]controlplane.Place{"yard": here}},
		"where it was":     {map[string]controlplane.Place{"yard": here}, []string{"yard"}, false, map[string]controlplane.Place{"yard": here}},
		"on a host of another name": {
			map[string]controlplane.Place{"yard": {ID: "here", Host: "before"}}, []string{"yard"}, false, map[string]controlplane.Place{"yard": here},
		},
		"elsewhere, with instances":    {map[string]controlplane.Place{"yard": there}, []string{"yard"}, true, nil},
		"elsewhere, without instances": {map[string]controlplane.Place{"yard": there}, nil, false, map[string]controlplane.Place{"yard": here}},
		"elsewhere, with instances of another launcher": {
			map[string]controlplane.Place{"yard": there, "manual": there}, []string{"manual"}, false,
			map[string]controlplane.Place{"yard": here, "manual": there},
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, "one", "here")
			update(t, h.Store, func(tx controlplane.Tx) error {
				for launcher, place := range c.known {
					tx.PutPlace(launcher, place)
				}
				return nil
			})
			for _, launcher := range c.instances {
				instance(t, h.Store, launcher)
			}
			check := func(take bool, want map[string]controlplane.Place) {
				t.Helper()
				err := h.checkPlaces(t.Context(), h.Store, take)
				if e := (*elsewhereError)(nil); errors.As(err, &e) != c.elsewhere || err != nil && !c.elsewhere {
					t.Fatalf("take %v: %v", take, err)
				}
				if c.elsewhere && !strings.Contains(err.Error(), "there of host machine-2") {
					t.Errorf("it does not say where they are: %v", err)
				}
				update(t, h.Store, func(tx controlplane.Tx) error {
					got, err := tx.Places()
					if diff := cmp.Diff(want, got); diff != "" {
						t.Errorf("take %v: %s", take, diff)
					}
					return err
				})
			}
			known := maps.Clone(c.known)
			if known == nil {
				known = map[string]controlplane.Place{}
			}
			check(false, known) // who only looks changes nothing
			if c.elsewhere {
				c.taken = known
			}
			check(true, c.taken)
		})
	}
}

// A launcher whose place cannot be told now leads nowhere.
func TestNobodyLeadsFromAPlaceThatIsNotKnown(t *testing.T) {
	h := newHouse(t, "one", "here")
	h.yard.lost = errors.New("the cluster is away")
	if err := h.checkPlaces(t.Context(), h.Store, true); err == nil || !strings.Contains(err.Error(), "launcher yard: the cluster is away") {
		t.Errorf("it takes the place: %v", err)
	}
	update(t, h.Store, func(tx controlplane.Tx) error {
		got, err := tx.Places()
		if len(got) > 0 {
			t.Errorf("it has noted %v", got)
		}
		return err
	})
}

func TestInstancesAreFoundBesideThoseOfOtherLaunchers(t *testing.T) {
	h := newHouse(t, "one", "here")
	for range 3 {
		instance(t, h.Store, "manual")
	}
	for launcher, want := range map[string]bool{"manual": true, "yard": false} {
		if has, err := h.hasInstances(t.Context(), launcher); err != nil || has != want {
			t.Errorf("%s: %v, %v", launcher, has, err)
		}
	}
}
