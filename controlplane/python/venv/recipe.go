package venv

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed-dbc68772/slipway/controlplane/python"
)

// ErrStep is the error of a step that ran and failed; its cause is in what it
// wrote.
var ErrStep = errors.New("the step failed")

// ErrNoVenv is the error where the interpreter cannot make environments: Debian
// has the modules in a package of their own.
var ErrNoVenv = errors.New("its module venv or ensurepip is missing")

// Recipe is what an environment is made of. All fields are required.
type Recipe struct {
	Interpreter  python.Interpreter
	Requirements python.Requirements
	From         string // where Requirements.Copy wrote; steps work there
	Dir          string // the environment; it is not there yet

	// Run executes a step in From and waits for its end; ErrStep where it fails.
	Run func(ctx context.Context, program string, args ...string) error
	// Said is what the steps have written, its end at least.
	Said     func() string
	Progress *Progress
}

// Make makes the environment. The error is for people: ErrNoVenv, what pip says
// of its failure, or why a step could not run.
func (r Recipe) Make(ctx context.Context) error {
	r.Progress.begin(0, "making a Python environment")
	if err := r.Run(ctx, r.Interpreter.Path, "-I", "-m", "venv", r.Dir); err != nil {
		if text := r.Said(); strings.Contains(text, "ensurepip") || strings.Contains(text, "No module named") {
			return fmt.Errorf("%s cannot make virtual environments: %w", r.Interpreter.Path, ErrNoVenv)
		}
		return r.failed("python3 -m venv", err)
	}
	r.Progress.begin(madePercent, "installing packages")
	r.Progress.site = sitePackages(r.Dir)
	pip := []string{"-I", "-m", "pip", "install", "--disable-pip-version-check", "--no-input"}
	if TellsRaw(r.Progress.site) {
		pip = append(pip, "--progress-bar=raw")
	}
	folders := r.Requirements.Folders(r.From)
	for _, d := range folders {
		pip = append(pip, "--find-links", d)
	}
	pip = append(pip, "-r", "requirements.txt")
	interpreter := Interpreter(r.Dir)
	var err error
	if len(folders) > 0 { // offline first
		err = r.Run(ctx, interpreter, slices.Concat(pip, []string{"--no-index"})...)
	}
	if len(folders) == 0 || err != nil && ctx.Err() == nil {
		err = r.Run(ctx, interpreter, pip...)
	}
	if err != nil {
		return r.failed("pip", err)
	}
	return nil
}

// Interpreter is the one of an environment.
func Interpreter(dir string) string { return filepath.Join(dir, "bin", "python") }

// failed is the failure of a step, by the last error that it wrote.
func (r Recipe) failed(step string, err error) error {
	if !errors.Is(err, ErrStep) {
		return fmt.Errorf("the Python environment cannot be built: %s: %w", step, err)
	}
	return fmt.Errorf("the packages of requirements.txt cannot be installed: %s", lastError(r.Said(), step))
}

// lastError is pip's last line that begins with ERROR, or its last line at all.
func lastError(text, step string) string {
	last := ""
	for _, line := range slices.Backward(strings.Split(text, "\n")) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "ERROR:") {
			return strings.TrimSpace(strings.TrimPrefix(line, "ERROR:"))
		}
		if last == "" {
			last = line
		}
	}
	if last == "" {
		return fmt.Sprintf("%s failed without a word", step)
	}
	return last
}

// Settings are the variables of an environment that pip is set by and finds its
// way out with. Whatever else is there is not for code that packages bring.
func Settings(environ []string) (env []string) {
	for _, entry := range environ {
		name, _, _ := strings.Cut(entry, "=")
		switch name {
		case "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
			"SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE":
			env = append(env, entry)
		default:
			if strings.HasPrefix(name, "PIP_") {
				env = append(env, entry)
			}
		}
	}
	return env
}
