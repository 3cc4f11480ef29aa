package cli

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

func (p *program) logout() *cobra.Command {
	c := &cobra.Command{
		Use:   "logout",
		Short: "Sign out",
		Long: `Sign out: the token of the current context ends, and is taken out of the
configuration file. --everywhere ends your sign-ins in browsers too, on every
machine; your other tokens go on (slipway token list).`,
		Args: takes(0, 0),
	}
	everywhere := c.Flags().Bool("everywhere", false, "end your sign-ins in all browsers too")
	c.RunE = func(c *cobra.Command, _ []string) error {
		api, err := p.client()
		if err != nil {
			return err
		}
		if p.used.Token == "" {
			p.say("nobody was signed in to %s", api.Endpoint())
			return nil
		}
		err = api.Logout(c.Context(), *everywhere)
		ended := err != nil && client.CodeOf(err) == controlplane.CodeUnauthorized
		if err != nil && !ended {
			return err
		}
		if removed := p.forgetToken(); removed != nil || ended && *everywhere {
			return errors.Join(removed, err)
		}
		if ended {
			p.say("the token had ended before")
		}
		p.say("signed out of %s", api.Endpoint())
		p.afterLogout(c.Context(), api.Endpoint())
		return nil
	}
	return c
}

// afterLogout tells how to come back to an installation without a provider.
func (p *program) afterLogout(ctx context.Context, endpoint string) {
	anonymous, err := client.New(client.Config{Endpoint: endpoint})
	if err != nil {
		return
	}
	if info, err := anonymous.LoginInfo(ctx); err == nil && info.Provider == nil {
		p.say("without a provider a link signs in there: slipway up prints one when it starts, and slipway login --link in its folder")
	}
}

// forgetToken takes the token that was used out of its file.
func (p *program) forgetToken() error {
	if p.used.envToken {
		p.warn("SLIPWAY_TOKEN still holds the token, which is good for nothing now")
		return nil
	}
	if p.used.h2o {
		return p.compatForgetToken()
	}
	return editContexts(p.used.file, func(f *contextFile) error {
		c := f.Contexts[p.used.name]
		if c.Token == p.used.Token {
			c.Token = ""
			f.Contexts[p.used.name] = c
		}
		return nil
	})
}

func (p *program) whoami() *cobra.Command {
	c := &cobra.Command{Use: "whoami", Short: "Show who you are to the server", Args: takes(0, 0)}
	p.outputFlag(c, "json", "yaml", "name")
	c.RunE = func(c *cobra.Command, _ []string) error {
		api, err := p.client()
		if err != nil {
			return err
		}
		me, err := api.Me(c.Context())
		if err != nil {
			return err
		}
		v := view{value: me, names: []string{"user/" + me.User}, text: func(w io.Writer, _ bool) error {
			return block(w, 0, meFields(me, api.Endpoint()))
		}}
		if me.InstanceID != nil {
			v.names = []string{"instance/" + *me.InstanceID}
		}
		return p.print(v)
	}
	return c
}

func meFields(me *v1.Me, endpoint string) []field {
	fields := []field{{"User", me.User}}
	if me.InstanceID != nil {
		fields = []field{{"Instance ID", *me.InstanceID}}
	}
	fields = append(fields, field{"Access", access(me.Admin, me.FullAccess)})
	for _, f := range []field{
		{"Display Name", me.DisplayName}, {"Email", me.Email}, {"Roles", strings.Join(me.Roles, ", ")}, {"Scopes", strings.Join(me.Scopes, ", ")},
	} {
		if f.value != "" {
			fields = append(fields, f)
		}
	}
	expires := "never"
	if me.ExpiresAt != nil {
		expires = stamp(me.ExpiresAt)
	}
	return append(fields, field{"Expires At", expires}, field{"Endpoint", endpoint})
}

// access is what somebody may do, in a word or two.
func access(admin, full bool) string {
	switch {
	case admin:
		return "admin"
	case full:
		return "full access"
	}
	return "visitor"
}
