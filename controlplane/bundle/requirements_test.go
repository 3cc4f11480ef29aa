package bundle

import (
	"fmt"
	"strings"
	"testing"
)

func TestRequirements(t *testing.T) {
	has := func(s string) bool { return s == "wheels/x-1.0-py3-none-any.whl" }
	sha := "--hash=sha256:" + strings.Repeat("a", 64)
	tests := []struct{ name, text, want string }{
		{"name", "h2o-wave\n", ""},
		{"versions", "a==1.0\nb >=1, <2\nc~=1.4.2\nd!=1.5.*\ne===any\nf (>=1.0)\ng==1!2.0.post1.dev2+local.1\nh==2.0rc1\n", ""},
		{"extras", "a[b,c]>=1\nd [e] == 2\nf[]\n", ""},
		{"markers", "a ; python_version < '3.10'\nb==1; (sys_platform == \"linux\" or os_name=='nt') and extra == 'x'\nc; 'arm' not in platform_machine\n", ""},
		{"comments and blanks", "# one\n\n  # two\na==1 # three\r\n", ""},
		{"hash", "a==1 " + sha + " " + sha + "\n", ""},
		{"hashes on lines of their own", "a==1 \\\n    " + sha + " \\\n    " + sha + "\n    # via b\nb==2\n", ""},
		{"wheel", "./wheels/x-1.0-py3-none-any.whl\nwheels/x-1.0-py3-none-any.whl " + sha + "\n", ""},
		{"no line break at the end", "a", ""},
		{"byte order mark", "\ufeffa==1\n", ""},

		{"-r", "a\n-r other.txt\n", "2"},
		{"-e", "-e .\n", "1"},
		{"-c", "-c x\n", "1"},
		{"--index-url", "--index-url https://evil/\n", "1"},
		{"--extra-index-url after a name", "a --extra-index-url=https://evil/\n", "1"},
		{"option in a continuation", "# x\na==1 \\\n --pre\n", "2"},
		{"option behind a hash", "a " + sha + " --pre\n", "1"},
		{"--config-settings", "a --config-settings=x=y\n", "1"},
		{"weak hash", "a --hash=md5:" + strings.Repeat("a", 32) + "\n", "1"},
		{"short hash", "a --hash=sha256:abc\n", "1"},
		{"URL", "https://evil/x.whl\n", "1"},
		{"direct reference", "a @ https://evil/x.whl\n", "1"},
		{"direct reference without spaces", "a@file:///x\n", "1"},
		{"git", "git+https://evil/x.git\n", "1"},
		{"file", "file:x.whl\n", "1"},
		{"folder", "./x\n", "1"},
		{"source archive", "./x-1.0.tar.gz\n", "1"},
		{"source archive beside the list", "x-1.0.tar.gz\nx.zip[a] ; os_name == 'nt'\nx===1.tar.bz2\nX.TGZ\n", "1 2 3 4"},
		{"name like an archive's", "zip\ntar.py\n", ""},
		{"wheel outside", "../x-1.0-py3-none-any.whl\n", "1"},
		{"wheel outside by a detour", "wheels/../../x-1.0-py3-none-any.whl\n", "1"},
		{"wheel absolute", "/x-1.0-py3-none-any.whl\n", "1"},
		{"wheel missing", "wheels/y-1.0-py3-none-any.whl\n", "1"},
		{"variable", "${HOME}\na==${X}\n", "1 2"},
		{"shell", "a; rm -rf /\na && b\n$(x)\n`x`\na|b\n", "1 2 3 4 5"},
		{"version without operator", "a 1.0\n", "1"},
		{"single equals sign", "a=1.0\n", "1"},
		{"marker is no comparison", "a; python_version\nb; x == 'y'\nc;\n", "1 2 3"},
		{"extras broken", "a[b\n", "1"},
		{"control character", "a\x1b[2J\n", "1"},
		{"NUL", "a\x00\n", "1"},
		{"not UTF-8", "a\xff\n# \xff\n", "1 2"},
		{"several", "-r x\na==1\n-e y\n", "1 3"},

		// What pip takes for the end of a line ends a comment.
		{"carriage return in a comment", "# x\r--index-url https://evil/\n", "1"},
		{"carriage return behind a requirement", "a # x\r-r y\n", "1"},
		{"vertical tab in a comment", "a\n# x\x0b-e .\n", "2"},
		{"form feed in a comment", "# x\x0c-e .\n", "1"},
		{"separators in a comment", "# x\x1c-e .\n# x\x1d-e .\n# x\x1e-e .\n", "1 2 3"},
		{"next line in a comment", "# x\u0085-e .\n", "1"},
		{"line separator in a comment", "# x\u2028-e .\n# x\u2029-e .\n", "1 2"},
		{"line separator in a marker", "a; os_name == '\u2028-e .\u2028'\n", "1"},
		{"tab in a comment", "a # x\ty\n", ""},
		{"letters beyond ASCII in a comment", "# für alle\na\n", ""},
		// In the encoding that it declares a comment may be something else.
		{"encoding UTF-7", "# coding: utf-7\n# +AAo---index-url https://evil/\n", "1"},
		{"encoding in the second line", "a \\\n#coding=utf-7\n", "2"},
		{"encoding with escapes", "# vim: set fileencoding=unicode_escape :\na # \\n-e .\n", "1"},
		{"encoding UTF-8", "# -*- coding: UTF-8 -*-\na\n", ""},
		{"encoding in the third line", "a\nb\n# coding: latin-1\n", ""},
		{"encoding that is no comment's", "a # coding: utf-7\n", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &faults{}
			checkRequirements([]byte(tt.text), has, f)
			checkLinesOf(t, f, CodeRequirements, tt.want)
		})
	}
}

