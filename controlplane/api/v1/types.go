// Package v1 holds the JSON of the HTTP API below /api/v1 (spec interfaces.md
// §4), shared by the server and the Go client. Times are RFC 3339 in UTC.
package v1

import "time"

// App is an app as the API shows it.
type App struct {
	ID             string    `json:"id" doc:"UUID in lower case" format:"uuid"`
	Name           string    `json:"name"`
	Version        string    `json:"version"`
	Title          string    `json:"title"`
	Description    string    `json:"description"`
	Owner          string    `json:"owner"`
	Visibility     string    `json:"visibility" enum:"PRIVATE,ALL_USERS,PUBLIC"`
	Tags           []string  `json:"tags"`
	Categories     []string  `json:"categories" doc:"those tags that are categories"`
	Category       *string   `json:"category" doc:"the older App.Category of its manifest; null without one"`
	Lifecycle      string    `json:"lifecycle" enum:"ON_DEMAND,MANAGED,LINK"`
	RoutingMode    string    `json:"routing_mode" enum:"DOMAIN,BASE_URL"`
	AppMode        string    `json:"app_mode" enum:"wave,python,container,binary,manual"`
	Runnable       bool      `json:"runnable" doc:"whether an instance can be started now"`
	Reasons        []Reason  `json:"reasons" doc:"why it is not runnable; empty when it is"`
	Link           *string   `json:"link" doc:"where a link app leads; null for others"`
	Image          *string   `json:"image" doc:"of a container app; null without one"`
	RuntimeVersion *string   `json:"runtime_version" doc:"what it runs on, resolved at import; null: on none"`
	LaunchProfile  *string   `json:"launch_profile" doc:"of instances that are started without one"`
	CreatedAt      time.Time `json:"created_at"`
	UpdatedAt      time.Time `json:"updated_at"`
	Warnings       []Fault   `json:"warnings,omitempty" doc:"of the import, only in its own answer"`
}

// Reason types why an app is not runnable or a start failed.
type Reason struct {
	Code string `json:"code" doc:"one of the typed reasons, e.g. port_never_opened"`
	Text string `json:"text" doc:"one sentence for people"`
}

// Instance is an instance as the API shows it.
type Instance struct {
	ID            string     `json:"id" format:"uuid"`
	AppID         string     `json:"app_id" format:"uuid"`
	AppName       string     `json:"app_name"`
	AppVersion    string     `json:"app_version"`
	Owner         string     `json:"owner"`
	Visibility    string     `json:"visibility" enum:"PRIVATE,ALL_USERS,PUBLIC"`
	Status        string     `json:"status" enum:"PENDING,DEPLOYED,SUSPENDING,SUSPENDED,RESUMING,FAILED,UNKNOWN,TERMINATING"`
	Stage         *string    `json:"stage" doc:"how far a start has come; null when none is under way"`
	Reason        *Reason    `json:"reason" doc:"why it FAILED; null otherwise"`
	URL           string     `json:"url" doc:"the canonical URL" format:"uri"`
	RoutingMode   string     `json:"routing_mode" enum:"DOMAIN,BASE_URL"`
	PrimaryAlias  *string    `json:"primary_alias"`
	Launcher      string     `json:"launcher"`
	LaunchProfile *string    `json:"launch_profile" doc:"that it was started with; null: its app's"`
	Resources     *Resources `json:"resources" doc:"what the settings gave it when it was started first or redeployed; null: what its app says"`
	LastActive    *time.Time `json:"last_active"`
	SuspendAfter  *time.Time `json:"suspend_after" doc:"when it goes to sleep unless somebody uses it; null for never"`
	AwakeBecause  *string    `json:"awake_because" doc:"what names that time: activity, presence, busy; or never, protected; null of what does not run"`
	Wake          string     `json:"wake" doc:"whose visits wake it" enum:"visitors,owner,never"`
	Restarts      int        `json:"restarts"`
	Readonly      bool       `json:"readonly" doc:"the caller may not change it"`
	Suspendable   bool       `json:"suspendable"`
	CreatedAt     time.Time  `json:"created_at"`
	UpdatedAt     time.Time  `json:"updated_at"`
}

// Alias is an alias as the API shows it.
type Alias struct {
	ID         string    `json:"id" format:"uuid"`
	Name       string    `json:"name"`
	InstanceID *string   `json:"instance_id" doc:"null when unassigned; kept when the instance is terminated"`
	Primary    bool      `json:"primary"`
	URL        string    `json:"url" format:"uri"`
	State      string    `json:"state" enum:"active,inactive"`
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
	Warnings   []string  `json:"warnings,omitempty" doc:"what a change did beside what was asked for, only in its own answer"`
}

// List is one page of a list, read at one revision of the store.
type List[T any] struct {
	Items      []T     `json:"items"`
	NextCursor *string `json:"next_cursor" doc:"give it as cursor to get the next page; null at the end"`
	Revision   string  `json:"revision"`
}

// Edge is a live edge as the API shows it.
type Edge struct {
	Name        string    `json:"name"`
	Revision    string    `json:"revision" doc:"of the last route change that it has applied"`
	LagMS       int64     `json:"lag_ms" doc:"for how long there has been a route change that it has not applied, in milliseconds; 0: it has them all"`
	Version     string    `json:"version" doc:"of its program"`
	Connections int64     `json:"connections" doc:"open client connections, less those that were upgraded; a few seconds old"`
	Since       time.Time `json:"since" doc:"when its process was started"`
	Applied     *bool     `json:"applied,omitempty" doc:"whether it has the revision that was asked for"`
}

