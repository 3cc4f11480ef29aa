package pair

import (
	"slices"
	"strings"
)

// Arg is the first argument of every keeper.
const Arg = "process-pair"

// Command is what a keeper keeps.
type Command struct {
	Server string   // the path of the server's program; it gets no arguments
	Folder string   // that the server works in
	App    []string // the app's program and its arguments; it works where the keeper does
}

// Args are a keeper's arguments, without the name of its program.
func (c Command) Args() []string {
	return slices.Concat([]string{Arg, c.Server, c.Folder}, c.App)
}

// parse reads what Args made, behind the name of the program.
func parse(args []string) (c Command, ok bool) {
	if len(args) < 4 || args[0] != Arg {
		return Command{}, false
	}
	return Command{Server: args[1], Folder: args[2], App: args[3:]}, true
}

// secretPrefix begins the names of variables that are the server's alone: the
// client secret among them is nothing that an app has a use for.
const secretPrefix = "H2O_WAVE_OIDC_"

// appEnviron is the app's part of the environment.
func appEnviron(all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(entry string) bool { return strings.HasPrefix(entry, secretPrefix) })
}

// ServerEnded is the exit code of a keeper whose server has ended first; how is
// in the log. Every other code is the app's, 128 and the number of the signal
// where it ended by one, as shells have it. An app's own 213 becomes 1.
const ServerEnded = 213
