// Package kubernetes is the launcher that runs each instance as a pod (spec
// instances.md §5), in one namespace of a cluster. It needs Kubernetes 1.34 or
// newer; 1.34 runs an app again by itself for the moment that its end takes to
// be seen.
//
// Package objects says what a start is in Kubernetes, package diagnose what the
// cluster says of it, package images what registries say of an image. This one
// decides when which of them is written.
//
// # The owner and its record
//
// All objects of an instance are owned by a ConfigMap, whose data is the
// instance's record: the newest generation seen, the newest start and whether it
// is to run, the pods that were let run. Whoever acts writes the record first,
// and only if the ConfigMap is still as it was read; of an instance that sleeps
// the Deployment is applied at the same time. It outlives suspends and
// goes with Remove, which deletes it in the foreground: it is gone once all that
// it owns is.
//
// # One leads
//
// The ConfigMap slipway-leader has the epoch. Lead raises it, lists the
// namespace and writes every record anew with its epoch, after which no record
// of an earlier leader's can be written. What such a leader had written into a
// record before holds, and is done by the next one; what it sends late does
// nothing else: Deployments are changed only as they were read, and scaled to 0
// again where the record does not have them run; pods are deleted by their UID;
// Secrets are of one start. Whoever creates an owner looks at the epoch
// afterwards: either that shows a newer leader, or the newer leader lists the
// owner. A start that is in the record and lacks its Deployment or its Secret is
// called off by the next leader, and begun again by who asks for it.
//
// # At most one pod
//
// A ReplicaSet replaces a pod as soon as it is being deleted or its node is
// given up, and knows nothing of leaders. So pods are born with a scheduling
// gate, which nobody takes off but this package, and off one pod of a start at
// most: once the record names that pod. The record names the next one only when
// the one before is gone or has ended for good. So of all pods of an instance
// one at most runs, whoever leads, whatever arrives late, and on lost nodes too:
// there the pod before is gone when the node's kubelet says so, or when somebody
// deletes it by force.
//
// The end of a start's pod is the end of the start, whoever caused it: the
// control plane decides whether there is another.
//
// # Ready
//
// Informers tell of pods; nothing is polled or listed. Once the container runs,
// the pod's address is asked directly and often, without waiting for the
// kubelet's next look or for endpoints.
//
// # Logs
//
// A pod takes its log with it. The leader reads the log of each pod that ends
// to its end, and keeps its last part in Config.DataDir; that of a pod that is
// there comes from its node, in every control plane. What is lost: the log of a
// pod whose node does not answer, or that is deleted by force.
package kubernetes
