package controlplane

// ReasonCode types why an app is not runnable or a start failed.
type ReasonCode string

// The typed reasons of spec instances.md §2.
const (
	NoCapacity          ReasonCode = "no_capacity"
	ImagePull           ReasonCode = "image_pull"
	ImageNotAllowed     ReasonCode = "image_not_allowed"
	ImageInvalid        ReasonCode = "image_invalid"
	MissingSecret       ReasonCode = "missing_secret"
	BadBundle           ReasonCode = "bad_bundle"
	Dependencies        ReasonCode = "dependencies"
	WaveServerMissing   ReasonCode = "wave_server_missing"
	NeedsMountNamespace ReasonCode = "needs_mount_namespace"
	PortInUse           ReasonCode = "port_in_use"
	Crashed             ReasonCode = "crashed"
	OOM                 ReasonCode = "oom"
	PortNeverOpened     ReasonCode = "port_never_opened"
	HealthTimeout       ReasonCode = "health_timeout"
	Quota               ReasonCode = "quota"
	LauncherDown        ReasonCode = "launcher_down"
)

// ReasonCodes are all of them.
var ReasonCodes = []ReasonCode{
	NoCapacity, ImagePull, ImageNotAllowed, ImageInvalid, MissingSecret, BadBundle, Dependencies, WaveServerMissing,
	NeedsMountNamespace, PortInUse, Crashed, OOM, PortNeverOpened, HealthTimeout, Quota, LauncherDown,
}

// Reason is a typed reason with one sentence for people: what is wrong and,
// where there is one, the command or the line of app.toml that mends it.
type Reason struct {
	Code ReasonCode `json:"code"`
	Text string     `json:"text"`
}

func (r Reason) String() string { return string(r.Code) + ": " + r.Text }

// ForOthers is the reason for people who may not read the details, which name
// secrets, packages and paths: its code, and one sentence of it that begins with
// a capital (spec instances.md §2).
func (r Reason) ForOthers() Reason {
	text, known := sentences[r.Code]
	if !known {
		text = "Its owner finds the reason with: slipway instance get"
	}
	return Reason{Code: r.Code, Text: text}
}

// sentences are what is told of a reason to others than those who may read its
// details.
var sentences = map[ReasonCode]string{
	NoCapacity:          "There is no room for it right now.",
	ImagePull:           "Its image could not be fetched.",
	ImageNotAllowed:     "Its image is not allowed here.",
	ImageInvalid:        "Its image cannot be used.",
	MissingSecret:       "A secret that it needs is missing.",
	BadBundle:           "Its bundle cannot be used.",
	Dependencies:        "What it needs could not be installed.",
	WaveServerMissing:   "It needs a Wave server, and there is none.",
	NeedsMountNamespace: "It needs a kind of isolation that is not available here.",
	PortInUse:           "Its port is taken.",
	Crashed:             "It ended by itself.",
	OOM:                 "It needed more memory than it may have.",
	PortNeverOpened:     "It did not open its port in time.",
	HealthTimeout:       "It did not say in time that it is well.",
	Quota:               "A limit of its owner is reached.",
	LauncherDown:        "What starts apps does not answer.",
}
