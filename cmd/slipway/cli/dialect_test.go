package cli

import (
	"bytes"
	"testing"

	"github.com/spf13/cobra"
)

func TestName(t *testing.T) {
	tests := []struct {
		program, name string
		dialect       dialect
	}{
		{"", "slipway", slipwayDialect},
		{"slipway", "slipway", slipwayDialect},
		{"slipway-linux_amd64.1", "slipway-linux_amd64.1", slipwayDialect},
		{"h2o", "h2o", h2oDialect},
		{"h2o.exe", "h2o", h2oDialect},
		{"q8s-cli", "q8s-cli", q8sDialect},
		{"H2O", "H2O", slipwayDialect},
		{"h2o ", "slipway", slipwayDialect},
		{"\x1b[2J", "slipway", slipwayDialect},
		{"-h", "slipway", slipwayDialect},
		{"/", "slipway", slipwayDialect},
	}
	for _, tt := range tests {
		t.Run(tt.program, func(t *testing.T) {
			p := testProgram(IO{Program: tt.program})
			if p.Name() != tt.name || p.dialect() != tt.dialect {
				t.Errorf("%q, %d", p.Name(), p.dialect())
			}
		})
	}
}

func TestCalled(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"a hint", "slipway app list shows them", "h2o app list shows them"},
		{"several", "sign in with: slipway login; or: slipway token list", "sign in with: h2o login; or: h2o token list"},
		{"lines", "do:\n  slipway app delete 1", "do:\n  h2o app delete 1"},
		{"a server's", "or run slipway up in this folder", "or run slipway up in this folder"},
		{"paths", "~/.slipway/config.toml and .slipway app", "~/.slipway/config.toml and .slipway app"},
		{"a name", "slipway on laptop", "slipway on laptop"},
		{"the product", "Slipway app", "Slipway app"},
		{"a word", "my-slipway app", "my-slipway app"},
	}
	p := testProgram(IO{Program: "h2o"})
	p.root([]*cobra.Command{{Use: "up", Run: func(*cobra.Command, []string) {}}})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := p.called(tt.text); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestCompatTable(t *testing.T) {
	tests := []struct {
		name  string
		least []int
		rows  [][]cell
		want  string
	}{
		{"empty", nil, nil, "ID TITLE\n"},
		{"least widths", []int{4, 8}, [][]cell{cells("1", "a")}, "ID   TITLE\n1    a\n"},
		{"wide values", []int{4, 8}, [][]cell{cells("123456", "a"), cells("1", "")}, "ID     TITLE\n123456 a\n1\n"},
		{"wide characters", nil, [][]cell{cells("漢字", "a"), cells("1", "b")}, "ID   TITLE\n漢字 a\n1    b\n"},
		{"hostile", nil, [][]cell{cells("1\n2", "\x1b[2J\tx")}, "ID  TITLE\n1 2 \ufffd[2J x\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var out bytes.Buffer
			if err := compatTable(&out, []string{"ID", "TITLE"}, tt.least, tt.rows); err != nil || out.String() != tt.want {
				t.Errorf("%q, want %q, %v", out.String(), tt.want, err)
			}
		})
	}
}
