package diagnose

import (
	"regexp"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// pull is a way in which fetching an image fails.
type pull struct {
	texts  []string // one of them occurs in the message
	code   controlplane.ReasonCode
	final  bool
	text   string // with the image's name before it
	mend   string
	during string // the words for visitors while it is not final
}

// pulls are tried in this order: a registry that cannot be reached may be told
// of in words that also occur in a refusal.
var pulls = []pull{
	{texts: []string{"no space left on device"}, code: controlplane.NoCapacity,
		text: "the node's disk is too full for it", mend: "whoever runs the cluster can make room", during: "it waits for room for its image"},
	{texts: []string{"x509:", "certificate"}, code: controlplane.ImagePull, final: true,
		text: "the registry's certificate is not trusted by the node", mend: "whoever runs the cluster can add its authority to the nodes"},
	{texts: []string{"server gave http response to https client"}, code: controlplane.ImagePull, final: true,
		text: "the registry speaks HTTP, and the node HTTPS", mend: "whoever runs the cluster can configure the registry on the nodes"},
	{texts: []string{"no such host", "dial tcp: lookup ", "server misbehaving", "name resolution"}, code: controlplane.ImagePull,
		text: "the node cannot find the registry by its name", mend: "check the name in Runtime.CustomImage", during: "its image's registry is not reached; it is tried again"},
	{texts: []string{"toomanyrequests", "429", "rate limit"}, code: controlplane.ImagePull,
		text: "the registry limits how often images are fetched", mend: "try again later, or use a pull secret of an account with a higher limit", during: "its image's registry asks to wait; it is tried again"},
	{texts: []string{"connection refused", "i/o timeout", "deadline exceeded", "no route to host", "network is unreachable", "tls handshake timeout", "connection reset", "unexpected eof"},
		code: controlplane.ImagePull,
		text: "the node does not reach the registry", mend: "check the name in Runtime.CustomImage; else whoever runs the cluster can look at the network", during: "its image's registry is not reached; it is tried again"},
	{texts: []string{"500 internal", "502 bad", "503 service", "504 gateway"}, code: controlplane.ImagePull,
		text: "the registry fails", mend: "try again later", during: "its image's registry fails; it is tried again"},
	{texts: []string{"no match for platform", "no matching manifest", "exec format"}, code: controlplane.ImageInvalid, final: true,
		text: "there is none for the node's processor", mend: "build it for this platform too"},
	{texts: []string{"unauthorized", "authorization failed", "authentication required", "forbidden", "denied"}, code: controlplane.ImagePull, final: true,
		text: "the registry refuses it: it is private, or not there", mend: "check the name in Runtime.CustomImage; for a private one the operators set pull_secret"},
	{texts: []string{"not found", "manifest unknown", "name unknown"}, code: controlplane.ImagePull, final: true,
		text: "the registry does not have it", mend: "check the name and the tag in Runtime.CustomImage"},
	{texts: []string{"signature", "policy"}, code: controlplane.ImageNotAllowed, final: true,
		text: "the cluster's policy refuses it", mend: "use an image that is signed as the cluster wants it"},
	{texts: []string{"unsupported", "invalid", "mismatch", "failed to extract", "unexpected media type"}, code: controlplane.ImageInvalid, final: true,
		text: "it is damaged, or of a kind that the node does not know", mend: "push it again"},
}

// unpulled is for a container that waits for its image.
func (p *view) unpulled(stage controlplane.Stage, c *corev1.ContainerStatus, w *corev1.ContainerStateWaiting) (Verdict, bool) {
	name := p.image(c.Name)
	switch w.Reason {
	case "InvalidImageName", "InvalidImageID":
		return ended(stage, reason(controlplane.ImageInvalid, "%q is no name of an image; mend Runtime.CustomImage in app.toml", name))
	case "ErrImageNeverPull":
		return ended(stage, reason(controlplane.ImagePull, "the image %s is not on the node, and the cluster does not let it be fetched", name))
	case "SignatureValidationFailed":
		return ended(stage, reason(controlplane.ImageNotAllowed, "the image %s: its signature is not what the cluster wants", name))
	case "ErrImagePull", "ImagePullBackOff", "RegistryUnavailable", "ImageInspectError":
	default:
		return Verdict{}, false
	}
	message := p.pullError(w)
	for _, way := range pulls {
		if !has(message, way.texts...) {
			continue
		}
		r := reason(way.code, "the image %s cannot be fetched: %s; %s", name, way.text, way.mend)
		if way.final {
			return ended(stage, r)
		}
		return slow(stage, way.during, r)
	}
	return slow(stage, "its image cannot be fetched yet; it is tried again",
		reason(controlplane.ImagePull, "the image %s cannot be fetched; whoever runs the cluster finds why in the pod's events", name))
}

// pullError is what a node says of a pull that failed, without the image's name,
// which could hold any word. Before Kubernetes 1.31 only an event has it while
// the node waits for the next try.
func (p *view) pullError(w *corev1.ContainerStateWaiting) string {
	message := w.Message
	if w.Reason == "ImagePullBackOff" && !strings.Contains(message, "ErrImagePull") {
		for _, e := range p.events {
			if e.Reason == "Failed" && strings.HasPrefix(e.Message, "Failed to pull image") {
				message = e.Message
			}
		}
	}
	for _, all := range [][]corev1.Container{p.pod.Spec.Containers, p.pod.Spec.InitContainers} {
		for i := range all {
			message = withoutImage(message, all[i].Image)
		}
	}
	return address.ReplaceAllString(message, "")
}

var address = regexp.MustCompile(`https?://[^\s"]+`)

// withoutImage takes out an image's name, whole and without its registry, tag
// and digest.
func withoutImage(message, image string) string {
	bare, _, _ := strings.Cut(image, "@")
	if slash := strings.LastIndexByte(bare, '/'); strings.LastIndexByte(bare, ':') > slash {
		bare = bare[:strings.LastIndexByte(bare, ':')]
	}
	_, repository, _ := strings.Cut(bare, "/")
	for _, name := range []string{image, bare, repository} {
		if name != "" {
			message = strings.ReplaceAll(message, name, "")
		}
	}
	return message
}

// image is the name of a container's image, as the pod's author wrote it.
func (p *view) image(container string) string {
	for _, all := range [][]corev1.Container{p.pod.Spec.Containers, p.pod.Spec.InitContainers} {
		for i := range all {
			if all[i].Name == container {
				return quote(all[i].Image)
			}
		}
	}
	return ""
}
