package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
	"github.com/seed-dbc68772/slipway/controlplane/client"
)

// The exit codes (spec interfaces.md §1).
const (
	ExitDone        = 0
	ExitFailed      = 1
	ExitUsage       = 2 // usage or validation
	ExitNotFound    = 3
	ExitSignIn      = 4
	ExitForbidden   = 5
	ExitConflict    = 6
	ExitTimeout     = 7 // a wait timed out
	ExitUnavailable = 8
	ExitInterrupted = 130
)

// usageError is a command line that cannot be run.
func usageError(c *cobra.Command, format string, args ...any) error {
	return controlplane.Errorf(controlplane.CodeInvalid, format, args...).WithHint("%s --help shows how", c.CommandPath())
}

func unknownCommand(c *cobra.Command, name string) error {
	e := controlplane.Errorf(controlplane.CodeInvalid, "unknown command %q for %q", name, c.CommandPath())
	for distance := 1; distance <= 2; distance++ {
		c.SuggestionsMinimumDistance = distance
		if found := c.SuggestionsFor(name); len(found) > 0 {
			return e.WithHint("did you mean %s %s?", c.CommandPath(), strings.Join(found, " or "))
		}
	}
	return e.WithHint("%s --help lists the commands", c.CommandPath())
}

// flagError is what the parser of flags found. Where a command is wrong too,
// that is the more helpful thing to say.
func flagError(c *cobra.Command, err error) error {
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	if rest := c.Flags().Args(); c.HasAvailableSubCommands() && len(rest) > 0 {
		return unknownCommand(c, rest[0])
	}
	if bad, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		value := bad.GetFlag().Value
		if own, ok := value.(interface{ takes() string }); ok {
			return usageError(c, "--%s %q is not %s", bad.GetFlag().Name, bad.GetValue(), own.takes())
		}
		kind := value.Type()
		// A flag of ours says what it takes in words of its own.
		if _, parsed := errors.AsType[*strconv.NumError](err); parsed || kind == "duration" {
			return usageError(c, "--%s %q is not %s", bad.GetFlag().Name, bad.GetValue(), flagKinds[kind])
		}
	}
	return usageError(c, "%v", err)
}

// flagKinds are the types of flags whose own words are those of a parser.
var flagKinds = map[string]string{
	"bool": "true or false", "duration": `a duration like "30s", "5m" or "1h30m"`,
	"int": "a whole number", "int32": "a whole number", "int64": "a whole number", "uint": "a whole number of 0 or more",
}

// typeUsageErrors makes what cobra finds wrong with the arguments of a
// command of main's a usage error.
func typeUsageErrors(c *cobra.Command) {
	if check := c.Args; check != nil {
		c.Args = func(c *cobra.Command, args []string) error {
			if err := check(c, args); err != nil {
				return usageError(c, "%v", err)
			}
			return nil
		}
	}
	for _, sub := range c.Commands() {
		typeUsageErrors(sub)
	}
}

// takes wants between least and most arguments; names are theirs, for people.
func takes(least, most int, names ...string) cobra.PositionalArgs {
	return func(c *cobra.Command, given []string) error {
		switch {
		case len(given) < least:
			return usageError(c, "%s is missing", names[len(given)])
		case len(given) > most && most == 0:
			return usageError(c, "%q is one argument too many: %s takes none", given[0], c.CommandPath())
		case len(given) > most:
			return usageError(c, "%q is one argument too many", given[most])
		}
		return nil
	}
}

// exitCode is the code that an error stands for.
func exitCode(ctx context.Context, err error) int {
	if own, ok := errors.AsType[interface {
		error
		ExitCode() int
	}](err); ok {
		return own.ExitCode()
	}
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return ExitInterrupted
	}
	switch client.CodeOf(err) {
	case controlplane.CodeInvalid, controlplane.CodeUnprocessable, controlplane.CodeTooLarge:
		return ExitUsage
	case controlplane.CodeNotFound:
		return ExitNotFound
	case controlplane.CodeUnauthorized:
		return ExitSignIn
	case controlplane.CodeForbidden:
		return ExitForbidden
	case controlplane.CodeConflict, controlplane.CodeStale, controlplane.CodePrecondition:
		return ExitConflict
	case controlplane.CodeTimeout:
		return ExitTimeout
	case controlplane.CodeUnavailable:
		return ExitUnavailable
	}
	// The server may know codes that this version does not.
	if e, ok := errors.AsType[*client.Error](err); ok {
		return exitCodeOfStatus(e.Problem.Status)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return ExitNotFound
	}
	return ExitFailed
}

