package controlplane

// ExplainRequest is a request that an edge is asked about. Nothing of it is
// sent anywhere.
type ExplainRequest struct {
	URL       string   // absolute, as a client would ask for it; it is not tidied up
	Method    string   // "": GET
	Headers   []string // each as "Name: value"; Host goes before the URL's
	WebSocket bool     // adds the headers of an upgrade to a WebSocket
	From      string   // the client's IP address; "": a stranger's, which no trusted proxy has
}

// Explanation is what an edge would answer to a request, and why. The API
// shows it as v1.Explanation, where the fields are described.
type Explanation struct {
	URL      string  `json:"url"`
	Method   string  `json:"method"`
	Kind     string  `json:"kind"`
	Status   int     `json:"status,omitempty"`
	Location string  `json:"location,omitempty"`
	Code     string  `json:"code,omitempty"`
	Type     string  `json:"content_type,omitempty"`
	Rule     string  `json:"rule"`
	Alias    *string `json:"alias"`
	Instance *string `json:"instance_id"`
	State    string  `json:"instance_status,omitempty"`
	Endpoint string  `json:"endpoint,omitempty"`
	Revision string  `json:"revision"`

	Steps   []ExplanationStep `json:"steps"`
	Sent    []string          `json:"sent,omitempty"`
	Dropped []string          `json:"dropped,omitempty"`
}

// ExplanationStep is one question that a request is asked, and the answer.
type ExplanationStep struct {
	Step   string `json:"step"`
	Status int    `json:"status,omitempty"`
	Rule   string `json:"rule"`
	Found  string `json:"found"`
}
