// Package process is the launcher that runs each instance as a process of this
// machine (spec instances.md §5). It needs Linux.
//
// # On disk
//
// Everything is below Config.DataDir, which one [Launcher] at a time owns:
//
//	instances/<ID>/state.json         what is known of the instance's process
//	instances/<ID>/run/<generation>/  the bundle, unpacked anew for each start
//	instances/<ID>/{home,tmp}/        HOME and TMPDIR, emptied at each start
//	instances/<ID>/token              the instance's API token, mode 0600
//	instances/<ID>/logs/              current.log and previous.log
//	envs/<key>/                       Python environments, by their content
//
// # At most one process per instance
//
// A process leads a session of its own and carries a marker in its environment:
// this data folder, instance, generation and a number drawn for that one fork.
// The number is on disk (renamed into place and synced) before the fork, the
// process (number, start time, boot) after it. [New] looks through the
// environment of every process: what the state on disk names is adopted, what
// else carries the folder's marker is killed. The data folder's lock is held by
// a forked child until it executes its program, so that no child is overlooked
// between the two. A start that had not come to its fork is no workload: it is
// not reported, and to be started again.
//
// The group of an instance is its session, its process group, whoever carries
// the marker, and the descendants of all these. All of it gets SIGTERM, and
// SIGKILL after the grace period or once the leader has ended unasked.
//
// # Ready
//
// A workload listens on PORT: the manifest's Runtime.Port, or a free port that
// the launcher picks. It is ready when a loopback connection to PORT is
// accepted, the socket that accepts belongs to the instance's group, and the
// declared health path answers. A stranger on a picked port makes the launcher
// pick another, three times in all; on a fixed one the start ends, port_in_use.
// The identity of the group and the sockets that listen then go with the
// endpoint, so that edges can tell it from a stranger's (package procgroup).
//
// # Logs
//
// Output goes to files opened for appending, so that it outlives the control
// plane. Once a second, a file over its limit loses its older half: by
// fallocate(2) COLLAPSE_RANGE, which loses nothing else, or, where the file
// system has no such call, by copying its tail, which may lose lines written
// during the copy.
//
// # Apart
//
// What this machine permits is found when the launcher opens, by trying it; what
// it does not is said in the log of each start, and to [Launcher.Check]. Where
// the control plane is root, each instance has a user of its own until it is
// removed, each run the control groups that its limits need, and an app with a
// fixed port a network namespace. Volumes and files with absolute paths are
// bind mounts of the run's own mount namespace, in a user namespace where the
// control plane is not root; all of the data folder that is not the run's is
// hidden there. Volumes are in instances/<ID>/volumes/{data,resources}, and no
// start empties them. users/<number> is a link to the instance that has the
// user. Packages confine, machine and netns do the work; who becomes the
// workload, a hand, does it last.
package process
