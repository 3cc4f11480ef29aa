package cli

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// tokenCommands are the commands below token.
func (p *program) tokenCommands() *cobra.Command {
	return p.group("token", "List, create and revoke your personal tokens", p.tokenList(), p.tokenCreate(), p.tokenRevoke())
}

func (p *program) tokenList() *cobra.Command {
	return lists(p, "List your tokens", p.tokenTable, (*client.Client).AllTokens)
}

func (p *program) tokenTable(list []v1.Token) view {
	v := view{value: items[v1.Token]{list}}
	for _, t := range list {
		v.names = append(v.names, "token/"+t.ID)
	}
	v.text = func(w io.Writer, _ bool) error {
		var rows [][]cell
		for _, t := range list {
			expires := "never"
			if t.ExpiresAt != nil {
				expires = p.moment(t.ExpiresAt)
			}
			rows = append(rows, cells(t.ID, t.Name, strings.Join(t.Scopes, ","), p.age(t.CreatedAt), expires, strconv.FormatBool(t.Current)))
		}
		return p.table(w, []string{"ID", "NAME", "SCOPES", "CREATED", "EXPIRES", "CURRENT"}, rows)
	}
	return v
}

func (p *program) tokenCreate() *cobra.Command {
	c := &cobra.Command{
		Use:   "create NAME",
		Short: "Make a token for a machine, and print it",
		Long: `Make a token for a machine, and print it on stdout. It is shown this once: what
is stored is a hash of it.

It is good for read and open without --scopes, and for 30 days without
--expires-in; the longest life is a year.`,
		Example: `  slipway token create ci --scopes read,write --expires-in 90d > token.txt`,
		Args:    takes(1, 1, "the token's name"),
	}
	p.outputFlag(c, "json", "yaml")
	var scopes []string
	var life days
	c.Flags().StringSliceVar(&scopes, "scopes", nil, "what it is good for: `SCOPES` of read, write, open, admin")
	c.Flags().Var(&life, "expires-in", "how long it is good for, e.g. 12h or 90d")
	c.RunE = func(c *cobra.Command, args []string) error {
		switch {
		case strings.TrimSpace(args[0]) == "":
			return usageError(c, "the token's name is empty, by which you tell it from others: name it after where it is used, such as ci")
		case c.Flags().Changed("scopes") && len(scopes) == 0:
			return emptyScopes(c)
		}
		api, err := p.client()
		if err != nil {
			return err
		}
		r := v1.TokenRequest{Name: args[0], Scopes: scopes}
		if life > 0 {
			r.ExpiresIn = new(time.Duration(life).String())
		}
		t, err := api.CreateToken(c.Context(), r)
		if err != nil {
			return err
		}
		until := "for good"
		if t.ExpiresAt != nil {
			until = "until " + stamp(t.ExpiresAt) + " UTC"
		}
		p.say("token %s is good for %s, %s; it is shown this once", oneLine(t.ID), oneLine(strings.Join(t.Scopes, ", ")), until)
		err = p.print(view{value: t, text: func(w io.Writer, _ bool) error {
			_, err := fmt.Fprintln(w, oneLine(t.Secret))
			return err
		}})
		if err != nil {
			// Nobody has it, and it is good still.
			return controlplane.Errorf(controlplane.CodeInternal, "token %s was made, and could not be shown: %v", t.ID, err).
				WithHint("slipway token revoke %s ends it", t.ID)
		}
		return nil
	}
	return c
}

// emptyScopes is what --scopes "" is refused with: a script whose variable is not
// set would get the default instead.
func emptyScopes(c *cobra.Command) error {
	return usageError(c, "--scopes is empty: give some of read, write, open and admin, or leave it out for the default")
}

func (p *program) tokenRevoke() *cobra.Command {
	c := &cobra.Command{
		Use:   "revoke ID",
		Short: "End a token, and all that was issued for it",
		Long: `End a token, by its ID or the first 6 characters or more of it, and all that was
issued for it. "current" is the one that this command uses; slipway logout ends
that, too, and forgets it.`,
		Args: takes(1, 1, "the token's ID"),
	}
	wait := p.edgeWaitFlags(c, onEdges)
	c.RunE = func(c *cobra.Command, args []string) error {
		api, err := p.client()
		if err != nil {
			return err
		}
		begin := p.now()
		if err := api.RevokeToken(c.Context(), args[0]); err != nil {
			return err
		}
		p.say("token %s is revoked", oneLine(args[0]))
		if args[0] == client.CurrentToken {
			return nil // nobody may ask for the edges any more
		}
		return p.onEveryEdge(c.Context(), api, wait, begin)
	}
	return c
}
