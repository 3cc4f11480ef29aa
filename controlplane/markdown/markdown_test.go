package markdown

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

func TestHTML(t *testing.T) {
	const rel = ` rel="nofollow noreferrer noopener" target="_blank"`
	for _, tc := range []struct{ name, text, want string }{
		{"nothing", "", ""},
		{"byte order mark", "\ufeff# a", "<h1>a</h1>"},
		{"carriage returns", "a\r\n\r\nb", "<p>a</p>\n<p>b</p>"},
		{"emphasis", "*a* **b** ~~c~~ `d`", "<p><em>a</em> <strong>b</strong> <del>c</del> <code>d</code></p>"},
		{"list", "3. a\n4. b", "<ol start=\"3\">\n<li>a</li>\n<li>b</li>\n</ol>"},
		{"code of a language", "```go\n<b>\n```", "<pre><code>&lt;b&gt;\n</code></pre>"},
		{"table", "|a|b|\n|-|:-:|\n|1|2|", "<table>\n<thead>\n<tr>\n<th>a</th>\n<th>b</th>\n</tr>\n</thead>\n<tbody>\n<tr>\n<td>1</td>\n<td>2</td>\n</tr>\n</tbody>\n</table>"},
		{"link", "[a](https://b.example/c?d=e&f)", `<p><a href="https://b.example/c?d=e&amp;f"` + rel + `>a</a></p>`},
		{"mail", "<a@b.example>", `<p><a href="mailto:a@b.example" rel="nofollow noreferrer">a@b.example</a></p>`},

		{"script", "<script>alert(1)</script>", ""},
		{"script in a line", "a<script>b</script>c", "<p>abc</p>"},
		{"HTML block", "<div onclick=x>\n\na", "<p>a</p>"},
		{"HTML comment", "<!-- <img src=x onerror=y> -->a", ""},
		{"style", "<style>*{}</style>\n\na", "<p>a</p>"},
		{"iframe", "a <iframe src=https://x></iframe>", "<p>a </p>"},
		{"form", "a <form action=https://x><input></form>", "<p>a </p>"},
		{"javascript", "[a](javascript:alert(1))", "<p>a</p>"},
		{"javascript in capitals", "[a](JaVaScRiPt:alert(1))", "<p>a</p>"},
		{"javascript with a tab", "[a](java&#x09;script:alert(1))", "<p>a</p>"},
		{"javascript by entities", "[a](&#106;avascript:alert(1))", "<p>a</p>"},
		{"javascript by reference", "[a]\n\n[a]: javascript:alert(1)", "<p>a</p>"},
		{"javascript of an autolink", "<javascript:alert(1)>", "<p>javascript:alert(1)</p>"},
		{"vbscript", "[a](vbscript:x)", "<p>a</p>"},
		{"data", "[a](data:text/html;base64,PHNjcmlwdD4=)", "<p>a</p>"},
		{"file", "[a](file:///etc/passwd)", "<p>a</p>"},
		{"relative link", "[a](../../api/v1/logout)", "<p>a</p>"},
		{"absolute path", "[a](/api/v1/logout)", "<p>a</p>"},
		{"link without a scheme", "[a](//evil.example)", "<p>a</p>"},
		{"attribute by the title", "[a](https://b.example 'x\" onmouseover=\"y')", `<p><a href="https://b.example"` + rel + `>a</a></p>`},
		{"picture from elsewhere", "![who *looks*](https://spy.example/x.png)", "<p>who <em>looks</em></p>"},
		{"picture of the bundle", "![logo](static/logo.png)", "<p>logo</p>"},
		{"picture in a link", "[![badge](https://spy.example/x.svg)](https://b.example)", `<p><a href="https://b.example"` + rel + `>badge</a></p>`},
		{"raw picture", "a <img src=https://spy.example/x.png>", "<p>a </p>"},
		{"id", "# a {#login}", "<h1>a {#login}</h1>"},
		{"NUL", "a\x00b", "<p>a\ufffdb</p>"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := HTML([]byte(tc.text))
			if err != nil || strings.TrimSpace(string(got)) != tc.want {
				t.Errorf("%s, %v, want %s", got, err, tc.want)
			}
		})
	}
}

func filled(s string) string { return strings.Repeat(s, MaxSource/len(s)) }

func growing(f func(n int) string) string {
	var b strings.Builder
	for n := 1; ; n++ {
		s := f(n)
		if b.Len()+len(s) > MaxSource {
			return b.String()
		}
		b.WriteString(s)
	}
}

