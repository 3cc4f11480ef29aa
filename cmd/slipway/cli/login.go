package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/seed-dbc68772/slipway/controlplane"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// loginFlags are those of login and config setup.
type loginFlags struct {
	token, noBrowser bool
	name, context    string
	scopes           []string
}

func (p *program) loginFlags(c *cobra.Command) *loginFlags {
	var f loginFlags
	tokenFlag(c, &f.token, "sign in with a token, read from standard input (on a terminal without echo)")
	c.Flags().BoolVar(&f.noBrowser, "no-browser", false, "do not open a browser here")
	c.Flags().StringSliceVar(&f.scopes, "scopes", nil, "bound what the new token is good for: `SCOPES` of read, write, open, admin")
	c.Flags().StringVar(&f.name, "name", "", "the `NAME` to list the new token by (default \"slipway on\" and this machine's name)")
	if p.compatible() {
		return &f // its file has no contexts
	}
	c.Flags().StringVar(&f.context, "context", "", "save it as the context `NAME` (default the endpoint's context, or its host)")
	return &f
}

func (p *program) login() *cobra.Command {
	c := &cobra.Command{
		Use:   "login [URL]",
		Short: "Sign in",
		Long: `Sign in at the console of a Slipway, or again where the current context is.

It prints an address and a code: open that in a browser, on this or any other
machine, sign in there, and approve the code. It works over SSH. The token that
comes of it is saved in the configuration file, as a context. The one that was
made for this context before ends, and with it those that were made with it.

A token of your own, made with "slipway token create" or at the console, is
taken with --token, from standard input and never from the command line, where
every user of the machine could read it.

--link prints a link that signs you in at the console, once and within a
minute: for the admin of an installation without a provider.`,
		Example: `  slipway login https://console.example.com
  slipway login --token < token.txt
  slipway login --link`,
		Args: takes(0, 1),
	}
	link := c.Flags().Bool("link", false, "print a link that signs in at the console")
	f := p.loginFlags(c)
	c.RunE = func(c *cobra.Command, args []string) error {
		if *link {
			if len(args) > 0 || !onlyFlags(c, "link", "config", "conf") {
				return usageError(c, "--link is for the current context, and takes nothing else")
			}
			return p.loginLink(c.Context())
		}
		return p.signIn(c, args, f)
	}
	return c
}

// onlyFlags reports whether no other flags were given.
func onlyFlags(c *cobra.Command, names ...string) bool {
	only := true
	c.Flags().Visit(func(f *pflag.Flag) { only = only && slices.Contains(names, f.Name) })
	return only
}

// loginLink prints a one-time link to the console.
func (p *program) loginLink(ctx context.Context) error {
	api, err := p.client()
	if err != nil {
		return err
	}
	info, err := api.LoginInfo(ctx)
	if err != nil {
		return err
	}
	if info.Provider != nil {
		return controlplane.Errorf(controlplane.CodeConflict, "%s signs people in here, not a link", oneLine(*info.Provider)).
			WithHint("open %s in a browser", info.ConsoleURL)
	}
	l, err := api.LoginLink(ctx)
	if err != nil {
		return err
	}
	p.say("it signs you in once, within %.0f s:", max(0, l.ExpiresAt.Sub(p.now()).Seconds()))
	_, err = fmt.Fprintln(p.Out, oneLine(l.URL))
	return err
}

// signIn gets a token for an endpoint and saves both as a context.
func (p *program) signIn(c *cobra.Command, args []string, f *loginFlags) error {
	if c.Flags().Changed("scopes") && len(f.scopes) == 0 {
		return emptyScopes(c)
	}
	endpoint, err := p.loginEndpoint(c, args)
	if err != nil {
		return err
	}
	if f.context != "" && f.context != oneLine(f.context) {
		return usageError(c, "%q is no name for a context", f.context)
	}
	file, _ := p.configPath()
	if file == "" {
		return controlplane.Errorf(controlplane.CodeInvalid, "there is no place for a configuration file").WithHint("name one with --%s FILE", p.configFlag())
	}
	if err := p.checkConfig(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // now, not after somebody has signed in
	}
	ctx := c.Context()
	anonymous, err := client.New(client.Config{Endpoint: endpoint})
	if err != nil {
		return err
	}
	endpoint = anonymous.Endpoint()
	if plainText(endpoint) {
		p.warn("%s has no encryption: whoever is on the way reads the token and can use it", endpoint)
	}
	info, err := anonymous.LoginInfo(ctx)
	if err != nil {
		return err
	}
	token := ""
	if f.token {
		token, err = p.pastedToken(ctx)
	} else {
		token, err = p.deviceToken(ctx, anonymous, info, f)
	}
	if err != nil {
		return err
	}
	return p.saveToken(ctx, saving{file: file, context: f.context, endpoint: endpoint, token: token, made: !f.token})
}

