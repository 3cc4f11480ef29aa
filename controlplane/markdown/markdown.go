package markdown

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"unicode/utf8"

	"github.com/microcosm-cc/bluemonday"
	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/renderer"
	"github.com/yuin/goldmark/util"
)

// MaxSource is the size of the largest text, in bytes.
const MaxSource = 64 << 10

// MaxHTML is the size of the largest result, in bytes.
const MaxHTML = 1 << 20

// HTML renders CommonMark with GitHub's tables and strike-through. The error
// says why it does not; it is fit for users.
func HTML(source []byte) ([]byte, error) {
	source = bytes.TrimPrefix(source, []byte("\ufeff"))
	switch {
	case len(source) > MaxSource:
		return nil, fmt.Errorf("it has %d bytes, the limit is %d", len(source), MaxSource)
	case !utf8.Valid(source):
		return nil, errors.New("it is not UTF-8")
	case tooOdd(source):
		return nil, errors.New("it nests too deep, or opens what it does not close too often")
	}
	var out bytes.Buffer
	if err := parser.Convert(source, &out); err != nil {
		return nil, fmt.Errorf("it cannot be rendered: %w", err)
	}
	html := policy.SanitizeBytes(out.Bytes())
	if len(html) > MaxHTML {
		return nil, fmt.Errorf("it has %d bytes as HTML, the limit is %d", len(html), MaxHTML)
	}
	return html, nil
}

var parser = goldmark.New(
	goldmark.WithExtensions(extension.Table, extension.Strikethrough),
	goldmark.WithRendererOptions(renderer.WithNodeRenderers(util.Prioritized(plainImages{}, 100))),
)

// plainImages writes the text of an image in its place.
type plainImages struct{}

// RegisterFuncs implements renderer.NodeRenderer.
func (plainImages) RegisterFuncs(r renderer.NodeRendererFuncRegisterer) {
	r.Register(ast.KindImage, func(util.BufWriter, []byte, ast.Node, bool) (ast.WalkStatus, error) {
		return ast.WalkContinue, nil
	})
}

// policy is what may be in the result, whatever the renderer writes.
var policy = allowed()

func allowed() *bluemonday.Policy {
	p := bluemonday.NewPolicy()
	p.AllowElements(
		"h1", "h2", "h3", "h4", "h5", "h6", "p", "br", "hr", "blockquote", "pre", "code", "em", "strong", "del",
		"ul", "ol", "li", "table", "thead", "tbody", "tr", "th", "td",
	)
	p.AllowAttrs("start").Matching(regexp.MustCompile(`^[0-9]{1,9}$`)).OnElements("ol")
	p.AllowAttrs("align").Matching(regexp.MustCompile(`^(left|right|center)$`)).OnElements("th", "td")
	p.AllowAttrs("href").OnElements("a")
	p.AllowURLSchemes("http", "https", "mailto")
	p.AllowRelativeURLs(false)
	p.RequireParseableURLs(true)
	p.RequireNoFollowOnLinks(true)
	p.RequireNoReferrerOnLinks(true)
	p.AddTargetBlankToFullyQualifiedLinks(true)
	return p
}