// EdgeList is every live edge, by name.
type EdgeList struct {
	List[Edge]
	All *bool `json:"all,omitempty" doc:"whether every live edge has the revision that was asked for"`
}

// Leader is the control plane that leads.
type Leader struct {
	Name    string    `json:"name" doc:"of its edge too"`
	Address *string   `json:"address" doc:"where it answers edges without a control plane; null: nowhere"`
	Since   time.Time `json:"since" doc:"since when it leads, by its own clock"`
	Epoch   int64     `json:"epoch" doc:"grows from each leader to the next"`
}

// RunRequest is the body of POST /instances.
type RunRequest struct {
	AppID         string  `json:"app_id" doc:"an app's ID, or at least the first 6 characters of it"`
	Visibility    *string `json:"visibility,omitempty" doc:"PRIVATE (default), ALL_USERS or PUBLIC"`
	LaunchProfile *string `json:"launch_profile,omitempty" doc:"one of GET /launch-profiles; without it the app's own"`
}

// AliasRequest is the body of POST /aliases.
type AliasRequest struct {
	Name       string  `json:"name" doc:"one DNS label"`
	InstanceID *string `json:"instance_id,omitempty"`
	Primary    *bool   `json:"primary,omitempty"`
}

// AssignRequest is the body of PUT /aliases/{name-or-id}/assignment.
type AssignRequest struct {
	InstanceID *string `json:"instance_id,omitempty" doc:"null or absent unassigns"`
	Primary    *bool   `json:"primary,omitempty" doc:"without it the alias is not primary any more"`
}

// ExplainRequest is a request to explain. Nothing of it is sent anywhere.
type ExplainRequest struct {
	URL       string   `json:"url" doc:"an absolute http or https URL, as a client would ask for it; it is not tidied up" maxLength:"65536"`
	Method    string   `json:"method,omitempty" doc:"GET without one" maxLength:"64"`
	Headers   []string `json:"headers,omitempty" doc:"fields of the request, each as Name: value; Host goes before the URL's" maxItems:"1000"`
	WebSocket bool     `json:"websocket,omitempty" doc:"adds the headers of an upgrade to a WebSocket"`
	From      string   `json:"from,omitempty" doc:"the client's IP address as the edge sees it; without one a stranger's, which no trusted proxy has" maxLength:"64"`
}

// Explanation is what an edge would answer to a request, and why. It tells
// nothing of the connection: TLS and its certificate, HTTP/2, floods.
type Explanation struct {
	URL      string  `json:"url"`
	Method   string  `json:"method"`
	Kind     string  `json:"kind" doc:"serve, redirect, not found, bad request, …; refused: before the decision"`
	Status   int     `json:"status,omitempty" doc:"of the edge's own answer; absent when the instance or the control plane answers"`
	Location string  `json:"location,omitempty"`
	Code     string  `json:"code,omitempty" doc:"of the edge's own answer, for machines"`
	Type     string  `json:"content_type,omitempty" doc:"of the edge's own answer, by what Accept prefers"`
	Rule     string  `json:"rule" doc:"the rule that decided, in a sentence"`
	Alias    *string `json:"alias" doc:"the alias by which the request came"`
	Instance *string `json:"instance_id"`
	State    string  `json:"instance_status,omitempty"`
	Endpoint string  `json:"endpoint,omitempty" doc:"where the request is sent"`
	Revision string  `json:"revision" doc:"of the route table that was asked"`

	Steps   []ExplanationStep `json:"steps" doc:"in the order in which the edge takes them; the last one decides"`
	Sent    []string          `json:"sent,omitempty" doc:"the head of the request as the app gets it, line by line; absent when it gets none"`
	Dropped []string          `json:"dropped,omitempty" doc:"names of the headers that the app does not get as they came"`
}

// ExplanationStep is one question that a request is asked, and the answer.
type ExplanationStep struct {
	Step   string `json:"step" enum:"parse,method,known,canonical,authorized,running"`
	Status int    `json:"status,omitempty" doc:"of the edge's answer, where the request ends here by one"`
	Rule   string `json:"rule" doc:"the rule that applied, in a sentence"`
	Found  string `json:"found" doc:"what it was applied to"`
}

// Fault is one thing wrong with an input.
type Fault struct {
	Code    string `json:"code,omitempty"`
	Where   string `json:"where,omitempty" doc:"a file, an entry of a bundle, or a field of the body"`
	Line    int    `json:"line,omitempty"`
	Column  int    `json:"column,omitempty"`
	Field   string `json:"field,omitempty"`
	Value   string `json:"value,omitempty"`
	Message string `json:"message"`
	Hint    string `json:"hint,omitempty"`
}

// Problem is an error (RFC 9457).
type Problem struct {
	Type      string  `json:"type"`
	Title     string  `json:"title"`
	Status    int     `json:"status"`
	Detail    string  `json:"detail,omitempty" doc:"what is wrong"`
	Code      string  `json:"code" doc:"for machines"`
	Hint      string  `json:"hint,omitempty" doc:"how to mend it"`
	RequestID string  `json:"request_id"`
	Errors    []Fault `json:"errors,omitempty" doc:"every fault of the input"`
	Warnings  []Fault `json:"warnings,omitempty" doc:"what else is worth telling of the input: of a bundle, keys that are not known"`
}
