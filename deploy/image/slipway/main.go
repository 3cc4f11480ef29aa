// Command slipway makes Slipway's image of binaries that are built already:
//
//	go run ./deploy/image/slipway -tag registry.example.com/slipway:1.2.3 -o slipway.tar ./slipway dist/slipway-pod
//
// It prints the image's digest. The archive is for docker load, podman load and
// ctr images import; with -layout it is an OCI layout, a new folder.
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/seed-dbc68772/slipway/deploy/image"
)

func main() {
	tag := flag.String("tag", "localhost/slipway:dev", "`REFERENCE` of the image, with a registry and a tag; the tag is the version's label")
	out := flag.String("o", "", "`FILE` to write: an archive")
	dir := flag.String("layout", "", "new `FOLDER` to write: an OCI layout")
	flag.Parse()
	if err := run(*tag, *out, *dir, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "slipway image:", err)
		os.Exit(1)
	}
}

func run(tag, out, dir string, programs []string) error {
	version := tag[strings.LastIndex(tag, ":")+1:]
	spec, err := image.Slipway(version, programs...)
	if err != nil {
		return err
	}
	made, err := image.Make(spec)
	if err != nil {
		return err
	}
	if out != "" {
		if err := image.Save(out, tag, made); err != nil {
			return err
		}
	}
	if dir != "" {
		if err := image.SaveLayout(dir, tag, made); err != nil {
			return err
		}
	}
	digest, err := made.Digest()
	if err != nil {
		return err
	}
	fmt.Println(tag + "@" + digest.String())
	return nil
}
