package cli

import (
	"errors"

	"github.com/spf13/cobra"
)

// stdinFlag is a flag that takes no value: what it is about is read from
// standard input.
type stdinFlag struct{ to *bool }

func (f stdinFlag) String() string { return "" }
func (f stdinFlag) Type() string   { return "bool" } // for the help: it takes no value

func (f stdinFlag) Set(s string) error {
	if s != "true" {
		return errors.New("it takes no value, since every user of this machine could read it; give the token on standard input")
	}
	*f.to = true
	return nil
}

// tokenFlag adds --token to a command.
func tokenFlag(c *cobra.Command, to *bool, usage string) {
	f := c.Flags().VarPF(stdinFlag{to}, "token", "", usage)
	f.NoOptDefVal = "true"
}
