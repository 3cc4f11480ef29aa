package cli

import (
	"bytes"
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
}

// contextFile is a configuration file.
type contextFile struct {
	Current  string             `toml:"current"`
	Contexts map[string]Context `toml:"contexts"`
}

// localContext is the name of the context that WriteContext writes.
const localContext = "local"

const maxConfig = 1 << 20

// config finds the context of this run. The file is the first of --config,
// SLIPWAY_CONFIG, ./.slipway/cli.toml and ~/.slipway/config.toml; of these the
// last two need not exist. SLIPWAY_ENDPOINT and SLIPWAY_TOKEN override what
// the file says, and need none.
//
// A file's token is for the file's endpoint: where SLIPWAY_ENDPOINT names
// another origin it is not sent there.
func (p *program) config() (Context, error) {
	var c Context
	if name, asked := p.configPath(); name != "" {
		var err error
		if c, err = p.readConfig(name); errors.Is(err, fs.ErrNotExist) && asked {
			return c, controlplane.Errorf(controlplane.CodeNotFound, "read configuration %s: no such file", name)
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return c, err
		}
	}
	if endpoint := p.Env("SLIPWAY_ENDPOINT"); endpoint != "" {
		if !sameOrigin(endpoint, c.Endpoint) {
			c.Token = ""
		}
		c.Endpoint = endpoint
	}
	if token := p.Env("SLIPWAY_TOKEN"); token != "" {
		c.Token = token
	}
	if c.Endpoint == "" {
		return c, controlplane.Errorf(controlplane.CodeUnauthorized, "no configuration says where Slipway is").WithHint(signInHint)
	}
	return c, nil
}

// configPath is the file to read, and whether the user named it.
func (p *program) configPath() (name string, asked bool) {
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
	home := p.Env("HOME")
	if home == "" && runtime.GOOS == "windows" {
		home = p.Env("USERPROFILE")
	}
	if home == "" {
		return "", false
	}
	return filepath.Join(home, ".slipway", "config.toml"), false
}

func (p *program) readConfig(name string) (Context, error) {
	info, err := os.Stat(name)
	if err != nil {
		return Context{}, fmt.Errorf("read configuration: %w", err)
	}
	if !info.Mode().IsRegular() {
		return Context{}, controlplane.Errorf(controlplane.CodeInvalid, "%s is not a file", name).
			WithHint("give the file that slipway up writes: DATA/cli.toml")
	}
	if runtime.GOOS != "windows" && info.Mode().Perm()&0o077 != 0 {
		p.warn("%s holds a token and is open to others on this machine; mend it with: chmod 600 %s", name, name)
	}
	return ReadContext(name)
}

// ReadContext reads the current context of a configuration file. The error is
// fs.ErrNotExist where there is no file.
func ReadContext(path string) (Context, error) {
	f, err := readFile(path)
	if err != nil {
		return Context{}, err
	}
	names := slices.Sorted(maps.Keys(f.Contexts))
	name := f.Current
	if name == "" && len(names) == 1 {
		name = names[0]
	}
	c, ok := f.Contexts[name]
	switch {
	case ok && c.Endpoint == "":
		return c, controlplane.Errorf(controlplane.CodeInvalid, "read configuration %s: context %q has no endpoint", path, name)
	case ok:
		return c, nil
	case f.Current == "":
		return c, controlplane.Errorf(controlplane.CodeInvalid, "read configuration %s: it does not say which context is current", path).
			WithHint(`add current = "NAME" at the top; it has the contexts: %s`, strings.Join(names, ", "))
	}
	return c, controlplane.Errorf(controlplane.CodeInvalid, "read configuration %s: no context %q", path, name).
		WithHint("it has the contexts: %s", strings.Join(names, ", "))
}

func readFile(path string) (contextFile, error) {
	var f contextFile
	file, err := os.Open(path)
	if err != nil {
		return f, fmt.Errorf("read configuration: %w", err)
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxConfig+1))
	if err == nil && len(data) > maxConfig {
		err = fmt.Errorf("it has more than %d bytes", maxConfig)
	}
	if err != nil {
		return f, fmt.Errorf("read configuration %s: %w", path, err)
	}
	if err := toml.Unmarshal(data, &f); err != nil {
		where := path
		if d, ok := errors.AsType[*toml.DecodeError](err); ok {
			line, column := d.Position()
			where = fmt.Sprintf("%s:%d:%d", path, line, column)
		}
		return f, controlplane.Errorf(controlplane.CodeInvalid, "read configuration %s: %v", where, err)
	}
	return f, nil
}

// WriteContext makes endpoint and token the context "local" of a
// configuration file, and the current one. Other contexts stay. The file
// appears whole or not at all, with mode 0600; its folder is made.
func WriteContext(path string, endpoint, token string) error {
	f, err := readFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if f.Contexts == nil {
		f.Contexts = map[string]Context{}
	}
	f.Current, f.Contexts[localContext] = localContext, Context{Endpoint: endpoint, Token: token}
	var data bytes.Buffer
	if err := toml.NewEncoder(&data).Encode(f); err != nil {
		return fmt.Errorf("write configuration %s: %w", path, err)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	if err := replaceFile(path, &data, 0o600); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	return nil
}

// replaceFile puts a file with that content in the place of path, by rename.
func replaceFile(path string, content io.Reader, mode fs.FileMode) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			tmp.Close()
			os.Remove(tmp.Name())
		}
	}()
	if _, err := io.Copy(tmp, content); err != nil {
		return err
	}
	if err := tmp.Chmod(mode); err != nil {
		return err
	}
	if err := tmp.Sync(); err != nil {
		return err
	}
	if err := tmp.Close(); err != nil {
		return err
	}
	return os.Rename(tmp.Name(), path)
}

func sameOrigin(a, b string) bool {
	x, errX := url.Parse(a)
	y, errY := url.Parse(b)
	return errX == nil && errY == nil && strings.EqualFold(x.Scheme, y.Scheme) && strings.EqualFold(x.Host, y.Host)
}
