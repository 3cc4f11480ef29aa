// Package process is the launcher that runs each instance as a process of this
// machine (spec instances.md §5). It needs Linux.
//
// # On disk
//
// Everything is below Config.DataDir, which the control planes of a machine
// share:
//
//	lock, epoch, folder-id                 who leads there; the folder's name
//	kept.<epoch>                           that epoch has a state of all instances
//	instances/<ID>/state.<epoch>.json      what is known of the instance
//	instances/<ID>/run/<run>/app/          the bundle, unpacked anew for each start
//	instances/<ID>/run/<run>/{home,tmp}/   HOME and TMPDIR
//	instances/<ID>/run/<run>/token         the instance's API token, mode 0600
//	instances/<ID>/logs/<run>.log          of the newest run and the one before
//	envs/<key>/<build>/                    Python environments, by their content
//
// A folder of an earlier layout (state.json, current.log) is taken over with
// what runs.
//
// # One leads
//
// [Launcher].Lead writes its epoch into the folder's file and takes over what
// runs. Who led before is fenced by that, even while it is stopped (SIGSTOP) in
// the middle of a start and goes on later: it acts by hands alone, short-lived
// processes that hold the folder's lock while they compare the epoch and start,
// signal or move away something (package hand). What it writes without a hand
// is its own: a state for each epoch, of which the largest counts and which a
// new leader writes before anything else; folders and logs for each run. What it
// makes of an instance that was removed meanwhile goes with the next leader: it
// has no state of the leader before, or of a later one.
// Check and Logs read, and need no leading.
//
// # At most one process per instance
//
// A process leads a session of its own and carries a marker in its environment:
// this data folder, instance, generation and a number drawn for that one start.
// The number is on disk (renamed into place and synced) before the hand that
// becomes the process is there, the process (number, start time, boot) after
// it. Once Lead has written its epoch, every process that was or ever will be
// started before is to be seen: it looks through the environment of all, adopts
// what the state on disk names, and kills what else carries the folder's marker.
// A start that had not come to its process is no workload: it is not reported,
// and to be started again.
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
// plane. Once a second, the head of a file that takes more than its limit is
// made a hole: fallocate(2) PUNCH_HOLE loses nothing else, and leaves the
// positions of readers in all control planes true. Where the file system has no
// holes, the tail is copied; lines written during the copy may be lost then,
// and readers may see lines again.
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
