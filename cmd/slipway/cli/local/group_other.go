//go:build !linux

package local

import (
	"os/exec"
)

// group is the processes that were started: on this system their children are
// not known.
type group struct {
	mark     string
	commands []*exec.Cmd
}

func (g *group) start(cmd *exec.Cmd) error {
	if err := cmd.Start(); err != nil {
		return err
	}
	g.commands = append(g.commands, cmd)
	return nil
}

// alive is for who has to wait for others than those that were started.
func (g *group) alive() bool { return false }

// listens is what only Linux tells.
func (g *group) listens([]int) []string { return nil }

// signal ends all; there is no way to ask that works everywhere.
func (g *group) signal(bool) {
	for _, c := range g.commands {
		_ = c.Process.Kill() // it may have ended
	}
}
