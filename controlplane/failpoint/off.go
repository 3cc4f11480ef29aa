//go:build !failpoints

package failpoint

// Here is a place of this name: letters, digits and hyphens.
func Here(string) {}
