package lifecycle_test

import (
	"testing"

	"github.com/google/uuid"

	"github.com/seed-dbc68772/slipway/controlplane"
)

func TestAStartHasTheProfileOfItsResources(t *testing.T) {
	p := newPlant(t)
	p.manage()
	p.app.LaunchProfile = "newer"
	p.put(p.app)
	for _, c := range []struct{ name, own, settled, want string }{
		{"its app's at that time", "", "small", "small"},
		{"its own", "large", "large", "large"},
		{"its own, of before that was settled", "large", "", "large"},
		{"none", "", "", ""},
	} {
		in := &controlplane.Instance{
			ID: uuid.NewString(), AppID: p.app.ID, Owner: "ada", Visibility: controlplane.Private, Status: controlplane.Pending,
			RoutingMode: controlplane.Domain, Launcher: "yard", Generation: 1, LaunchProfile: c.own, Settled: c.settled,
		}
		p.put(in)
		p.becomes(in.ID, controlplane.Deployed)
		p.yard.mu.Lock()
		got := p.yard.placed[in.ID]
		p.yard.mu.Unlock()
		if got != c.want {
			t.Errorf("%s: started with %q, want %q", c.name, got, c.want)
		}
	}
}
