package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"

	v1 "github.com/seed-dbc68772/slipway/controlplane/api/v1"
)

// Row is an item of a list, with the JSON that the server sent for it: that may
// have fields that this program does not know.
type Row[T any] struct {
	Item T
	JSON string
}

// pagesAhead is how many pages are read before somebody asks for their items.
const pagesAhead = 3

// pageRead is a page, decoded.
type pageRead[T any] struct {
	rows []Row[T]
	next string // the cursor; empty at the end
	err  error
}

// walk yields the pages, and ends after an error. While a page is decoded the
// server makes the next one.
func walk[T any](ctx context.Context, c *Client, query url.Values, path ...string) iter.Seq2[[]Row[T], error] {
	return func(yield func([]Row[T], error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		pages := make(chan chan pageRead[T], pagesAhead)
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			defer close(pages)
			fetchPages(ctx, c, call{method: http.MethodGet, path: path, query: query}, pages)
		}()
		defer func() {
			cancel()
			<-ended
			for page := range pages {
				<-page
			}
		}()
		for page := range pages {
			if read := <-page; !yield(read.rows, read.err) || read.err != nil {
				return
			}
		}
	}
}

// fetchPages sends every page as soon as it is there, and decodes it meanwhile.
func fetchPages[T any](ctx context.Context, c *Client, k call, pages chan<- chan pageRead[T]) {
	cursor, size := "", 0
	for {
		query := Page{Limit: 1000, Cursor: cursor}.query()
		for name, values := range k.query {
			query[name] = values
		}
		body, err := c.body(ctx, call{method: k.method, path: k.path, query: query}, size)
		size = len(body) + len(body)/8
		page, done := make(chan pageRead[T], 1), make(chan string, 1)
		select {
		case pages <- page:
		case <-ctx.Done():
			return
		}
		if err != nil {
			page <- pageRead[T]{err: err}
			return
		}
		go func(cursor string) {
			read := readPage[T](c, body)
			if read.err == nil && read.next != "" && read.next == cursor {
				read.err = repeated(cursor)
			}
			done <- read.next
			page <- read
		}(cursor)
		// Where the cursor can be seen, the page need not be decoded for it.
		next, seen := nextCursor(body)
		if !seen {
			next = <-done
		}
		if next == "" || next == cursor {
			return
		}
		cursor = next
	}
}

// nextCursor finds the cursor at the end of a page, if it is there plainly: what
// it looks for cannot be within a string.
func nextCursor(body string) (cursor string, seen bool) {
	const key = `"next_cursor":"`
	at := strings.LastIndex(body, key)
	if at < 0 {
		return "", false
	}
	cursor, _, seen = strings.Cut(body[at+len(key):], `"`)
	return cursor, seen && !strings.Contains(cursor, `\`)
}

func readPage[T any](c *Client, body string) (out pageRead[T]) {
	if out, ok := quickPage[T](body); ok {
		return out
	}
	var list v1.List[json.RawMessage]
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		out.err = c.unknownJSON(err)
		return out
	}
	out.rows = make([]Row[T], len(list.Items))
	for i, item := range list.Items {
		if err := json.Unmarshal(item, &out.rows[i].Item); err != nil {
			out.err = c.unknownJSON(err)
			return out
		}
		out.rows[i].JSON = string(item)
	}
	if list.NextCursor != nil {
		out.next = *list.NextCursor
	}
	return out
}

// quickPage reads a page as our servers write it.
func quickPage[T any](body string) (out pageRead[T], ok bool) {
	q := newQuick(body)
	if q == nil {
		return out, false
	}
	out.rows = make([]Row[T], 0, 1000)
	q.object(func(key string) {
		switch key {
		case "items":
			q.array(func() {
				out.rows = append(out.rows, Row[T]{})
				row, from := &out.rows[len(out.rows)-1], q.at
				q.into(reflect.ValueOf(&row.Item).Elem())
				row.JSON = body[from:q.at]
			})
		case "next_cursor":
			if !q.word("null") {
				out.next = q.string()
			}
		case "revision":
			q.string()
		default:
			q.fail()
		}
	})
	q.word("\n")
	return out, !q.failed && q.at == len(body)
}

// items are what is in the pages, without its JSON.
func items[T any](pages iter.Seq2[[]Row[T], error]) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for rows, err := range pages {
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for i := range rows {
				if !yield(rows[i].Item, nil) {
					return
				}
			}
		}
	}
}

// rows are those of all pages.
func rows[T any](pages iter.Seq2[[]Row[T], error]) ([]Row[T], error) {
	var all [][]Row[T]
	for page, err := range pages {
		if err != nil {
			return nil, err
		}
		all = append(all, page)
	}
	return slices.Concat(all...), nil
}
