package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// Context is where to call the API, and as whom.
type Context struct {
	Endpoint string `toml:"endpoint"`
	Token    string `toml:"token,omitempty"`
	Made     bool   `toml:"made,omitempty"` // the token, by login, for this context alone
}

// contextFile is a configuration file.
type contextFile struct {
	Current  string             `toml:"current"`
	Contexts map[string]Context `toml:"contexts"`
}

// localContext is the name of the context that WriteContext writes.
const localContext = "local"

const maxConfig = 1 << 20

// located is a context, and where it was found.
type located struct {
	Context
	file     string // that was read, or would be written; empty: there is no place for one
	name     string // the context's in the file; empty: none of it
	envToken bool   // the token is SLIPWAY_TOKEN's
	h2o      bool   // the file is one of the App Store's command line
}

// config finds the context of this run.
func (p *program) config() (located, error) {
	if p.compatible() {
		return p.compatConfig()
	}
	return p.ownConfig()
}

// ownConfig is that of slipway. The file is the first of --config,
// SLIPWAY_CONFIG, ./.slipway/cli.toml and ~/.slipway/config.toml; of these the
// last two need not exist. SLIPWAY_ENDPOINT and SLIPWAY_TOKEN override what
// the file says, and need none: with both the file of SLIPWAY_CONFIG need not
// exist either, and with the first no file needs contexts.
//
// A file's token is for the file's endpoint: where SLIPWAY_ENDPOINT names
// another origin it is not sent there.
func (p *program) ownConfig() (located, error) {
	var l located
	whole := p.Env("SLIPWAY_ENDPOINT") != "" && p.Env("SLIPWAY_TOKEN") != ""
	file, asked := p.ownConfigPath()
	if l.file = file; file != "" {
		var err error
		l.name, l.Context, err = p.readConfig(file)
		absent := errors.Is(err, fs.ErrNotExist)
		switch {
		case absent && asked && (p.configFile != "" || !whole):
			return l, p.noFile(file)
		case err == nil, absent, errors.Is(err, errNoContexts) && p.Env("SLIPWAY_ENDPOINT") != "":
		default:
			return l, err
		}
	}
	if endpoint := p.Env("SLIPWAY_ENDPOINT"); endpoint != "" {
		if !sameOrigin(endpoint, l.Endpoint) {
			l.name, l.Token = "", ""
		}
		l.Endpoint = endpoint
	}
	if token := p.Env("SLIPWAY_TOKEN"); token != "" {
		l.Token, l.envToken = token, true
	}
	if l.Endpoint == "" {
		return l, controlplane.Errorf(controlplane.CodeUnauthorized, "no configuration says where Slipway is").WithHint(signInHint)
	}
	return l, nil
}

func (p *program) noFile(name string) error {
	e := controlplane.Errorf(controlplane.CodeNotFound, "read configuration %s: no such file", name)
	if p.compatible() {
		return e.WithHint("slipway config setup URL --conf FILE makes one")
	}
	return e.WithHint("slipway login URL --config FILE makes one; slipway up writes DATA/cli.toml")
}

// configPath is the file to read and to write, and whether the user named it.
func (p *program) configPath() (name string, asked bool) {
	if p.compatible() {
		return p.compatPath()
	}
	return p.ownConfigPath()
}

func (p *program) ownConfigPath() (name string, asked bool) {
	if p.configFile != "" {
		return p.path(p.configFile), true
	}
	if name := p.Env("SLIPWAY_CONFIG"); name != "" {
		return p.path(name), true
	}
	name = p.path(filepath.Join(".slipway", "cli.toml"))
	if _, err := os.Stat(name); err == nil {
		return name, false
	}
	home := p.home()
	if home == "" {
		return "", false
	}
	return filepath.Join(home, ".slipway", "config.toml"), false
}

// home is the user's folder, or empty.
func (p *program) home() string {
	home := p.Env("HOME")
	if home == "" && runtime.GOOS == "windows" {
		home = p.Env("USERPROFILE")
	}
	return home
}

func (p *program) readConfig(name string) (string, Context, error) {
	f, err := p.readContexts(name)
	if err != nil {
		return "", Context{}, err
	}
	return f.current(name)
}

// readContexts reads a file that the user may have named, and warns where
// others may read it too.
func (p *program) readContexts(name string) (contextFile, error) {
	mode, err := configMode(name)
	if err != nil {
		return contextFile{}, err
	}
	f, err := readFile(name)
	p.warnOfMode(name, mode, f.hasToken())
	return f, err
}

