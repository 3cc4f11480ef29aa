// Package vault seals the values of secrets with keys of a file that is not in
// the store (setting secret_keys), so that who has the store, or a backup of it,
// has no secret.
//
// The file is a keyset of Tink in JSON, of mode 0600, with one or more keys of
// AES-256-GCM. One of them is the primary: it seals what is new. All of them
// open what they have sealed, so that a key is replaced while everything goes
// on: [Add] a key, have all secrets sealed with it, [Remove] the old one.
//
// A [Vault] looks at its file at each use and reads it again where it has
// changed, so that control planes need no restart for a new key. A file that
// cannot be read, or lacks the key that sealed something, is an error that names
// the file. What is sealed carries the number of its key.
package vault
