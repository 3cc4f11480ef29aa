package cli

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// visibility is the value of -v, which is never "verbose".
type visibility controlplane.Visibility

func (v *visibility) String() string { return string(*v) }
func (v *visibility) Type() string   { return "string" }

// Set takes the three values in any case.
func (v *visibility) Set(s string) error {
	x := controlplane.Visibility(strings.ToUpper(s))
	if !x.Valid() {
		return errors.New("it is PRIVATE, ALL_USERS or PUBLIC")
	}
	*v = visibility(x)
	return nil
}

// newVisibilityFlag is visibilityFlag for a command that changes it: nothing
// is the default.
func newVisibilityFlag(c *cobra.Command, usage string) *visibility {
	v := visibilityFlag(c, usage)
	*v = ""
	c.Flags().Lookup("visibility").DefValue = ""
	return v
}

// visibilityFlag adds -v to a command.
func visibilityFlag(c *cobra.Command, usage string) *visibility {
	v := visibility(controlplane.Private)
	c.Flags().VarP(&v, "visibility", "v", usage+": `PRIVATE`, ALL_USERS or PUBLIC")
	_ = c.RegisterFlagCompletionFunc("visibility", cobra.FixedCompletions(
		[]string{string(controlplane.Private), string(controlplane.AllUsers), string(controlplane.Public)},
		cobra.ShellCompDirectiveNoFileComp))
	return &v
}
