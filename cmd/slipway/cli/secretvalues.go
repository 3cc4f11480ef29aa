package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/seed-dbc68772/slipway/controlplane"
	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// maxArguments is how many a secret can have: its name and its keys.
const maxArguments = 65

// maxValue is how much is read of one file or of stdin, in bytes; the server
// takes less.
const maxValue = 1 << 20

const valuesHelp = `

A value on the command line is seen by every user of this machine, in the list of
processes and in the shell's history. Where others use it, or for what matters:
  KEY                   asks for the value, and does not show it
  KEY=-                 reads it from standard input, without a line break at the end
  --from-file KEY=FILE  takes a file as it is
  --from-env-file FILE  takes lines KEY=VALUE
KEY=VALUE is for the rest; --from-literal KEY=VALUE is the same.`

const valuesExample = `  slipway secret %[1]s database user=app password
  pass show db | slipway secret %[1]s database password=-
  slipway secret %[1]s tls --from-file key=server-key.pem --from-file cert=server.pem`

// valueFlags are from where values come, beside arguments.
type valueFlags struct{ literals, files, envFiles []string }

func addValueFlags(c *cobra.Command) *valueFlags {
	var f valueFlags
	c.Flags().StringArrayVar(&f.literals, "from-literal", nil, "a value `KEY=VALUE`; other users of this machine can read it")
	c.Flags().StringArrayVar(&f.files, "from-file", nil, "a value `KEY=FILE` as it is in a file, which need not be text; the file's name is the KEY without one")
	c.Flags().StringArrayVar(&f.envFiles, "from-env-file", nil, "values of a `FILE` with lines KEY=VALUE; empty ones and those that begin with # are left out")
	return &f
}

// values gathers those of a secret. Errors name keys, never values.
type values struct {
	v1.SecretValues
	command *cobra.Command
}

func (v *values) add(key string, value []byte) error {
	_, twice := v.Values[key]
	if _, data := v.Data[key]; twice || data {
		return usageError(v.command, "the key %q is given twice", key)
	}
	if key == "" {
		return usageError(v.command, "a value has no key")
	}
	if utf8.Valid(value) {
		v.Values[key] = string(value)
	} else {
		v.Data[key] = value
	}
	return nil
}

func (p *program) secretValues(ctx context.Context, c *cobra.Command, from *valueFlags, args []string) (v1.SecretValues, error) {
	v := &values{v1.SecretValues{Values: map[string]string{}, Data: map[string][]byte{}}, c}
	stdin := ""
	for _, arg := range args {
		key, text, given := strings.Cut(arg, "=")
		value := []byte(text)
		var err error
		switch {
		case !given:
			value, err = p.askValue(ctx, c, key)
		case text == "-" && stdin != "":
			return v.SecretValues, usageError(c, "the keys %q and %q cannot both be read from standard input", stdin, key)
		case text == "-":
			stdin = key
			value, err = p.stdinValue(ctx, key)
		}
		if err == nil {
			err = v.add(key, value)
		}
		if err != nil {
			return v.SecretValues, err
		}
	}
	for _, literal := range from.literals {
		key, text, given := strings.Cut(literal, "=")
		if !given {
			return v.SecretValues, usageError(c, "--from-literal takes KEY=VALUE")
		}
		if err := v.add(key, []byte(text)); err != nil {
			return v.SecretValues, err
		}
	}
	if err := p.fileValues(ctx, v, from); err != nil {
		return v.SecretValues, err
	}
	if len(v.Values)+len(v.Data) == 0 {
		return v.SecretValues, usageError(c, "there is no value: give KEY=VALUE, KEY=-, KEY, --from-file or --from-env-file")
	}
	return v.SecretValues, nil
}

func (p *program) fileValues(ctx context.Context, v *values, from *valueFlags) error {
	for _, file := range from.files {
		key, path, given := strings.Cut(file, "=")
		if !given {
			path = file
			key = file[strings.LastIndexByte(file, '/')+1:]
		}
		data, err := p.readValue(ctx, path)
		if err == nil {
			err = v.add(key, data)
		}
		if err != nil {
			return err
		}
	}
	for _, path := range from.envFiles {
		data, err := p.readValue(ctx, path)
		if err != nil {
			return err
		}
		n := 0
		for line := range strings.Lines(string(bytes.TrimPrefix(data, []byte("\ufeff")))) {
			n++
			line = strings.TrimRight(line, "\r\n")
			if trimmed := strings.TrimSpace(line); trimmed == "" || trimmed[0] == '#' {
				continue
			}
			key, text, given := strings.Cut(line, "=")
			if !given {
				return usageError(v.command, "%s:%d: it is not a line KEY=VALUE", path, n)
			}
			if err := v.add(strings.TrimSpace(strings.TrimPrefix(key, "export ")), []byte(text)); err != nil {
				return err
			}
		}
	}
	return nil
}

// readValue reads a file, which may be a pipe of the shell's: <(command).
func (p *program) readValue(ctx context.Context, path string) ([]byte, error) {
	return interruptible(ctx, func() ([]byte, error) {
		f, err := os.Open(p.path(path))
		if err != nil {
			return nil, controlplane.Errorf(controlplane.CodeInvalid, "read %s: %v", path, err)
		}
		defer f.Close()
		return limited(f, path)
	})
}

func limited(r io.Reader, what string) ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxValue+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", what, err)
	case len(data) > maxValue:
		return nil, controlplane.Errorf(controlplane.CodeTooLarge, "read %s: it has more than %d bytes", what, maxValue)
	}
	return data, nil
}

// stdinValue is what stands on standard input. Programs end it with a line break
// that is not meant.
func (p *program) stdinValue(ctx context.Context, key string) ([]byte, error) {
	data, err := interruptible(ctx, func() ([]byte, error) { return limited(p.In, "the value of "+key) })
	return bytes.TrimSuffix(bytes.TrimSuffix(data, []byte("\n")), []byte("\r")), err
}

// interruptible is what read returns, or the end of ctx: a pipe may never be
// opened for writing, or never end.
func interruptible(ctx context.Context, read func() ([]byte, error)) ([]byte, error) {
	type result struct {
		data []byte
		err  error
	}
	got := make(chan result, 1)
	go func() { // ends with the program, as in typed
		data, err := read()
		got <- result{data, err}
	}()
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case r := <-got:
		return r.data, r.err
	}
}

// askValue asks for a value at the terminal.
func (p *program) askValue(ctx context.Context, c *cobra.Command, key string) ([]byte, error) {
	if _, terminal := p.terminal(); !terminal {
		return nil, usageError(c, "the key %q has no value, and there is no terminal to ask for it: %s=- reads standard input", key, key)
	}
	text, err := p.secret(ctx, "value of "+oneLine(key))
	return []byte(text), err
}

// takesValues wants a name, and as many keys as a secret can have. What is too
// much is not repeated: it may be a value.
func takesValues(c *cobra.Command, given []string) error {
	switch {
	case len(given) == 0:
		return usageError(c, "the secret's name is missing")
	case len(given) > maxArguments:
		return usageError(c, "a secret has at most %d keys", maxArguments-1)
	}
	return nil
}
