// Command pack makes an image archive of files of this machine, for tests:
//
//	pack -o app.tar -tag example.test/app:1 -entrypoint /app [-user UID] [-env NAME=VALUE]… FILE:PATH[:MODE]…
//
// A path that ends in / is a folder of that mode, without a file; ->TARGET in
// place of a file makes a symbolic link. There is one layer, and a /tmp that
// everybody may write. It prints the reference and the image's digest.
package main

import (
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"

	"github.com/seed-dbc68772/slipway/deploy/image"
)

// words is a flag that may be repeated.
type words []string

func (w *words) String() string     { return strings.Join(*w, " ") }
func (w *words) Set(s string) error { *w = append(*w, s); return nil }

func main() {
	var s image.Spec
	out := flag.String("o", "image.tar", "archive to write: `FILE`")
	tag := flag.String("tag", "", "`REFERENCE` of the image, with a registry and a tag")
	flag.StringVar(&s.User, "user", "", "whom it runs as: `UID[:GID]`")
	flag.Var((*words)(&s.Entrypoint), "entrypoint", "`WORD` of the program; may be repeated")
	flag.Var((*words)(&s.Cmd), "cmd", "`WORD` of the default arguments; may be repeated")
	flag.Var((*words)(&s.Env), "env", "`NAME=VALUE`; may be repeated")
	flag.Parse()
	if err := pack(s, *out, *tag, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "pack:", err)
		os.Exit(1)
	}
}

func pack(s image.Spec, out, tag string, args []string) error {
	files := []image.File{{Path: "/tmp", Dir: true, Mode: 0o777 | fs.ModeSticky}}
	for _, arg := range args {
		f, err := parse(arg)
		if err != nil {
			return err
		}
		files = append(files, f)
	}
	s.Layers = [][]image.File{files}
	made, err := image.Make(s)
	if err != nil {
		return err
	}
	if err := image.Save(out, tag, made); err != nil {
		return err
	}
	digest, err := made.Digest()
	if err != nil {
		return err
	}
	fmt.Println(tag + "@" + digest.String())
	return nil
}

// parse reads FILE:PATH[:MODE].
func parse(arg string) (image.File, error) {
	parts := strings.Split(arg, ":")
	if len(parts) < 2 || len(parts) > 3 || !path.IsAbs(parts[1]) {
		return image.File{}, fmt.Errorf("%q is not FILE:PATH or FILE:PATH:MODE with an absolute path", arg)
	}
	f := image.File{Path: path.Clean(parts[1]), Mode: 0o755}
	if len(parts) == 3 {
		mode, err := strconv.ParseUint(parts[2], 8, 9)
		if err != nil {
			return f, fmt.Errorf("%q: %q is no octal mode, as 0644", arg, parts[2])
		}
		f.Mode = fs.FileMode(mode)
	}
	target, link := strings.CutPrefix(parts[0], "->")
	switch {
	case link:
		f.Link = target
	case strings.HasSuffix(parts[1], "/"):
		f.Dir = true
	default:
		f.Source = parts[0]
	}
	return f, nil
}
