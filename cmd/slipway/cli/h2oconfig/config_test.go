package h2oconfig

import (
	"maps"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
)

// appStore is a file as the App Store's command line writes it.
const appStore = `ClientID = "hac-platform-public"
Endpoint = "https://cloud.h2o.ai"
OIDCAddress = "https://auth.cloud.h2o.ai/auth/realms/hac"
PlatformClientID = "hac-platform-public"
PlatformToken = "eyJhbGciOiJIUzI1NiJ9.p"
Token = "eyJhbGciOiJIUzI1NiJ9.t"
`

func TestParse(t *testing.T) {
	tests := []struct {
		name, text      string
		endpoint, token string
		err             string
	}{
		{name: "empty"},
		{name: "the App Store's", text: appStore, endpoint: "https://cloud.h2o.ai", token: "eyJhbGciOiJIUzI1NiJ9.t"},
		{name: "any case", text: "endpoint = 'a'\nTOKEN = 'b'\n", endpoint: "a", token: "b"},
		{name: "quoted keys", text: "\"Endpoint\" = \"a\"\n'Token' = \"b\"\n", endpoint: "a", token: "b"},
		{name: "space around a value", text: "Endpoint = ' a '\nToken = \"b\\n\"", endpoint: "a", token: "b"},
		{name: "lines", text: "Endpoint = '''\na'''\nToken = \"\"\"\\\n   b\"\"\"", endpoint: "a", token: "b"},
		{name: "a byte order mark and CRLF", text: "\ufeffEndpoint = \"a\"\r\nToken = \"b\"\r\n", endpoint: "a", token: "b"},
		{name: "of a table", text: "[Other]\nEndpoint = 'x'\nToken = 'y'"},
		{name: "twice", text: "Token = 'x'\nToken = 'y'", err: "line 2, column 1 is not TOML"},
		{name: "twice in other cases", text: "Token = 'x'\ntoken = 'y'", err: "the key Token is there twice"},
		{name: "a number", text: "Endpoint = 8080", err: `Endpoint is no string: write Endpoint = "…"`},
		{name: "a table", text: "[Token]\nx = 'secret'", err: "Token is no string"},
		{name: "a dotted key", text: "Token.x = 'secret'", err: "Token is no string"},
		{name: "another key of no use", text: "PlatformToken = ['secret']", err: "PlatformToken is no string"},
		{name: "no TOML", text: "Endpoint = 'a'\nToken: secret", err: "line 2, column 6 is not TOML"},
		{name: "no UTF-8", text: "Token = 'secret\xff'", err: "it is not UTF-8"},
		{name: "long", text: "# " + strings.Repeat("x", MaxSize), err: "it has more than 65536 bytes"},
		{name: "deep", text: "x = " + strings.Repeat("[", MaxSize-8), err: "is not TOML"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Parse([]byte(tt.text))
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "secret") {
					t.Fatalf("%v, want %s", err, tt.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if f.Get(Endpoint) != tt.endpoint || f.Get(Token) != tt.token {
				t.Errorf("%q, %q", f.Get(Endpoint), f.Get(Token))
			}
		})
	}
}

func TestWith(t *testing.T) {
	tests := []struct{ name, before, after string }{
		{"empty", "", "Token = \"new\"\n"},
		{"the App Store's", appStore, strings.Replace(appStore, "eyJhbGciOiJIUzI1NiJ9.t", "new", 1)},
		{"comments and order", "# mine\nToken = 'old' # of staging\nX = 1\n[T]\nToken = 'theirs'\n", "# mine\nToken = \"new\" # of staging\nX = 1\n[T]\nToken = 'theirs'\n"},
		{"its own spelling", "token='old'", "token=\"new\""},
		{"lines", "Token = '''\nold\n'''\r\nX = 1", "Token = \"new\"\r\nX = 1"},
		{"before tables", "# first\n[[T]]\nx = 1\n", "Token = \"new\"\n# first\n[[T]]\nx = 1\n"},
		{"no line end", "X = 1", "Token = \"new\"\nX = 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Parse([]byte(tt.before))
			if err != nil {
				t.Fatal(err)
			}
			if f, err = f.With(Token, "new"); err != nil {
				t.Fatal(err)
			}
			if got := string(f.Text()); got != tt.after {
				t.Errorf("%q, want %q", got, tt.after)
			}
		})
	}
}

func TestOthers(t *testing.T) {
	f, err := Parse([]byte("X = 1\nendpoint = 'a'\n[contexts.local]\n"))
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(f.Others(), " "); got != "X contexts" {
		t.Error(got)
	}
}

// FuzzFile holds that a change is of one key alone, whatever else is there.
func FuzzFile(f *testing.F) {
	for _, seed := range []string{
		"", appStore, "token = 'x'", "\ufeffToken = \"\"\"\nx\"\"\" # c\r\n[T]\nToken = 1", "Token.x = 1", "'Token' = \"\\u0041\"",
		"x = [[{}]]\nEndpoint = ''", "[contexts.local]\nendpoint = 'http://localhost:8080'", "Token=\"a\"#\"",
	} {
		f.Add([]byte(seed), "slw_p_new")
		f.Add([]byte(seed), "\"\\\n\x00\u2028")
	}
	f.Fuzz(func(t *testing.T, text []byte, token string) {
		file, err := Parse(text)
		if err != nil {
			return
		}
		changed, err := file.With(Token, token)
		if err != nil {
			return // too long now, or no UTF-8
		}
		if changed.values[Token].text != token {
			t.Fatalf("%q, not %q, from %q", changed.values[Token].text, token, text)
		}
		before, after := decode(t, file), decode(t, changed)
		for _, all := range []map[string]any{before, after} {
			maps.DeleteFunc(all, func(name string, _ any) bool { return strings.EqualFold(name, "token") })
		}
		if x, y := encode(t, before), encode(t, after); x != y {
			t.Fatalf("other keys changed: %q became %q", x, y)
		}
		back, err := changed.With(Token, file.values[Token].text)
		if err != nil {
			t.Fatal(err)
		}
		if back.Get(Token) != file.Get(Token) {
			t.Fatalf("%q and back is %q", file.Get(Token), back.Get(Token))
		}
	})
}

func decode(t *testing.T, f *File) map[string]any {
	t.Helper()
	all := map[string]any{}
	if err := toml.Unmarshal(f.Text(), &all); err != nil {
		t.Fatal(err)
	}
	return all
}

func encode(t *testing.T, all map[string]any) string {
	t.Helper()
	text, err := toml.Marshal(all)
	if err != nil {
		t.Skip(err) // what it read and cannot write
	}
	return string(text)
}
