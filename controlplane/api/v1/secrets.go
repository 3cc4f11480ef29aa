package v1

import "time"

// Secret is what is known of a secret: all but its values.
type Secret struct {
	Name       string    `json:"name"`
	Visibility string    `json:"visibility" enum:"PRIVATE,ALL_USERS,APP"`
	Parent     *string   `json:"parent" doc:"of an APP secret: app: and the app's name"`
	Owner      string    `json:"owner"`
	Keys       []string  `json:"keys"`
	CreatedAt  time.Time `json:"created_at"`
	UpdatedAt  time.Time `json:"updated_at"`
}

// SecretValues are the values of a secret, each key in one of the two.
type SecretValues struct {
	Values map[string]string `json:"values,omitempty" doc:"values that are text"`
	Data   map[string][]byte `json:"data,omitempty" doc:"values that are not, in base64"`
}

// RevealedSecret is a secret as GET /secrets/{name} shows it: with its values if
// that was asked for.
type RevealedSecret struct {
	Secret
	SecretValues
}

// SecretRequest is the body of POST /secrets.
type SecretRequest struct {
	Name       string  `json:"name" maxLength:"100"`
	Visibility *string `json:"visibility,omitempty" doc:"PRIVATE (default); ALL_USERS and APP are the admins'"`
	Parent     *string `json:"parent,omitempty" doc:"of an APP secret: app: and the app's name" maxLength:"100"`
	SecretValues
}

// Rotation is what POST /secrets/rotate has done.
type Rotation struct {
	Key      string `json:"key" doc:"that seals all secrets now"`
	Secrets  int    `json:"secrets" doc:"how many there are"`
	Resealed int    `json:"resealed" doc:"how many another key had sealed"`
}