// configMode is the mode of a configuration file, which is a regular one.
func configMode(name string) (fs.FileMode, error) {
	info, err := os.Stat(name)
	if err != nil {
		return 0, fmt.Errorf("read configuration: %w", err)
	}
	if !info.Mode().IsRegular() {
		return 0, controlplane.Errorf(controlplane.CodeInvalid, "%s is not a file", name).
			WithHint("give the file that slipway up writes: DATA/cli.toml")
	}
	return info.Mode(), nil
}

func (p *program) warnOfMode(name string, mode fs.FileMode, token bool) {
	if runtime.GOOS != "windows" && mode.Perm()&0o077 != 0 && token {
		p.warn("%s holds a token and is open to others on this machine; mend it with: chmod 600 %s", name, name)
	}
}

func (f *contextFile) hasToken() bool {
	for _, c := range f.Contexts {
		if c.Token != "" {
			return true
		}
	}
	return false
}

// ReadContext reads the current context of a configuration file. The error is
// fs.ErrNotExist where there is no file.
func ReadContext(path string) (Context, error) {
	f, err := readFile(path)
	if err != nil {
		return Context{}, err
	}
	_, c, err := f.current(path)
	return c, err
}

// ReadLocalContext reads the context that WriteContext writes, whichever is
// current; without one it is empty.
func ReadLocalContext(path string) (Context, error) {
	f, err := readFile(path)
	return f.Contexts[localContext], err
}

// current is the context that the file says is current, or its only one.
func (f *contextFile) current(path string) (string, Context, error) {
	names := f.names()
	name := f.Current
	if name == "" && len(names) == 1 {
		name = names[0]
	}
	c, ok := f.Contexts[name]
	switch {
	case len(names) == 0:
		return "", c, noContexts(path)
	case ok && c.Endpoint == "":
		return name, c, controlplane.Errorf(controlplane.CodeInvalid, "read configuration %s: context %q has no endpoint", path, name)
	case ok:
		return name, c, nil
	case f.Current == "":
		return "", c, controlplane.Errorf(controlplane.CodeInvalid, "read configuration %s: it does not say which context is current", path).
			WithHint("slipway config use-context NAME says so; it has the contexts: %s", strings.Join(names, ", "))
	}
	return "", c, noContext(path, name, names)
}

// errNoContexts is the cause where a configuration file has none.
var errNoContexts = errors.New("it has no contexts")

func noContexts(path string) error {
	e := controlplane.Errorf(controlplane.CodeInvalid, "read configuration %s: %v", path, errNoContexts)
	e.Cause = errNoContexts
	return e.WithHint("slipway login URL or slipway config setup makes one; SLIPWAY_ENDPOINT and SLIPWAY_TOKEN need none")
}

func noContext(path, name string, names []string) error {
	if len(names) == 0 {
		return noContexts(path)
	}
	return controlplane.Errorf(controlplane.CodeInvalid, "read configuration %s: no context %q", path, name).
		WithHint("it has the contexts: %s", strings.Join(names, ", "))
}

func (f *contextFile) names() []string { return slices.Sorted(maps.Keys(f.Contexts)) }

func readFile(path string) (contextFile, error) {
	var f contextFile
	data, err := readConfigText(path, maxConfig)
	if err != nil {
		return f, err
	}
	if err := toml.Unmarshal(data, &f); err != nil {
		where := path
		if d, ok := errors.AsType[*toml.DecodeError](err); ok {
			line, column := d.Position()
			where = fmt.Sprintf("%s:%d:%d", path, line, column)
		}
		return f, controlplane.Errorf(controlplane.CodeInvalid, "read configuration %s: %v", where, err).
			WithHint("mend it, or move it away and sign in again with: slipway login URL")
	}
	return f, nil
}

// readConfigText reads a configuration file of at most so many bytes.
func readConfigText(path string, most int) ([]byte, error) {
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrPermission) {
		unreadable := controlplane.Errorf(controlplane.CodeInvalid, "read configuration %s: you may not read it", path).WithHint("mend it with: chmod 600 %s, as its owner", path)
		unreadable.Cause = err
		return nil, unreadable
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, int64(most)+1))
	if err == nil && len(data) > most {
		err = fmt.Errorf("it has more than %d bytes", most)
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration %s: %w", path, err)
	}
	return data, nil
}

func sameOrigin(a, b string) bool {
	x, errX := url.Parse(a)
	y, errY := url.Parse(b)
	return errX == nil && errY == nil && strings.EqualFold(x.Scheme, y.Scheme) && strings.EqualFold(x.Host, y.Host)
}
