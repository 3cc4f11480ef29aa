//go:build linux

package process

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/seed-dbc68772/slipway/controlplane/launcher/process/confine"
)

// keep has the folders of secret files hidden, too. Not the files alone: one that
// is replaced, as a file of keys is with each new key, would show again. A folder
// that programs are in stays, or apps would miss them.
func (s *isolation) keep(cfg Config) {
	for _, file := range cfg.Secrets {
		folder := filepath.Dir(file)
		if cfg.needs(folder) {
			s.exposed = append(s.exposed, file)
		} else {
			s.secret = append(s.secret, folder)
		}
	}
}

// needs reports whether apps need what may be in the folder: it is a folder of
// the machine's own, as /etc is, or has programs.
func (c Config) needs(folder string) bool {
	if !filepath.IsAbs(folder) || filepath.Dir(filepath.Clean(folder)) == "/" {
		return true
	}
	programs := append(filepath.SplitList(c.path()), c.WaveServer)
	return slices.ContainsFunc(programs, func(p string) bool { return p != "" && within(filepath.Clean(p), filepath.Clean(folder)) })
}

// within reports whether path is the folder or in it.
func within(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

// hide leaves nothing of the data folder but these folders, and nothing of what
// else is secret: where one user has all instances and the control plane, that
// is what keeps others' things from them.
func (s *isolation) hide(but ...string) []confine.Mount {
	var mounts []confine.Mount
	for _, folder := range s.hidden() {
		mounts = append(mounts, confine.Mount{Target: folder, ReadOnly: true})
	}
	for _, folder := range but {
		mounts = append(mounts, confine.Mount{Source: folder, Target: folder})
	}
	return mounts
}

// hidden are the folders to hide, without those that are in another.
func (s *isolation) hidden() []string {
	all := []string{s.dir}
	for _, folder := range s.secret {
		if info, err := os.Stat(folder); err == nil && info.IsDir() {
			all = append(all, filepath.Clean(folder))
		}
	}
	slices.Sort(all) // a folder comes before what is in it
	var outer []string
	for _, folder := range all {
		in := func(other string) bool { return within(folder, other) }
		if !slices.ContainsFunc(outer, in) {
			outer = append(outer, folder)
		}
	}
	return outer
}
