package secretkeys

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/seed-dbc68772/slipway/controlplane/vault"
)

// Command is `slipway secret-keys`.
func Command(out io.Writer) *cobra.Command {
	c := &cobra.Command{
		Use:   "secret-keys",
		Short: "Make and change the keys that seal secrets",
		Long: `Make and change the file of keys that seal secrets, which the setting
secret_keys of the control plane names (slipway up: secret-keys.json in its data
folder). Whoever loses it loses the secrets: back it up, apart from the store.

A key is replaced while everything goes on:
  slipway secret-keys add FILE            a new key, which seals from now on
  slipway admin secret rotate             seals all secrets anew
  slipway secret-keys remove FILE OLD     takes the old key away
Where several control planes have copies of the file, add the key with --standby,
copy the file to all of them, and then promote it.`,
		Args: cobra.NoArgs,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	c.AddCommand(create(out), add(out), list(out), promote(out), remove(out))
	return c
}

func create(out io.Writer) *cobra.Command {
	return &cobra.Command{
		Use: "create FILE", Short: "Make a file with one key", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			key, err := vault.Create(args[0])
			if err == nil {
				_, err = fmt.Fprintf(out, "%s has the key %s. Back it up: nothing else opens what it seals.\n", args[0], key.ID)
			}
			return err
		},
	}
}

func add(out io.Writer) *cobra.Command {
	var standby bool
	c := &cobra.Command{
		Use: "add FILE", Short: "Add a key, which seals what is new from now on", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			key, err := vault.Add(args[0], standby)
			if err != nil {
				return err
			}
			then := "slipway admin secret rotate has it seal all secrets"
			if standby {
				then = fmt.Sprintf("when all control planes have the file: slipway secret-keys promote %s %s", args[0], key.ID)
			}
			_, err = fmt.Fprintf(out, "%s has the key %s too; %s\n", args[0], key.ID, then)
			return err
		},
	}
	c.Flags().BoolVar(&standby, "standby", false, "let the present key go on sealing until the new one is promoted")
	return c
}

func list(out io.Writer) *cobra.Command {
	return &cobra.Command{
		Use: "list FILE", Short: "Show which keys a file has", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			keys, err := vault.Keys(args[0])
			for _, k := range keys {
				use := "opens"
				if k.Primary {
					use = "seals and opens"
				}
				fmt.Fprintf(out, "%s\t%s\n", k.ID, use)
			}
			return err
		},
	}
}

func promote(out io.Writer) *cobra.Command {
	return &cobra.Command{
		Use: "promote FILE KEY", Short: "Have a key seal what is new", Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			err := vault.Promote(args[0], args[1])
			if err == nil {
				_, err = fmt.Fprintf(out, "key %s seals from now on; slipway admin secret rotate has it seal all secrets\n", args[1])
			}
			return err
		},
	}
}

func remove(out io.Writer) *cobra.Command {
	return &cobra.Command{
		Use: "remove FILE KEY", Short: "Take a key away that seals nothing any more",
		Long: `Take a key away that seals nothing any more. What only that key has sealed is
lost with it: run slipway admin secret rotate before.`,
		Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error {
			err := vault.Remove(args[0], args[1])
			if err == nil {
				_, err = fmt.Fprintf(out, "key %s is gone from %s\n", args[1], args[0])
			}
			return err
		},
	}
}
