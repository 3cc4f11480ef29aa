package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/seed-dbc68772/slipway/cmd/slipway/cli/h2oconfig"
	"github.com/seed-dbc68772/slipway/controlplane"
)

// configFlag is the name of the flag that names the configuration file.
func (p *program) configFlag() string {
	if p.compatible() {
		return "conf"
	}
	return "config"
}

// compatPath is the App Store's configuration file, and whether the user named
// it: --conf, H2OCONFIG, or the one of the home folder.
func (p *program) compatPath() (name string, asked bool) {
	if p.configFile != "" {
		return p.path(p.configFile), true
	}
	if name := p.Env("H2OCONFIG"); name != "" {
		return p.path(name), true
	}
	home := p.home()
	if home == "" {
		return "", false
	}
	return filepath.Join(home, ".h2oai", "h2o-cli-config.toml"), false
}

// compatConfig is the context of the App Store's configuration file. What the
// file does not say SLIPWAY_ENDPOINT and SLIPWAY_TOKEN do; a token of either
// goes to that one's endpoint only. Where nobody has named a file, and the home
// folder's says nothing, the configuration is slipway's own. A named file may be
// one of slipway's, too.
func (p *program) compatConfig() (located, error) {
	file, asked := p.compatPath()
	l := located{file: file, h2o: true}
	f, err := p.readCompat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist) && asked:
		return l, p.noFile(file)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return l, err
	}
	endpoint, token := p.Env("SLIPWAY_ENDPOINT"), p.Env("SLIPWAY_TOKEN")
	l.Endpoint, l.Token = f.Get(h2oconfig.Endpoint), f.Get(h2oconfig.Token)
	switch {
	case l.Endpoint != "":
	case !asked:
		return p.compatOwnConfig()
	case slices.Contains(f.Others(), "contexts"):
		l.h2o = false
		l.name, l.Context, err = p.readConfig(file)
		return l, err
	case endpoint != "":
		l.Endpoint, l.Token = endpoint, ""
	default:
		return l, controlplane.Errorf(controlplane.CodeInvalid, "%s has no Endpoint", file).WithHint("slipway config setup URL --conf %s writes it", file)
	}
	if !ownToken(l.Token) && token != "" && (endpoint == "" || sameOrigin(endpoint, l.Endpoint)) {
		l.Token, l.envToken = token, true
	}
	if l.Token != "" && !l.envToken && !ownToken(l.Token) {
		l.Token = "" // an App Store's, and nobody else's business
		return l, controlplane.Errorf(controlplane.CodeUnauthorized, "the token in %s is none of Slipway, whose tokens begin with slw_", file).
			WithHint("sign in with: slipway config setup %s; or replace it with: slipway config update-token < token.txt", l.Endpoint)
	}
	return l, nil
}

// compatOwnConfig is slipway's configuration, for h2o.
func (p *program) compatOwnConfig() (located, error) {
	l, err := p.ownConfig()
	if e, ok := errors.AsType[*controlplane.Error](err); ok && e.Code == controlplane.CodeUnauthorized {
		with := *e
		return l, with.WithHint("set it up with: slipway config setup URL")
	}
	return l, err
}

// readCompat reads a file of the App Store's command line, and warns where
// others may read it too.
func (p *program) readCompat(file string) (*h2oconfig.File, error) {
	f, mode, err := loadCompat(file)
	p.warnOfMode(file, mode, f.Get(h2oconfig.Token)+f.Get(h2oconfig.PlatformToken) != "")
	return f, err
}

// loadCompat returns an empty file beside an error, and where no file is named.
func loadCompat(file string) (*h2oconfig.File, fs.FileMode, error) {
	empty := &h2oconfig.File{}
	if file == "" {
		return empty, 0, nil
	}
	mode, err := configMode(file)
	if err != nil {
		return empty, 0, err
	}
	text, err := readConfigText(file, h2oconfig.MaxSize)
	if err != nil {
		return empty, 0, err
	}
	f, err := h2oconfig.Parse(text)
	if err != nil {
		return empty, 0, controlplane.Errorf(controlplane.CodeInvalid, "read configuration %s: %v", file, err).
			WithHint("mend it, or move it away and set it up again with: slipway config setup URL")
	}
	return f, mode, nil
}

// checkConfig reads the configuration file that is about to be written.
func (p *program) checkConfig(file string) (err error) {
	if p.compatible() {
		_, err = p.readCompat(file)
	} else {
		_, err = p.readContexts(file)
	}
	return err
}

// compatKeepToken is keepToken: it writes Endpoint and Token, and leaves the
// rest.
func (p *program) compatKeepToken(s *saving) (before Context, err error) {
	f, _, err := loadCompat(s.file)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return before, err
	}
	before = Context{Endpoint: f.Get(h2oconfig.Endpoint), Token: f.Get(h2oconfig.Token)}
	if f, err = f.With(h2oconfig.Token, s.token); err == nil {
		f, err = f.With(h2oconfig.Endpoint, s.endpoint)
	}
	if err != nil {
		return before, fmt.Errorf("write configuration %s: %w", s.file, err)
	}
	if err := writeConfigText(s.file, bytes.NewReader(f.Text())); err != nil {
		return before, err
	}
	if ownToken(before.Token) && before.Token != s.token {
		p.say("the token that was there before goes on: slipway token list shows it, slipway token revoke ends it")
	}
	return before, nil
}

// compatForgetToken takes the token that was used out of its file.
func (p *program) compatForgetToken() error {
	f, _, err := loadCompat(p.used.file)
	if err != nil || f.Get(h2oconfig.Token) != p.used.Token {
		return err
	}
	if f, err = f.With(h2oconfig.Token, ""); err != nil {
		return fmt.Errorf("write configuration %s: %w", p.used.file, err)
	}
	return writeConfigText(p.used.file, bytes.NewReader(f.Text()))
}

func (p *program) compatUpdateToken(ctx context.Context) error {
	file, f, err := p.compatFile()
	if err != nil {
		return err
	}
	endpoint := f.Get(h2oconfig.Endpoint)
	if endpoint == "" {
		return controlplane.Errorf(controlplane.CodeInvalid, "%s has no Endpoint", file).WithHint("slipway config setup URL writes it")
	}
	token, err := p.pastedToken(ctx)
	if err != nil {
		return err
	}
	return p.saveToken(ctx, saving{file: file, endpoint: endpoint, token: token})
}

// compatFile is the file, which must be there.
func (p *program) compatFile() (string, *h2oconfig.File, error) {
	file, _ := p.compatPath()
	f, err := p.readCompat(file)
	if file == "" || errors.Is(err, fs.ErrNotExist) {
		return file, f, controlplane.Errorf(controlplane.CodeNotFound, "there is no configuration file %s", file).WithHint("slipway config setup URL makes one")
	}
	return file, f, err
}

// compatConfigView shows the App Store's keys of the file, without tokens.
func (p *program) compatConfigView() error {
	file, f, err := p.compatFile()
	if err != nil {
		return err
	}
	value, line := map[string]string{"file": file}, ""
	for _, key := range h2oconfig.Keys() {
		text := f.Get(key)
		if text == "" {
			continue
		}
		if key == h2oconfig.Token || key == h2oconfig.PlatformToken {
			text = mask(text)
		}
		value[string(key)] = text
		line += fmt.Sprintf("%s = %q\n", key, oneLine(text))
	}
	return p.print(view{value: value, text: func(w io.Writer, _ bool) error {
		_, err := fmt.Fprintf(w, "# %s\n%s", oneLine(file), line)
		return err
	}})
}
