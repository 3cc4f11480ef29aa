package up

import (
	"os"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine"
	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine/machine"
)

// keptOut is the folder that keeps the instances' own users out of the data
// folder; empty where they come in, or there are none.
func keptOut(dir string) string {
	if os.Geteuid() != 0 {
		return ""
	}
	blocked, err := machine.CanEnter(confine.User{UID: machine.FirstUser, GID: machine.FirstUser}, dir)
	if err != nil {
		return "" // the launcher's log says what is wrong
	}
	return blocked
}
