package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// secretCommands are the commands below secret, and below admin secret: there
// they are about ALL_USERS secrets unless they are told otherwise, and take a
// parent.
func (p *program) secretCommands(admin bool) *cobra.Command {
	c := p.group("secret", "Keep what apps need and nobody is to read",
		p.secretList(admin), p.secretGet(admin), p.secretCreate(admin), p.secretUpdate(admin), p.secretDelete(admin))
	if admin {
		c.AddCommand(p.secretRotate())
	}
	return c
}

// secretVisibility is the value of -v: the visibilities of apps are others.
type secretVisibility string

func (v *secretVisibility) String() string { return string(*v) }
func (v *secretVisibility) Type() string   { return "string" }

// Set takes the values in any case. UNSPECIFIED is the App Store's for all.
func (v *secretVisibility) Set(s string) error {
	switch s = strings.ToUpper(s); controlplane.Visibility(s) {
	case controlplane.Private, controlplane.AllUsers, controlplane.AppWide:
		*v = secretVisibility(s)
	case "UNSPECIFIED", "":
		*v = ""
	default:
		return errors.New("it is PRIVATE, ALL_USERS or APP")
	}
	return nil
}

// secretScope are the flags that say which secrets are meant.
func secretScope(c *cobra.Command, admin bool) *client.SecretScope {
	s := &client.SecretScope{}
	values := []string{string(controlplane.Private), string(controlplane.AllUsers), string(controlplane.AppWide)}
	usage := "which secrets are meant: PRIVATE, `ALL_USERS` or, with --parent, APP"
	switch {
	case c.Name() == "list":
		usage = "only secrets that are `PRIVATE`, ALL_USERS or APP"
	case !admin:
		// An APP secret is named with its parent, which admins give.
		values = values[:2]
		usage = "which secrets are meant: `PRIVATE` (default) or ALL_USERS"
	}
	if admin {
		s.Visibility = string(controlplane.AllUsers)
		c.Flags().StringVarP(&s.Parent, "parent", "p", "", "of APP secrets: `app:NAME` of the app that they are for")
	}
	c.Flags().VarP((*secretVisibility)(&s.Visibility), "visibility", "v", usage)
	_ = c.RegisterFlagCompletionFunc("visibility", cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	return s
}

// within is the scope with what follows from a parent: only APP secrets have one.
func within(c *cobra.Command, s *client.SecretScope) client.SecretScope {
	out := *s
	if out.Parent != "" && !c.Flags().Changed("visibility") {
		out.Visibility = string(controlplane.AppWide)
	}
	return out
}

func (p *program) secretList(admin bool) *cobra.Command {
	c := &cobra.Command{Use: "list", Short: "List secrets, without their values", Args: takes(0, 0)}
	scope := secretScope(c, admin)
	return p.showing(c, func(ctx context.Context, api *client.Client, _ []string) (view, error) {
		list, err := collect(api.AllSecrets(ctx, within(c, scope)))
		return p.secretTable(list), err
	})
}

func (p *program) secretGet(admin bool) *cobra.Command {
	c := &cobra.Command{
		Use:   "get NAME",
		Short: "Show a secret, with --reveal its values",
		Long: `Show a secret. --reveal shows its values too, to its owner alone, and leaves a
record in the audit; --key prints one value as it is, and nothing else.`,
		Example: `  slipway secret get database
  slipway secret get database --reveal
  slipway secret get database --key password > password.txt`,
		Args: takes(1, 1, "the secret's name"),
	}
	scope := secretScope(c, admin)
	reveal := c.Flags().BoolP("reveal", "e", false, "show the values")
	key := c.Flags().String("key", "", "print the value of this `KEY` alone")
	show := p.showing(c, func(ctx context.Context, api *client.Client, args []string) (view, error) {
		get := api.Secret
		if *reveal {
			get = api.RevealSecret
		}
		secret, err := get(ctx, args[0], within(c, scope))
		if err != nil {
			return view{}, err
		}
		return revealedView(secret), nil
	}).RunE
	c.RunE = func(c *cobra.Command, args []string) error {
		if *key == "" {
			return show(c, args)
		}
		api, err := p.client()
		if err != nil {
			return err
		}
		secret, err := api.RevealSecret(c.Context(), args[0], within(c, scope))
		if err != nil {
			return err
		}
		if text, ok := secret.Values[*key]; ok {
			return p.write([]byte(text))
		}
		if data, ok := secret.Data[*key]; ok {
			return p.write(data)
		}
		return controlplane.Errorf(controlplane.CodeNotFound, "the secret %s has no key %q", secret.Name, *key).
			WithHint("it has %s", strings.Join(secret.Keys, ", "))
	}
	return c
}

func (p *program) secretCreate(admin bool) *cobra.Command {
	c := &cobra.Command{
		Use:     "create NAME [KEY=VALUE | KEY=- | KEY]...",
		Short:   "Create a secret",
		Long:    "Create a secret." + valuesHelp,
		Example: fmt.Sprintf(valuesExample, "create"),
		Args:    takesValues,
	}
	scope, from := secretScope(c, admin), addValueFlags(c)
	return changes(p, c, secretView, func(ctx context.Context, api *client.Client, args []string) (*v1.Secret, error) {
		values, err := p.secretValues(ctx, c, from, args[1:])
		if err != nil {
			return nil, err
		}
		r := v1.SecretRequest{Name: args[0], SecretValues: values}
		if s := within(c, scope); s != (client.SecretScope{}) {
			r.Visibility = &s.Visibility
			if s.Parent != "" {
				r.Parent = &s.Parent
			}
		}
		return api.CreateSecret(ctx, r)
	})
}

func (p *program) secretUpdate(admin bool) *cobra.Command {
	c := &cobra.Command{
		Use:   "update NAME [KEY=VALUE | KEY=- | KEY]...",
		Short: "Replace all keys and values of a secret",
		Long: `Replace all keys and values of a secret: keys that are not given are gone. What
runs keeps the old values until its next start.` + valuesHelp,
		Example: fmt.Sprintf(valuesExample, "update"),
		Args:    takesValues,
	}
	scope, from := secretScope(c, admin), addValueFlags(c)
	return changes(p, c, secretView, func(ctx context.Context, api *client.Client, args []string) (*v1.Secret, error) {
		values, err := p.secretValues(ctx, c, from, args[1:])
		if err != nil {
			return nil, err
		}
		return api.UpdateSecret(ctx, args[0], within(c, scope), values)
	})
}

func (p *program) secretDelete(admin bool) *cobra.Command {
	c := &cobra.Command{Use: "delete NAME", Short: "Delete a secret that no app refers to", Args: takes(1, 1, "the secret's name")}
	scope := secretScope(c, admin)
	yes := yesFlag(c)
	return changes(p, c, secretView, func(ctx context.Context, api *client.Client, args []string) (*v1.Secret, error) {
		s, err := api.Secret(ctx, args[0], within(c, scope))
		if err == nil {
			err = p.confirm(ctx, *yes, fmt.Sprintf("delete the %s secret %s", s.Visibility, s.Name))
		}
		if err == nil {
			err = api.DeleteSecret(ctx, args[0], within(c, scope))
		}
		if err != nil {
			return nil, err
		}
		return &s.Secret, nil
	})
}

func (p *program) secretRotate() *cobra.Command {
	c := &cobra.Command{
		Use:   "rotate",
		Short: "Seal all secrets with the newest key",
		Long: `Seal all secrets with the newest key of the file that the setting secret_keys
names: slipway secret-keys add FILE, on the machine of the control plane, adds
one. After it the older keys can be removed.`,
		Args: takes(0, 0),
	}
	p.outputFlag(c, "json", "yaml")
	c.RunE = func(c *cobra.Command, _ []string) error {
		api, err := p.client()
		if err != nil {
			return err
		}
		done, err := api.RotateSecrets(c.Context())
		if err != nil {
			return err
		}
		return p.print(view{value: done, text: func(w io.Writer, _ bool) error {
			return block(w, 0, []field{{"Key", done.Key}, {"Secrets", fmt.Sprint(done.Secrets)}, {"Sealed Anew", fmt.Sprint(done.Resealed)}})
		}})
	}
	return c
}

func (p *program) secretTable(list []v1.Secret) view {
	v := view{value: items[v1.Secret]{list}}
	for _, s := range list {
		v.names = append(v.names, "secret/"+s.Name)
	}
	v.text = func(w io.Writer, wide bool) error {
		header := []string{"NAME", "VISIBILITY", "PARENT", "KEYS"}
		if wide {
			header = append(header, "OWNER", "CREATED", "UPDATED")
		}
		var rows [][]cell
		for _, s := range list {
			row := cells(s.Name, s.Visibility, parentOf(s), strings.Join(s.Keys, ", "))
			if wide {
				row = append(row, cells(s.Owner, p.age(s.CreatedAt), p.age(s.UpdatedAt))...)
			}
			rows = append(rows, row)
		}
		return p.table(w, header, rows)
	}
	return v
}

func parentOf(s v1.Secret) string {
	if s.Parent == nil {
		return ""
	}
	return *s.Parent
}

// secretView is the App Store's block of a secret; a wide one has the rest.
func secretView(s *v1.Secret) view {
	v := revealedView(&v1.RevealedSecret{Secret: *s})
	v.value = s
	return v
}

func revealedView(s *v1.RevealedSecret) view {
	return view{value: s, names: []string{"secret/" + s.Name}, text: func(w io.Writer, wide bool) error {
		fields := []field{{"Name", s.Name}, {"Visibility", s.Visibility}}
		if s.Parent != nil {
			fields = append(fields, field{"Parent", *s.Parent})
		}
		fields = append(fields, field{"Keys", strings.Join(s.Keys, ", ")})
		if wide {
			fields = append(fields, field{"Owner", s.Owner}, field{"Created At", s.CreatedAt.UTC().String()}, field{"Updated At", s.UpdatedAt.UTC().String()})
		}
		for _, key := range slices.Sorted(maps.Keys(s.Values)) {
			fields = append(fields, field{key, s.Values[key]})
		}
		for _, key := range slices.Sorted(maps.Keys(s.Data)) {
			fields = append(fields, field{key, fmt.Sprintf("(%d bytes, not text: --key %s prints them)", len(s.Data[key]), key)})
		}
		return block(w, 0, fields)
	}}
}