func exitCodeOfStatus(status int) int {
	switch status {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		return ExitUsage
	case http.StatusNotFound, http.StatusGone:
		return ExitNotFound
	case http.StatusUnauthorized:
		return ExitSignIn
	case http.StatusForbidden:
		return ExitForbidden
	case http.StatusConflict, http.StatusPreconditionFailed:
		return ExitConflict
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return ExitUnavailable
	}
	return ExitFailed
}

const signInHint = "sign in with: slipway login URL; or run slipway up in this folder"

// mendSignIn is how to mend a credential that the server does not take.
func (p *program) mendSignIn() string {
	switch {
	case p.used.envToken:
		return "what SLIPWAY_TOKEN holds has expired or was revoked, or is another server's; take it away and sign in with: slipway login"
	case p.used.Token != "":
		return "the token in " + p.used.file + " has expired or was revoked; sign in again with: slipway login"
	}
	return "sign in with: slipway login"
}

// problem is an error in the form of the API's.
func (p *program) problem(err error, code int) v1.Problem {
	if e, ok := errors.AsType[*client.Error](err); ok {
		doc := e.Problem
		doc.Detail = e.Error()
		if code == ExitSignIn {
			doc.Hint = p.mendSignIn()
		}
		if doc.Hint == "" && doc.Status >= 500 && doc.RequestID != "" {
			doc.Hint = "the server's log has the cause under request " + doc.RequestID
		}
		return doc
	}
	doc := v1.Problem{Type: "about:blank", Title: titles[code], Detail: err.Error(), Code: string(controlplane.CodeOf(err))}
	if code == ExitInterrupted {
		doc.Detail, doc.Code = "interrupted", "interrupted"
	}
	if e, ok := errors.AsType[*controlplane.Error](err); ok {
		doc.Hint = e.Hint
		for _, f := range e.Faults {
			doc.Errors = append(doc.Errors, v1.Fault(f))
		}
		for _, f := range e.Warnings {
			doc.Warnings = append(doc.Warnings, v1.Fault(f))
		}
	}
	return doc
}

var titles = map[int]string{
	ExitFailed: "Failed", ExitUsage: "Invalid", ExitNotFound: "Not found", ExitSignIn: "Sign in first",
	ExitForbidden: "Not allowed", ExitConflict: "Conflict", ExitTimeout: "Timed out",
	ExitUnavailable: "Unavailable", ExitInterrupted: "Interrupted",
}

// printError writes an error to stderr: for people, or with -o json as a
// problem document. One without a text has been printed already.
func (p *program) printError(err error, code int) {
	doc := p.problem(err, code)
	if doc.Detail == "" {
		return
	}
	doc.Detail, doc.Hint = p.called(doc.Detail), p.called(doc.Hint)
	if p.output == "json" {
		if data, err := encodeJSON(doc); err == nil {
			_, _ = io.WriteString(p.Err, redact(string(data))) // there is no other place to say it
			return
		}
	}
	p.say("error: %s", oneLine(headline(doc)))
	for _, f := range doc.Errors {
		if line := oneLine(controlplane.Fault(f).String()); len(doc.Errors) > 1 || !strings.Contains(doc.Detail, line) {
			p.say("  %s", line)
		}
	}
	for _, f := range doc.Warnings {
		p.warn("%s", oneLine(controlplane.Fault(f).String()))
	}
	if doc.Hint != "" {
		p.say("hint: %s", oneLine(doc.Hint))
	}
}

// headline is what is wrong, without the fault that the list below it begins
// with.
func headline(doc v1.Problem) string {
	if len(doc.Errors) > 1 {
		what, _, found := strings.Cut(doc.Detail, controlplane.Fault(doc.Errors[0]).String())
		if what = strings.TrimRight(what, ": "); found && what != "" {
			return fmt.Sprintf("%s: %d faults", what, len(doc.Errors))
		}
	}
	return doc.Detail
}
