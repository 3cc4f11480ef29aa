package image

import (
	"bytes"
	"debug/elf"
	"encoding/pem"
	"fmt"
	"io/fs"
	"path"
	"path/filepath"
	"slices"

	"golang.org/x/crypto/x509roots/fallback/bundle"
)

// User is whom Slipway's image runs as: the number that distroless images call
// nonroot.
const User = "65532:65532"

// Slipway is the image of Slipway: static programs in /usr/bin, slipway, its entry
// point, first and slipway-pod after it, and beside them nothing but what they
// look for: the roots that Mozilla trusts, as of the module
// golang.org/x/crypto/x509roots in go.mod, the names of root and nonroot, and /tmp.
func Slipway(version string, programs ...string) (Spec, error) {
	s := Spec{
		User: User, WorkingDir: "/", Ports: []string{"8080/tcp", "8443/tcp"},
		Env: []string{"HOME=/home/nonroot", "SSL_CERT_FILE=" + certificates},
		Labels: map[string]string{
			"org.opencontainers.image.title":    "Slipway",
			"org.opencontainers.image.version":  version,
			"org.opencontainers.image.licenses": "Apache-2.0",
		},
		Layers: [][]File{base(), nil},
	}
	for _, program := range programs {
		architecture, err := Static(program)
		if err != nil {
			return s, fmt.Errorf("add %s: %w", program, err)
		}
		if s.Architecture != "" && s.Architecture != architecture {
			return s, fmt.Errorf("add %s: it is for %s, and the others are for %s", program, architecture, s.Architecture)
		}
		s.Architecture = architecture
		s.Layers[1] = append(s.Layers[1], File{Path: path.Join("/usr/bin", filepath.Base(program)), Source: program, Mode: 0o755})
	}
	if len(programs) == 0 {
		return s, fmt.Errorf("make Slipway's image: no program is given")
	}
	s.Entrypoint = []string{s.Layers[1][0].Path}
	return s, nil
}

const certificates = "/etc/ssl/certs/ca-certificates.crt"

// base is what the programs find beside themselves.
func base() []File {
	return []File{
		{Path: "/tmp", Dir: true, Mode: 0o777 | fs.ModeSticky},
		{Path: "/home/nonroot", Dir: true, Mode: 0o700, UID: 65532, GID: 65532},
		{Path: "/etc/passwd", Data: []byte("root:x:0:0:root:/root:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n")},
		{Path: "/etc/group", Data: []byte("root:x:0:\nnonroot:x:65532:\n")},
		{Path: "/etc/nsswitch.conf", Data: []byte("hosts: files dns\n")},
		{Path: certificates, Data: roots()},
	}
}

// roots are the certificates, in an order of their own: that of the bundle says
// nothing. Those that count for some names or times only are left out, since a
// file of PEM cannot say so.
func roots() []byte {
	var all [][]byte
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			all = append(all, root.Certificate)
		}
	}
	slices.SortFunc(all, bytes.Compare)
	var text bytes.Buffer
	for _, der := range all {
		text.Write(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	}
	return text.Bytes()
}

// Static is the architecture, in Go's words, of a program for Linux that needs no
// other file to run. One that does is an error, and one for another architecture
// than amd64 and arm64.
func Static(file string) (string, error) {
	f, err := elf.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return "", fmt.Errorf("it is linked to shared libraries, which the image does not have: build it with CGO_ENABLED=0")
		}
	}
	switch f.Machine {
	case elf.EM_X86_64:
		return "amd64", nil
	case elf.EM_AARCH64:
		return "arm64", nil
	}
	return "", fmt.Errorf("it is for %s; there are amd64 and arm64", f.Machine)
}
