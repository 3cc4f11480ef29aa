package local

import (
	"os/exec"
	"slices"
	"syscall"

	"github.com/seed-dbc68772/slipway/controlplane/procgroup"
)

// group is the processes of a run: those in the process group of the first, all
// that carry its marker, and their descendants.
type group struct {
	mark   string
	leader procgroup.Ident
}

func (g *group) start(cmd *exec.Cmd) error {
	cmd.Env = append(cmd.Env, procgroup.MarkerName+"="+g.mark)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pgid: g.leader.PID}
	if err := cmd.Start(); err != nil {
		return err
	}
	if g.leader.PID == 0 {
		g.leader = procgroup.Ident{PID: cmd.Process.Pid, BootID: procgroup.BootID()}
		// What is gone already has left nothing that is older.
		if p, err := procgroup.ReadProc(cmd.Process.Pid); err == nil {
			g.leader.Start = p.Start
		}
	}
	return nil
}

func (g *group) members() []procgroup.Proc {
	if g.leader.PID == 0 {
		return nil
	}
	list, err := procgroup.Group{Leader: g.leader, Mark: procgroup.Digest(g.mark)}.Members()
	if err != nil {
		return nil
	}
	return list
}

func (g *group) alive() bool { return len(g.members()) > 0 }

// signal asks all to end, or with force ends them.
func (g *group) signal(force bool) {
	what := syscall.SIGTERM
	if force {
		what = syscall.SIGKILL
	}
	for _, p := range g.members() {
		_ = syscall.Kill(p.PID, what) // it may have ended
	}
}

// listens are the addresses that the processes listen on, but for these ports.
func (g *group) listens(but []int) (at []string) {
	all, err := procgroup.Listeners(g.leader.PID)
	if err != nil {
		return nil
	}
	inodes := make([]uint64, len(all))
	for i, l := range all {
		inodes[i] = l.Inode
	}
	open, _ := procgroup.Group{Leader: g.leader, Mark: procgroup.Digest(g.mark)}.Sockets(inodes...) // what it found
	for _, l := range all {
		if open[l.Inode] && !slices.Contains(but, int(l.Local.Port())) {
			at = append(at, l.Local.String())
		}
	}
	return at
}
