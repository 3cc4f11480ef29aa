package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

// A body of more than a test takes.
const pieces = 32 << 10

var piece [32 << 10]byte

// pour sends it as fast as the visitor takes it.
func pour(w http.ResponseWriter) {
	for range pieces {
		if _, err := w.Write(piece[:]); err != nil {
			return
		}
	}
}

// silent is an event stream with one event, and nothing more until nobody
// listens.
func silent(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	fmt.Fprint(w, "data: open\n\n")
	if http.NewResponseController(w).Flush() == nil {
		<-r.Context().Done()
	}
}

// job begins work that needs no visitor: it says that it is busy for the time in
// the query's for, with the instance's own token.
func job(w http.ResponseWriter, r *http.Request) {
	if err := busy(r); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func busy(r *http.Request) error {
	token, err := os.ReadFile(os.Getenv("SLIPWAY_TOKEN_FILE"))
	if err != nil {
		return err
	}
	body, err := json.Marshal(map[string]string{"for": r.URL.Query().Get("for"), "reason": "training"})
	if err != nil {
		return err
	}
	url := os.Getenv("H2O_CLOUD_ENVIRONMENT") + "/api/v1/instance/busy"
	said, err := http.NewRequestWithContext(r.Context(), http.MethodPut, url, strings.NewReader(string(body)))
	if err != nil {
		return err
	}
	said.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	said.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(said)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if answer, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK {
		return fmt.Errorf("say busy: %s %s (%w)", resp.Status, answer, err)
	}
	return nil
}

// call is a unary call of gRPC: its one message goes back as it came.
func call(w http.ResponseWriter, r *http.Request) {
	message, err := io.ReadAll(r.Body)
	status := "0"
	if err != nil {
		status = "13" // internal
	}
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Trailer", "Grpc-Status")
	_, _ = w.Write(message) // nobody is left to be told
	w.Header().Set("Grpc-Status", status)
}
