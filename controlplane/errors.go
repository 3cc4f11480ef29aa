package controlplane

import (
	"errors"
	"fmt"
	"time"
)

// Code is what kind of error it is, for machines. Adapters map it to their
// own terms: the HTTP API to a status, the command line to an exit code.
type Code string

// The codes.
const (
	CodeInvalid       Code = "invalid"             // the input breaks a rule
	CodeNotFound      Code = "not_found"           // no such thing, or not theirs to know
	CodeConflict      Code = "conflict"            // it exists already, or its state forbids this
	CodeTooLarge      Code = "too_large"           // an upload over its limit
	CodeUnauthorized  Code = "unauthenticated"     // sign in first
	CodeForbidden     Code = "forbidden"           // signed in, not allowed
	CodeDeposed       Code = "deposed"             // another control plane leads
	CodeStale         Code = "stale"               // the state that was read is gone: a cursor is too old
	CodePrecondition  Code = "precondition_failed" // it is not what the caller's If-Match names any more
	CodeUnavailable   Code = "unavailable"         // the store or a launcher does not answer
	CodeTimeout       Code = "timeout"             // a wait ended before what it waited for
	CodeInternal      Code = "internal"            // a bug or a broken disk
	CodeDiskFull      Code = "disk_full"           // there is no room for it
	CodeUnprocessable Code = "unprocessable"       // well-formed, but it names what cannot be used
	CodeQuota         Code = "quota_exceeded"      // they have as many of these as they may
	CodeTooManyStarts Code = "too_many_starts"     // they started as many within the hour as they may; see RetryAfter
	CodeBaseURLPublic Code = "base_url_public"     // PUBLIC, where instances of one host do not trust each other
)

// Error is an error that a user may read: what is wrong, and how to mend it.
type Error struct {
	Code   Code
	What   string  // one sentence in lower case without a full stop
	Hint   string  // what mends it, often a command; may be empty
	Faults []Fault // every fault of the input, where there are several
	// Warnings are what else is worth telling of that input.
	Warnings []Fault
	Cause    error // not shown to users
	// RetryAfter is when the same may succeed; 0 where that is not known.
	RetryAfter time.Duration
}

// Fault is one thing wrong with an input, or one thing worth a warning.
type Fault struct {
	Code    string `json:"code,omitempty"`   // for machines, e.g. "entry_path"
	Where   string `json:"where,omitempty"`  // a file, a zip entry, a JSON field
	Line    int    `json:"line,omitempty"`   // 1-based; 0 is none
	Column  int    `json:"column,omitempty"` // 1-based, in characters; 0 is none
	Field   string `json:"field,omitempty"`  // "Runtime.MemoryLimit"
	Value   string `json:"value,omitempty"`  // as written, cut at 200 bytes
	Message string `json:"message"`          // what is wrong
	Hint    string `json:"hint,omitempty"`   // how to mend it
}

// String is the fault on one line: "app.toml:14:15: Runtime.MemoryLimit "500MB": not a quantity (use 500Mi)".
func (f Fault) String() string {
	s := f.Where
	if f.Line > 0 {
		s += fmt.Sprintf(":%d", f.Line)
		if f.Column > 0 {
			s += fmt.Sprintf(":%d", f.Column)
		}
	}
	if s != "" {
		s += ": "
	}
	if f.Field != "" {
		s += f.Field
		if f.Value != "" {
			s += fmt.Sprintf(" %q", f.Value)
		}
		s += ": "
	}
	s += f.Message
	if f.Hint != "" {
		s += " (" + f.Hint + ")"
	}
	return s
}

func (e *Error) Error() string {
	if e.Cause != nil {
		return e.What + ": " + e.Cause.Error()
	}
	return e.What
}

func (e *Error) Unwrap() error { return e.Cause }

// Errorf makes an Error of that code; see fmt.Errorf for the format.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, What: fmt.Sprintf(format, args...)}
}

// WithHint returns e with a hint.
func (e *Error) WithHint(format string, args ...any) *Error {
	e.Hint = fmt.Sprintf(format, args...)
	return e
}

// CodeOf is the code of the first Error in err's chain, or CodeInternal.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeInternal
}
