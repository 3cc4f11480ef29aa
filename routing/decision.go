package routing

import "fmt"

// Request is what a decision depends on, as received from the client.
type Request struct {
	Method   string
	Host     string // the Host header or :authority; "" if there was none
	Target   string // in origin form, in absolute form, or "*"
	Protocol string // the :protocol of an extended CONNECT, else ""
	Upgrade  bool   // an HTTP/1.1 Upgrade to websocket
	Bearer   bool   // carries a bearer credential, good or not
}

// Kind is who answers.
type Kind uint8

// The kinds. The zero Kind refuses.
const (
	BadRequest       Kind = iota // the edge: 400
	MethodNotAllowed             // the edge: 405
	NotImplemented               // the edge: 501
	Options                      // the edge: 200, to OPTIONS *
	NotFound                     // the edge: 404
	Redirect                     // the edge: 302 or 307 to Location
	Serve                        // the instance, if the caller may see it
	Own                          // Slipway, on an instance's canonical URL
	Control                      // the control plane
	Console                      // the console
)

var kindNames = [...]string{
	"bad request", "method not allowed", "not implemented", "options", "not found",
	"redirect", "serve", "own", "control", "console",
}

func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("Kind(%d)", uint8(k))
}

// Decision is who answers a request, and what of the request concerns them.
type Decision struct {
	Kind Kind

	// Status is the HTTP status where the edge answers by itself: 200, 302,
	// 307, 400, 404, 405 or 501. It is 0 for Serve, Own, Control and Console.
	Status int

	// Location is where a Redirect leads: absolute, and never redirected again.
	Location string

	// Instance is set for Serve and Own, and for a Redirect but that from the
	// base domain's root to the console: the instance that it leads to.
	Instance *Instance

	// Alias is the alias by which the request came, if any. With NotFound it
	// is for the log, never for the answer.
	Alias *Alias

	// Path and Query are those of the target, raw; of a target in absolute
	// form, what follows the authority. Path is empty until a target was
	// accepted. HasQuery tells "/?" from "/".
	Path, Query string
	HasQuery    bool

	// Rest is the raw path below the instance's name: for Serve and Own what
	// follows the prefix where the canonical URL has one, else the whole path;
	// for Redirect the path that the new name got. It begins with "/".
	Rest string

	// Own is the raw path after "/.slipway/", for Own.
	Own string

	Rule Rule
}

// answer makes the edge answer by itself.
func (d *Decision) answer(kind Kind, status int, rule Rule) {
	d.Kind, d.Status, d.Rule = kind, status, rule
}
