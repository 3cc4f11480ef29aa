package bundle

import (
	"crypto/sha256"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	maxPath  = 1024
	maxPart  = 255
	maxNames = 16 << 20 // all paths of one bundle together
)

// checkPath says what is wrong with the path of an entry, or nothing. A folder
// is written with a slash at its end, which is not part of path. Only the one
// clean spelling of a path passes, so that two readers cannot resolve it
// differently.
func checkPath(path string) string {
	switch {
	case path == "":
		return "the path is empty"
	case len(path) > maxPath:
		return fmt.Sprintf("the path has %d bytes, the limit is %d", len(path), maxPath)
	case !utf8.ValidString(path):
		return "the path is not UTF-8"
	case path[0] == '/':
		return "the path is absolute"
	}
	for _, r := range path {
		switch {
		case r == '\\':
			return "the path has a backslash"
		case unicode.IsControl(r) || r == '\u2028' || r == '\u2029':
			return fmt.Sprintf("the path has the control character %U", r)
		case unicode.Is(unicode.Bidi_Control, r):
			return fmt.Sprintf("the path has the bidirectional character %U", r)
		}
	}
	for part := range strings.SplitSeq(path, "/") {
		switch {
		case part == "..":
			return `the path has ".."`
		case part == "." || part == "":
			return `the path is not clean: it has "./" or "//"`
		case len(part) > maxPart:
			return fmt.Sprintf("a part of the path has %d bytes, the limit is %d", len(part), maxPart)
		case len(part) > 1 && part[1] == ':' && isLetter(part[0]):
			return "the path names a drive"
		}
	}
	return ""
}

func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// foldCase maps the spellings of a name that differ only in case to one.
func foldCase(s string) string { return string(appendFolded(nil, s)) }

// appendFolded appends what foldCase gives.
func appendFolded(to []byte, s string) []byte {
	for _, r := range s {
		to = utf8.AppendRune(to, foldRune(r))
	}
	return to
}

// foldRune is the least of a letter's spellings, of ASCII the small one. K and S
// have a third spelling outside ASCII, which folds to theirs.
func foldRune(r rune) rune {
	if r >= utf8.RuneSelf {
		least := r
		for x := unicode.SimpleFold(r); x != r; x = unicode.SimpleFold(x) {
			least = min(least, x)
		}
		r = least
	}
	if 'A' <= r && r <= 'Z' {
		r += 'a' - 'A'
	}
	return r
}

// nameKey stands for all the spellings of a name that differ only in case. Two
// names have the same by no effort that anybody can make, and a hundred thousand
// of them take little memory, however long they are.
type nameKey [16]byte

// tree is the paths of a bundle, each once however its case is written.
type tree struct {
	nodes  map[nameKey]treeNode
	limit  int
	bytes  int
	folded []byte // of keyOf
}

type treeNode struct {
	path     string // as first written
	folder   bool
	explicit bool // an entry of its own, not only a parent of one
}

type treeError struct{ code, text string }

func newTree(limit int) *tree { return &tree{nodes: map[nameKey]treeNode{}, limit: limit} }

// keyOf leaves nothing behind, other than its room for the next: long names are
// many megabytes together.
func (t *tree) keyOf(path string) nameKey {
	t.folded = appendFolded(t.folded[:0], path)
	sum := sha256.Sum256(t.folded)
	return nameKey(sum[:16])
}

// add puts in a checked path and the folders above it.
func (t *tree) add(path string, folder bool) *treeError {
	key := t.keyOf(path)
	if n, ok := t.nodes[key]; ok {
		switch {
		case n.path != path:
			return &treeError{CodeDuplicate, fmt.Sprintf("%q is there too: they differ only in case", n.path)}
		case n.folder != folder:
			return &treeError{CodeDuplicate, "a file and a folder have this path"}
		case n.explicit:
			return &treeError{CodeDuplicate, "the path is there twice"}
		}
		n.explicit = true
		t.nodes[key] = n
		return nil
	}
	if err := t.put(key, treeNode{path: path, folder: folder, explicit: true}); err != nil {
		return err
	}
	// Upwards, as far as the parents are new: a known parent's own are known.
	for {
		i := strings.LastIndexByte(path, '/')
		if i < 0 {
			return nil
		}
		path = path[:i]
		key = t.keyOf(path)
		if n, ok := t.nodes[key]; ok {
			switch {
			case n.path != path:
				return &treeError{CodeDuplicate, fmt.Sprintf("its folder %q is there too as %q: they differ only in case", path, n.path)}
			case !n.folder:
				return &treeError{CodeDuplicate, fmt.Sprintf("%q is both a file and a folder", path)}
			}
			return nil
		}
		if err := t.put(key, treeNode{path: path, folder: true}); err != nil {
			return err
		}
	}
}

func (t *tree) put(key nameKey, n treeNode) *treeError {
	if len(t.nodes) >= t.limit {
		return &treeError{CodeTooManyEntries, fmt.Sprintf("more than %d files and folders", t.limit)}
	}
	if t.bytes += len(n.path); t.bytes > maxNames {
		return &treeError{CodeTooLarge, fmt.Sprintf("the paths together have more than %d bytes", maxNames)}
	}
	t.nodes[key] = n
	return nil
}
