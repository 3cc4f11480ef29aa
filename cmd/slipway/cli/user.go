package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// userCommands are the commands below admin user.
func (p *program) userCommands() *cobra.Command {
	return p.group("user", "See who has signed in, and lock users out", p.userList(), p.userGet(),
		p.userSet("disable", "Lock a user out, and end everything that they have", true),
		p.userSet("enable", "Let a user in again", false))
}

func (p *program) userList() *cobra.Command {
	return lists(p, "List who has signed in", p.userTable, (*client.Client).AllUsers)
}

func (p *program) userGet() *cobra.Command {
	c := &cobra.Command{Use: "get NAME", Short: "Show a user", Args: takes(1, 1, "the user's name")}
	return gets(p, c, userView, (*client.Client).User)
}

// userSet is disable or enable.
func (p *program) userSet(use, short string, disabled bool) *cobra.Command {
	c := &cobra.Command{Use: use + " NAME", Short: short, Args: takes(1, 1, "the user's name")}
	p.outputFlag(c)
	wait := p.edgeWaitFlags(c, onEdges)
	yes := new(true)
	if disabled {
		c.Long = `Lock a user out: nobody signs in as them any more, and their sessions, tokens
and open connections end, for good: let in again, they sign in anew and make new
tokens. Their apps and instances stay.`
		yes = yesFlag(c)
	}
	c.RunE = func(c *cobra.Command, args []string) error {
		ctx := c.Context()
		api, err := p.client()
		if err != nil {
			return err
		}
		if err := p.confirm(ctx, *yes, fmt.Sprintf("disable user %s, and end their sessions, tokens and connections", args[0])); err != nil {
			return err
		}
		begin := p.now()
		u, err := api.UpdateUser(ctx, args[0], v1.UserPatch{Disabled: &disabled})
		if err != nil {
			return err
		}
		return p.changed(ctx, api, changing{userView(u), wait, begin})
	}
	return c
}

func userState(u *v1.User) string {
	if u.Disabled {
		return "disabled"
	}
	return "enabled"
}

func (p *program) userTable(list []v1.User) view {
	v := view{value: items[v1.User]{list}}
	for _, u := range list {
		v.names = append(v.names, "user/"+u.Name)
	}
	v.text = func(w io.Writer, wide bool) error {
		header := []string{"NAME", "DISPLAY NAME", "EMAIL", "ACCESS", "STATE", "SIGNED IN"}
		if wide {
			header = append(header, "ROLES", "ISSUER", "CREATED")
		}
		var rows [][]cell
		for _, u := range list {
			signedIn := ""
			if u.SignedInAt != nil {
				signedIn = p.age(*u.SignedInAt)
			}
			row := cells(u.Name, u.DisplayName, u.Email, access(u.Admin, u.FullAccess), userState(&u), signedIn)
			if u.Disabled {
				row[4].color = red
			}
			if wide {
				row = append(row, cells(strings.Join(u.Roles, ", "), text(u.Issuer), p.age(u.CreatedAt))...)
			}
			rows = append(rows, row)
		}
		return p.table(w, header, rows)
	}
	return v
}

func userView(u *v1.User) view {
	return view{value: u, names: []string{"user/" + u.Name}, text: func(w io.Writer, _ bool) error {
		return block(w, 0, []field{
			{"Name", u.Name},
			{"Display Name", u.DisplayName},
			{"Email", u.Email},
			{"Access", access(u.Admin, u.FullAccess)},
			{"Roles", strings.Join(u.Roles, ", ")},
			{"State", userState(u)},
			{"Issuer", text(u.Issuer)},
			{"Created At", stamp(&u.CreatedAt)},
			{"Signed In At", stamp(u.SignedInAt)},
		})
	}}
}
