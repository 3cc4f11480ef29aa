package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

func main() {
	if err := serve(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "engine:", err)
		os.Exit(1)
	}
}

// serve answers until the input ends.
func serve(in io.Reader, out io.Writer) error {
	e, err := newEngine()
	if err != nil {
		return fmt.Errorf("start engine: %w", err)
	}
	questions, answers := json.NewDecoder(in), json.NewEncoder(out)
	questions.DisallowUnknownFields()
	for {
		var q question
		if err := questions.Decode(&q); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read question: %w", err)
		}
		a, err := e.answer(q)
		if err != nil {
			return fmt.Errorf("answer %s: %w", q.Do, err)
		}
		if err := answers.Encode(a); err != nil {
			return fmt.Errorf("write answer: %w", err)
		}
	}
}
