// Package objects says what a start is in Kubernetes: the objects of one
// instance, as typed structs that are ready for server-side apply. It is pure:
// it calls nobody, and the same start gives the same objects.
//
// Of an instance there is one owner, a ConfigMap, which outlives suspends and is
// all that has to be deleted to remove the instance; a Deployment of one pod; a
// Service; a Secret; and a claim per volume. All but the owner refer to it (see
// [Set.OwnedBy]).
//
// The pod has a scheduling gate, [Gate]. A ReplicaSet makes a new pod as soon as
// the old one is asked to go, and knows of no leader; so who leads takes the gate
// off one pod at a time, once no other pod of the instance can run any more.
//
// What is secret is in the Secret's data and nowhere else: every variable but
// PORT and SLIPWAY_TOKEN_FILE, since nobody can tell which of them are, every
// [[File]], and the instance's token.
//
// Every pod meets the level "restricted" of the Pod Security Standards. Images
// that name no user, root, or a user by name run as Settings.User.
//
// Traffic is bounded by one policy for all instances of a namespace, see
// [Policy]: an app's port is called [PortName] in every pod, whatever its
// number.
package objects
