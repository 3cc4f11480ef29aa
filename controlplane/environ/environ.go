// Package environ joins the environments of programs.
package environ

import (
	"slices"
	"strings"
)

// Merge joins environments, "NAME=value"; of a name that several have, the last
// one holds, at the place of the first. What no program could be given is left
// out.
func Merge(parts ...[]string) []string {
	var all []string
	at := map[string]int{}
	for _, entry := range slices.Concat(parts...) {
		name, _, ok := strings.Cut(entry, "=")
		if !ok || name == "" || strings.ContainsRune(entry, 0) {
			continue
		}
		if i, seen := at[name]; seen {
			all[i] = entry
			continue
		}
		at[name] = len(all)
		all = append(all, entry)
	}
	return all
}

// Value is that of a variable; empty where there is none.
func Value(env []string, name string) string {
	for _, entry := range slices.Backward(env) {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			return v
		}
	}
	return ""
}

// Prefer puts a folder of programs before all others, if there is a PATH.
func Prefer(env []string, folder string) []string {
	env = slices.Clone(env)
	for i, entry := range env {
		if v, ok := strings.CutPrefix(entry, "PATH="); ok {
			env[i] = "PATH=" + folder + ":" + v
		}
	}
	return env
}