// loginEndpoint is where to sign in: as given, or where the context is.
func (p *program) loginEndpoint(c *cobra.Command, args []string) (string, error) {
	if len(args) == 0 {
		l, err := p.config()
		if l.Endpoint != "" {
			return l.Endpoint, nil // whatever its token is
		}
		if controlplane.CodeOf(err) == controlplane.CodeUnauthorized || controlplane.CodeOf(err) == controlplane.CodeNotFound {
			return "", usageError(c, "the URL is missing, and no configuration has one")
		}
		return l.Endpoint, err
	}
	target := args[0]
	switch {
	case target != redact(target):
		return "", usageError(c, "a token is no argument: every user of this machine could read it. Give it on standard input, with --token")
	case !strings.Contains(target, "://"):
		scheme := "https://"
		if u, err := url.Parse("http://" + target); err == nil && loopback(u.Hostname()) {
			scheme = "http://"
		}
		target = scheme + target
	}
	return target, nil
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return client.IsLocalhost(host) || err == nil && ip.IsLoopback()
}

// plainText reports whether a token travels readable to an endpoint.
func plainText(endpoint string) bool {
	u, err := url.Parse(endpoint)
	return err == nil && u.Scheme == "http" && !loopback(u.Hostname())
}

// pastedToken reads a token.
func (p *program) pastedToken(ctx context.Context) (string, error) {
	token, err := p.secret(ctx, "Token")
	switch {
	case err != nil:
		return "", err
	case token == "":
		return "", controlplane.Errorf(controlplane.CodeInvalid, "there is no token on standard input").WithHint("for example: slipway login --token < token.txt")
	case !ownToken(token):
		// It may be a password, which is nobody's business but its owner's.
		return "", controlplane.Errorf(controlplane.CodeInvalid, "that is no token of Slipway: those begin with slw_, and have no spaces").
			WithHint("make one at the console, or with: slipway token create")
	}
	return token, nil
}

// ownToken reports whether it is a token of Slipway, whole.
func ownToken(s string) bool { return tokens.MatchString(s) && redact(s) == "slw_…" }

// saving is a token to save.
type saving struct {
	file, context, endpoint, token string
	made                           bool // for this context: nobody else has it
}

// saveToken checks a token and saves it. One that was made for the context and
// cannot be saved is revoked.
func (p *program) saveToken(ctx context.Context, s saving) error {
	api, err := client.New(client.Config{Endpoint: s.endpoint, Token: s.token})
	if err != nil {
		return err
	}
	me, err := api.Me(ctx)
	if client.CodeOf(err) == controlplane.CodeUnauthorized && err != nil {
		return controlplane.Errorf(controlplane.CodeUnauthorized, "%s does not take this token: it has expired or was revoked, or is another server's", s.endpoint).
			WithHint("nothing was saved; sign in with a browser: slipway login %s", s.endpoint)
	}
	var before Context
	if err == nil {
		before, err = p.keepToken(&s)
	}
	if err != nil {
		if s.made {
			// Its own time: Ctrl-C may be why it cannot be saved.
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			err = errors.Join(err, api.RevokeToken(last, client.CurrentToken))
		}
		return err
	}
	until := ""
	if me.ExpiresAt != nil {
		until = ", until " + stamp(me.ExpiresAt) + " UTC"
	}
	p.say("signed in to %s as %s%s", s.endpoint, oneLine(me.User), until)
	if s.context == "" {
		p.say("saved in %s", s.file)
	} else {
		p.say("saved as context %s in %s", oneLine(s.context), s.file)
	}
	if before.Made && before.Token != s.token {
		p.endToken(ctx, before)
	}
	p.warnOfEnvironment(s.endpoint)
	return nil
}

// keepToken writes a token to the configuration file. It returns what was there
// before, and puts the name of the context into s.
func (p *program) keepToken(s *saving) (before Context, err error) {
	if p.compatible() {
		return p.compatKeepToken(s)
	}
	err = editContexts(s.file, func(f *contextFile) error {
		if s.context == "" {
			s.context = f.contextFor(s.endpoint)
		}
		before = f.Contexts[s.context]
		f.Current, f.Contexts[s.context] = s.context, Context{Endpoint: s.endpoint, Token: s.token, Made: s.made}
		return nil
	})
	return before, err
}

// endToken ends a token that login made for a context which has another one now:
// nobody has it any more.
func (p *program) endToken(ctx context.Context, c Context) {
	api, err := client.New(client.Config{Endpoint: c.Endpoint, Token: c.Token})
	if err == nil {
		err = api.RevokeToken(ctx, client.CurrentToken)
	}
	if err != nil && client.CodeOf(err) != controlplane.CodeUnauthorized { // it had ended before
		p.warn("the token that was saved before goes on, since it could not be ended: %v; slipway token list shows it, slipway token revoke ends it", err)
	}
}

// warnOfEnvironment tells where the environment goes before what was saved.
func (p *program) warnOfEnvironment(endpoint string) {
	if p.Env("SLIPWAY_TOKEN") != "" {
		p.warn("SLIPWAY_TOKEN is set, and goes before what was saved")
	}
	if other := p.Env("SLIPWAY_ENDPOINT"); other != "" && !sameOrigin(other, endpoint) {
		p.warn("SLIPWAY_ENDPOINT is set, and goes before what was saved")
	}
}
