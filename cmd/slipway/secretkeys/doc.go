// Package secretkeys has the commands for the file of keys that seal secrets
// (setting secret_keys). They work on the file alone, on the machine where it
// is: no API shows or takes a key.
package secretkeys