// TestNothingTakesLong has what parsers of Markdown are known to take square time
// for, as large as it may be: it is refused or rendered.
func TestNothingTakesLong(t *testing.T) {
	half := MaxSource/2 - 8
	for name, text := range map[string]string{
		"quotes": filled(">"), "quotes of one line": filled(strings.Repeat(">", 16) + "a\n"), "quotes that grow": growing(func(n int) string { return strings.Repeat(">", n) + "a\n" }),
		"lists in a line": filled("- "), "numbers in a line": filled("1. "), "lists and quotes": filled("> - "), "both kinds": filled("- 1. "), "just so many": filled(strings.Repeat("> - ", 8) + "a\n"),
		"lists that grow": growing(func(n int) string { return strings.Repeat("  ", n) + "- a\n" }),
		"open brackets":   filled("["), "brackets in brackets": strings.Repeat("[", half) + strings.Repeat("]", half), "pictures": filled("!["), "links in pictures": filled("[!["),
		"empty links": filled("[]("), "open links": filled("[a](b"), "open titles": filled("[a](<b"), "parentheses": "[a](" + strings.Repeat("(", half), "by paragraphs": filled(strings.Repeat("[](", 900) + "\n\n"),
		"references": filled("[a]: u\n"), "uses of references": filled("[a][b]"), "open references": filled("[a]: <b> 'c"),
		"emphasis": filled("*a "), "emphasis of both kinds": filled("*a _b "), "emphasis inside words": filled("a**b"), "all kinds": filled("a*b**c***d____"), "deep emphasis": strings.Repeat("*_", half/2) + "a" + strings.Repeat("_*", half/2),
		"kinds that never meet": filled("_*a"), "kinds by lines": filled("\n_*a"), "kinds with spaces": filled(" *~"), "kinds by paragraphs": filled(strings.Repeat("_*a", 1000) + "\n\n"),
		"strokes": filled("~a~~b"), "backticks": growing(func(n int) string { return "e" + strings.Repeat("`", n) }),
		"tags": filled("<a "), "attributes": filled("<a b='"), "ends": filled("</a"), "comments": filled("<!--"), "CDATA": filled("<![CDATA["), "instructions": filled("<?"), "addresses": filled("<a@"), "schemes": filled("<http://"),
		"a wide table": "a" + strings.Repeat("|a", 2000) + "\n-" + strings.Repeat("|-", 2000) + "\n" + strings.Repeat("a\n", half/2), "tables": filled("a|b\n-|-\n"), "tables by paragraphs": filled("a|b\n-|-\n\n"),
		"headings": filled("# a\n"), "underlined": filled("a\n-\n"), "fences": filled("```\n"), "lines": filled("a\n"), "empty lines": filled("\n"), "entities": filled("&#x41;"), "backslashes": filled("\\"), "NUL": filled("\x00"), "tabs": filled("\t"),
	} {
		t.Run(name, func(t *testing.T) {
			began := time.Now()
			_, err := HTML([]byte(text))
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("took %s (%v)", took, err)
			}
		})
	}
}

func TestWhatIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"too long": strings.Repeat("a", MaxSource+1), "not UTF-8": "\xff", "too deep": strings.Repeat("> ", 17) + "a", "too many brackets": strings.Repeat("[", 1001),
		"too many markers": strings.Repeat("*a_b", 1001),
		"too many cells":   strings.Repeat("|a", 100) + strings.Repeat("\na", 200),
	} {
		if _, err := HTML([]byte(text)); err == nil {
			t.Errorf("%s: it is rendered", name)
		}
	}
	for name, text := range map[string]string{
		"deep": strings.Repeat("> ", 16) + "a", "brackets": strings.Repeat("[", 1000), "markers": strings.Repeat("**a__b", 1000), "lines of markers": strings.Repeat("*", 60_000), "brackets of two paragraphs": strings.Repeat("[", 1000) + "\n\n" + strings.Repeat("[", 1000),
		"a table": strings.Repeat("a|b|c\n-|-|-\n1|2|3\n", 1000),
	} {
		if _, err := HTML([]byte(text)); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzHTML wants that nothing is in the result that could run, load or lead
// somewhere that it may not.
func FuzzHTML(f *testing.F) {
	for _, text := range []string{"# a\n\n[b](https://c) ![d](e)\n", "|a|\n|-|\n|<b>|", "<a@b>", "[x](javascript:1 'y')", "> - 1. a\n\n```x\n<script>\n```"} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		got, err := HTML(text)
		if err != nil {
			return
		}
		if err := harmless(string(got)); err != nil {
			t.Errorf("%v in %q", err, got)
		}
	})
}

func harmless(text string) error {
	z := html.NewTokenizer(strings.NewReader(text))
	for {
		switch z.Next() {
		case html.ErrorToken:
			return nil
		case html.CommentToken, html.DoctypeToken:
			return fmt.Errorf("a comment")
		case html.StartTagToken, html.SelfClosingTagToken:
			token := z.Token()
			if !strings.Contains(" h1 h2 h3 h4 h5 h6 p br hr blockquote pre code em strong del ul ol li table thead tbody tr th td a ", " "+token.Data+" ") {
				return fmt.Errorf("element %s", token.Data)
			}
			for _, a := range token.Attr {
				href := a.Key == "href" && (strings.HasPrefix(a.Val, "http://") || strings.HasPrefix(a.Val, "https://") || strings.HasPrefix(a.Val, "mailto:"))
				if !href && !strings.Contains(" rel target start align ", " "+a.Key+" ") {
					return fmt.Errorf("attribute %s=%q", a.Key, a.Val)
				}
			}
		}
	}
}
