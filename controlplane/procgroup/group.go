//go:build linux

package procgroup

import "os"

// Group is every process of one run of an instance: those in the leader's
// session or process group, those that carry the run's marker in their
// environment, and the descendants of all of them.
type Group struct {
	Leader Ident
	Mark   string // the [Digest] of the marker; empty is none
}

// Members lists the group's processes that still run.
func (g Group) Members() ([]Proc, error) {
	all, err := Processes()
	if err != nil {
		return nil, err
	}
	return g.among(all), nil
}

func (g Group) among(all map[int]Proc) []Proc {
	if g.Leader.BootID != BootID() {
		return nil
	}
	// The kernel gives a number again only once no session and no group is
	// called by it: a stranger with the leader's number proves both empty.
	holder, held := all[g.Leader.PID]
	reused := held && holder.Start != g.Leader.Start

	in := map[int]bool{}
	for pid, p := range all {
		switch {
		case pid <= 1 || pid == os.Getpid() || p.Start < g.Leader.Start:
		case !reused && (p.Session == g.Leader.PID || p.Group == g.Leader.PID):
			in[pid] = true
		default:
			if m, _ := MarkerOf(pid); m != "" && Digest(m) == g.Mark {
				in[pid] = true
			}
		}
	}
	for grown := true; grown; {
		grown = false
		for pid, p := range all {
			if !in[pid] && in[p.Parent] && pid != os.Getpid() {
				in[pid], grown = true, true
			}
		}
	}
	var found []Proc
	for pid := range in {
		if p := all[pid]; !p.Zombie() {
			found = append(found, p)
		}
	}
	return found
}

// Sockets are the inodes of the sockets that the group has open: the leader's,
// and everybody's unless those hold all that is wanted. unread is why not all
// of its processes could be looked into.
func (g Group) Sockets(wanted ...uint64) (open map[uint64]bool, unread error) {
	open = map[uint64]bool{}
	if p, err := ReadProc(g.Leader.PID); err == nil && p.Start == g.Leader.Start && g.Leader.BootID == BootID() {
		if SocketsOf(p.PID, open) == nil && holdsAll(open, wanted) {
			return open, nil
		}
	}
	members, err := g.Members()
	if err != nil {
		return open, err
	}
	for _, p := range members {
		if err := SocketsOf(p.PID, open); os.IsPermission(err) {
			unread = err
		}
	}
	return open, unread
}

func holdsAll(open map[uint64]bool, wanted []uint64) bool {
	for _, inode := range wanted {
		if !open[inode] {
			return false
		}
	}
	return true
}
