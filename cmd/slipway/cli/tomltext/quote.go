// Package tomltext writes pieces of TOML 1.0 where a whole document is not to be
// written anew: manifests that are begun, and configuration of other programs.
package tomltext

import (
	"fmt"
	"strings"
)

// Quote is text as a basic string of TOML. What is not UTF-8 is replaced.
func Quote(text string) string {
	var out strings.Builder
	out.WriteByte('"')
	for _, r := range text {
		switch {
		case r == '"' || r == '\\':
			out.WriteByte('\\')
			out.WriteRune(r)
		case r < 0x20 || r == 0x7f:
			fmt.Fprintf(&out, `\u%04X`, r)
		default:
			out.WriteRune(r)
		}
	}
	out.WriteByte('"')
	return out.String()
}
