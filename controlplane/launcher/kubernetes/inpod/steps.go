package inpod

import (
	"path"
	"path/filepath"
	"time"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// Where things are in a pod. The app's root is the App Store's.
const (
	AppDir  = "/app"
	EnvDir  = "/slipway/env"  // of virtual environments, see Current
	WorkDir = "/slipway/work" // HOME, and what a Wave server keeps
	TempDir = "/tmp"
	BinDir  = "/slipway/bin"
	Program = BinDir + "/slipway-pod"

	BundleFile = "/slipway/bundle/bundle.json" // a Bundle
	RunFile    = "/slipway/run/run.json"       // a Run

	// TerminationLog is where the kubelet finds a container's last words.
	TerminationLog = "/dev/termination-log"
)

// HomeDir is the app's HOME.
const HomeDir = WorkDir + "/home"

// Current is a file in EnvDir with the name of the folder beside it that is the
// app's environment. Without one the app has no packages of its own.
const Current = "current"

// The names of the steps, which are the program's first argument.
const (
	StepBundle       = "bundle"
	StepDependencies = "dependencies"
	StepRun          = "run"
)

// Failed is the exit code of a step that left a reason.
const Failed = 3

// Bundle is what the first step is given. It holds the link, which is a secret.
type Bundle struct {
	URL    string // http or https
	Host   string // of the request, and the name in the certificate
	CA     []byte // PEM, of who signed the certificate; empty: what the image trusts
	Digest string // SHA-256 of the archive, hexadecimal
	Limit  int64  // bytes of the archive at most
	// Patience is how long the control plane may fail to answer.
	Patience time.Duration

	Program string // where the program is put
	App     string // the empty folder to unpack to
	Scratch string // a folder for the archive, until it is unpacked
	Files   []File // that hold no secret, by relative paths
}

// Run is what the last step is given.
type Run struct {
	Mode       controlplane.AppMode
	Module     string   // of Python and Wave
	EntryPoint []string // of binary
	Args       []string // of binary
	App        string
	Env        string // see EnvDir
	Work       string // see WorkDir
	Port       int    // of the app, on all addresses
	Patience   time.Duration
	Files      []File // that hold secrets, by relative paths
}

// File is a [[File]].
type File struct {
	Path  string
	Value []byte // may be no text
}

// InApp reports whether the name is that of a file below the app's root.
func InApp(name string) bool { return filepath.IsLocal(name) }

// Relative are the manifest's files with relative paths, those that hold secrets
// or those that hold none.
func Relative(all []controlplane.File, secret bool) (files []File) {
	for _, f := range all {
		if (f.Secret != "") == secret && !path.IsAbs(f.Path) {
			files = append(files, File{Path: f.Path, Value: []byte(f.Value)})
		}
	}
	return files
}