func TestPackages(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"names", "libgomp1\ng++\nlibstdc++6\n# comment\n\npython3.11 # why\n", ""},
		{"version", "libgomp1=12.2.0-14\nx11-common=1:7.7+23~deb12u1\n", ""},
		{"option", "-o Dpkg::Options::=x\n--allow\n", "1 2"},
		{"two names", "a1 b1\n", "1"},
		{"shell", "vim;id\nvim&&id\n$(id)\nvim|id\n", "1 2 3 4"},
		{"removal", "vim-\nvim-=1\n", "1 2"},
		{"release", "vim/bookworm\n", "1"},
		{"architecture", "vim:i386\n", "1"},
		{"path", "./x.deb\n/x.deb\n", "1 2"},
		{"upper case", "Vim\n", "1"},
		{"one letter", "a\n", "1"},
		{"version of nothing", "vim=\n", "1"},
		{"continuation is not taken", "vim \\\n -o x\n", "1 2"},
		{"control character", "vim\x07\n", "1"},
		{"end of line in a comment", "vim # x\r-o y\n# x\u2028-o y\n", "1 2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := &faults{}
			checkPackages([]byte(tt.text), f)
			checkLinesOf(t, f, CodePackages, tt.want)
		})
	}
}

// checkLinesOf compares the lines that have faults.
func checkLinesOf(t *testing.T, f *faults, code, want string) {
	t.Helper()
	var lines []string
	for _, x := range f.list {
		lines = append(lines, fmt.Sprint(x.Line))
		if x.Code != code || x.Column < 1 || x.Message == "" {
			t.Errorf("fault %+v", x)
		}
	}
	if got := strings.Join(lines, " "); got != want {
		t.Errorf("faults in lines %q, want %q: %v", got, want, f.list)
	}
}

func FuzzRequirements(f *testing.F) {
	f.Add("a[b]>=1,<2 ; python_version < '3' # x\n./a.whl --hash=sha256:ab\n")
	f.Add("a \\\n b @ file:x\n-r y\nvim=1:2\n")
	f.Fuzz(func(t *testing.T, s string) {
		x := &faults{}
		checkRequirements([]byte(s), func(string) bool { return true }, x)
		if len(x.list) == 0 {
			// Nothing that passes begins with an option or has an address.
			for _, line := range joinLines([]byte(strings.TrimPrefix(s, "\ufeff"))) {
				if text := stripComment(line.text); strings.HasPrefix(text, "-") || strings.Contains(text, "://") && !strings.Contains(text, ";") {
					t.Errorf("took %q", text)
				}
			}
		}
		checkPackages([]byte(s), x)
	})
}
