package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/seed-dbc68772/slipway/controlplane"
)

// What people name in the place of a bundle or of its folder, and what they
// meant.

// statBundle looks at a bundle, or at the folder that would be one.
func statBundle(path string) (fs.FileInfo, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, controlplane.Errorf(controlplane.CodeNotFound, "read bundle: there is no file or folder %s", path).
			WithHint("name a bundle or the folder of an app; without a name it is the current folder")
	case err != nil:
		return nil, fmt.Errorf("read bundle: %w", err)
	case !info.IsDir() && !info.Mode().IsRegular(): // a pipe may never end
		return nil, controlplane.Errorf(controlplane.CodeInvalid, "read bundle: %s is %s, not a file", path, kindOf(info.Mode())).
			WithHint("name a bundle or the folder of an app; what comes by a pipe is written to a file first")
	case !info.IsDir() && strings.HasSuffix(path, ".toml"):
		return nil, controlplane.Errorf(controlplane.CodeInvalid, "read bundle: %s is no bundle", path).
			WithHint("name the folder that it is in: %s", filepath.Dir(path))
	}
	return info, nil
}

// notPacked is what to say of an argument of bundle, which takes none: a folder
// is one that somebody wants to pack.
func (p *program) notPacked(c *cobra.Command, name string) error {
	if info, err := os.Stat(p.path(name)); err == nil && info.IsDir() {
		return controlplane.Errorf(controlplane.CodeInvalid, "%s takes no folder: it packs the current one", c.CommandPath()).
			WithHint("go there first: cd %s", name)
	}
	return unknownCommand(c, name)
}

// checkFile is why a bundle cannot be written to --file, before it is packed.
func (p *program) checkFile(c *cobra.Command, file string) error {
	switch {
	case !c.Flags().Changed("file"):
		return nil
	case file == "":
		return usageError(c, "--file is empty: name a file, or leave it out")
	case file == stdout && p.output != "":
		return usageError(c, "--file %s writes the bundle to stdout: leave --output out", stdout)
	case file == stdout:
		return nil
	}
	if err := p.target(file); err != nil {
		return err
	}
	return p.overBundle(file, "") // packing leaves that file out, and may miss it
}

// counted is "1 file" or "2 files".
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
