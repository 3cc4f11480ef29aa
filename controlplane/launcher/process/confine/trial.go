//go:build linux

package confine

import (
	"fmt"
	"os"
	"runtime"
)

// TrialName is what a process is called (its argument 0) that only tries
// whether a [Trial] is permitted. Any program that imports this package can be
// started so: it gets no further than here, and exits with 0, or says on stdout
// why not.
const TrialName = "slipway: what is permitted here"

func init() {
	if len(os.Args) != 2 || os.Args[0] != TrialName {
		return
	}
	runtime.LockOSThread()
	if err := Apply(Trial(os.Args[1])); err != nil {
		fmt.Print(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Trial is a mount of each kind, at points that the machine does not have. Its
// Scratch, in the folder place, is to be made first.
func Trial(place string) Spec {
	inside := place + "/absent/folder"
	return Spec{
		Mounts: []Mount{
			{Target: "/slipway-probe/memory"},
			{Target: inside, Source: "/dev", ReadOnly: true},
		},
		Scratch: place + "/scratch",
		Dir:     inside,
	}
}
