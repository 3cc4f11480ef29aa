package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"

	"github.com/pelletier/go-toml/v2"
)

// WriteContext makes endpoint and token the context "local" of a
// configuration file, and the current one. Other contexts stay. The file
// appears whole or not at all, with mode 0600; its folder is made.
func WriteContext(path string, endpoint, token string) error {
	return editContexts(path, func(f *contextFile) error {
		f.Current, f.Contexts[localContext] = localContext, Context{Endpoint: endpoint, Token: token}
		return nil
	})
}

// editContexts changes a configuration file, or makes one, by rename.
func editContexts(path string, edit func(*contextFile) error) error {
	f, err := readFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if f.Contexts == nil {
		f.Contexts = map[string]Context{}
	}
	if err := edit(&f); err != nil {
		return err
	}
	var data bytes.Buffer
	if err := toml.NewEncoder(&data).Encode(f); err != nil {
		return fmt.Errorf("write configuration %s: %w", path, err)
	}
	return writeConfigText(path, &data)
}

// writeConfigText writes a configuration file by rename, with mode 0600, and
// makes its folder.
func writeConfigText(path string, text io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("write configuration: %w", err)
	}
	if err := replaceFile(path, text, 0o600); err != nil {
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

// contextFor is the name that the context of an endpoint has in the file, or
// would have: that of its host.
func (f *contextFile) contextFor(endpoint string) string {
	if c, ok := f.Contexts[f.Current]; ok && c.Endpoint == endpoint {
		return f.Current
	}
	for _, name := range f.names() {
		if f.Contexts[name].Endpoint == endpoint {
			return name
		}
	}
	if u, err := url.Parse(endpoint); err == nil {
		if _, taken := f.Contexts[u.Host]; !taken {
			return u.Host
		}
	}
	return endpoint
}
