package cli

import (
	"regexp"
	"strings"
)

// dialect is the command line that this program speaks as. The name that it
// was started by decides (spec interfaces.md §1, apps.md §7).
type dialect int

const (
	slipwayDialect dialect = iota
	h2oDialect             // the App Store's
	q8sDialect             // that of Q8s, from which the App Store came
)

// ownName is what the program is called where it has no name of its own.
const ownName = "slipway"

var programName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// Name is what the program calls itself in help, usage and hints: what it was
// started as, or "slipway" where that is no plain name, which may be anything
// at all.
func (w IO) Name() string {
	name := strings.TrimSuffix(w.Program, ".exe")
	if !programName.MatchString(name) {
		return ownName
	}
	return name
}

func (p *program) dialect() dialect {
	switch p.Name() {
	case "h2o":
		return h2oDialect
	case "q8s-cli":
		return q8sDialect
	}
	return slipwayDialect
}

// compatible reports whether it speaks as one of the App Store's command lines.
func (p *program) compatible() bool { return p.dialect() != slipwayDialect }

// ownCommand is a command as texts name it, with what stands before it. A path
// such as ~/.slipway/config.toml is none.
var ownCommand = regexp.MustCompile(`(^|[\s"'(:;,])slipway ([a-z][a-z-]*)`)

// called gives the commands in a text for people, such as a hint of the
// server's, the name that the program was started by.
func (p *program) called(text string) string {
	name := p.Name()
	if name == ownName || !strings.Contains(text, ownName) {
		return text
	}
	return ownCommand.ReplaceAllStringFunc(text, func(found string) string {
		part := ownCommand.FindStringSubmatch(found)
		if !p.compat.commands[part[2]] {
			return found
		}
		return part[1] + name + " " + part[2]
	})
}
