package main

import (
	"cmp"
	"context"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"sync"
)

// recorder is a listener whose connections keep what comes over them, since
// net/http shows a request only after it has understood it.
type recorder struct{ net.Listener }

func (l recorder) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &recorded{Conn: c}, nil
}

// maxRecord is how much is kept of one request: more than any head.
const maxRecord = 128 << 10

type recorded struct {
	net.Conn
	mu   sync.Mutex // the server reads ahead beside the handler
	data []byte
}

func (c *recorded) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.data = append(c.data, p[:min(n, maxRecord-len(c.data))]...)
	return n, err
}

type recordKey struct{}

func withRecord(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, recordKey{}, c)
}

// recordOf takes what has come for a request whose body has been read. The edge
// sends the next one only after the answer to this one.
func recordOf(r *http.Request) []byte {
	c := r.Context().Value(recordKey{}).(*recorded)
	c.mu.Lock()
	defer c.mu.Unlock()
	data := c.data
	c.data = nil
	return data
}

// scripted answers with the bytes that the request asks for, and ends the
// connection: the request's body or, base64, its header X-Answer or the value
// answer of its query. No bytes are no answer.
func scripted(w http.ResponseWriter, r *http.Request) {
	answer, err := io.ReadAll(r.Body)
	if text := cmp.Or(r.Header.Get("X-Answer"), r.URL.Query().Get("answer")); err == nil && text != "" {
		answer, err = base64.StdEncoding.DecodeString(text)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer c.Close()
	_, _ = c.Write(answer) // nobody is left to be told
}
