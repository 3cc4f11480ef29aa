package routing

import "fmt"

// Rule names the rule of spec/routing.md that decided.
type Rule uint8

// The rules, in the order in which they are asked.
const (
	RuleNone Rule = iota

	RuleMethod
	RuleProtocol
	RuleOptions
	RuleHost
	RuleTarget

	RuleUnknownHost
	RuleUnknownLabel
	RuleManyLabels
	RuleUnknownID
	RuleInactiveAlias
	RuleUnknownPath
	RuleForeignGone

	RuleControl
	RuleConsole
	RuleConsoleRoot

	RuleClimb

	RuleForeign
	RuleSlash
	RuleSpelling
	RuleIDToPrimary
	RuleIDToPath
	RulePathToHost
	RulePathToPrimary
	RuleAddPrefix
	RuleOtherAlias

	RuleServeID
	RuleServePath
	RuleServeAlias
	RuleServeUpgrade
	RuleOwn
)

var ruleSentences = [...]string{
	RuleNone: "no rule was asked",

	RuleMethod:   "TRACE, and CONNECT without a protocol, are not allowed",
	RuleProtocol: "extended CONNECT is for websocket only",
	RuleOptions:  "OPTIONS * is answered by the edge",
	RuleHost:     "the host is not a host name with an optional port",
	RuleTarget:   "the target holds a control character, an invalid escape or a fragment, or is no path",

	RuleUnknownHost:   "the host is neither below the base domain nor a custom domain",
	RuleUnknownLabel:  "no alias has this name",
	RuleManyLabels:    "more than one label stands before the base domain",
	RuleUnknownID:     "no live instance has this ID",
	RuleInactiveAlias: "the alias leads to no live instance",
	RuleUnknownPath:   "the base domain has nothing at this path",
	RuleForeignGone:   "the path names another instance, which is not live",

	RuleControl:     "the control plane answers this path of the base domain",
	RuleConsole:     "the host is the console's",
	RuleConsoleRoot: "the root of the base domain leads to the console",

	RuleClimb: "a .. segment would leave the instance's path prefix",

	RuleForeign:       "the path names another live instance: to its canonical URL",
	RuleSlash:         "the instance's path prefix needs a slash at its end",
	RuleSpelling:      "the name is canonical but not spelled so: trailing dot or upper-case ID",
	RuleIDToPrimary:   "the instance has a primary alias",
	RuleIDToPath:      "the instance is addressed by path, not by a host of its own",
	RulePathToHost:    "the instance is addressed by a host of its own, not by path",
	RulePathToPrimary: "the instance has a primary alias, which keeps the path prefix",
	RuleAddPrefix:     "below its primary alias the instance is addressed by path",
	RuleOtherAlias:    "the alias is not the instance's primary one",

	RuleServeID:      "the instance's own host is its canonical URL",
	RuleServePath:    "the instance's path is its canonical URL",
	RuleServeAlias:   "the primary alias is the instance's canonical URL",
	RuleServeUpgrade: "a WebSocket in the right mode is served under any name of the instance",
	RuleOwn:          "the path is Slipway's own",
}

// String returns the rule as one short sentence.
func (r Rule) String() string {
	if int(r) < len(ruleSentences) {
		return ruleSentences[r]
	}
	return fmt.Sprintf("Rule(%d)", uint8(r))
}
