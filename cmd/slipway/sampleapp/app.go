package sampleapp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	stopTime   = 5 * time.Second  // for requests under way, once the app is to stop
	headerTime = 10 * time.Second // for a request's headers
)

// Run serves the sample app until ctx ends or the process gets SIGTERM or
// SIGINT; both are a clean stop, not an error. It reads PORT, which is
// required, and H2O_WAVE_BASE_URL, SLIPWAY_URL, H2O_CLOUD_INSTANCE_ID,
// H2O_CLOUD_APP_NAME and H2O_CLOUD_APP_VERSION. Each request but health checks
// is a line on stdout.
func Run(ctx context.Context, getenv func(string) string, stdout io.Writer) error {
	port, err := parsePort(getenv("PORT"))
	if err != nil {
		return fmt.Errorf("start sample app: %w", err)
	}
	ctx, release := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	defer release()
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		return fmt.Errorf("start sample app: %w", err)
	}
	a := &app{
		instance: instanceOf(getenv),
		log:      log.New(stdout, "", log.LstdFlags|log.LUTC),
		stop:     ctx,
	}
	a.log.Printf("the sample app listens on %s, below %s", address, a.instance.BasePath)
	return a.serve(listener)
}

func parsePort(s string) (int, error) {
	if s == "" {
		return 0, errors.New("PORT is not set; a launcher sets it, so use `slipway up`, or set PORT yourself")
	}
	port, err := strconv.Atoi(s)
	if err != nil || port < 1 || port > 65535 {
		return 0, fmt.Errorf("PORT is %q, which is no port from 1 to 65535", s)
	}
	return port, nil
}

// instance is what the app knows of itself.
type instance struct {
	ID          string `json:"id"`
	URL         string `json:"url"`
	RoutingMode string `json:"routing_mode"`
	BasePath    string `json:"base_path"` // begins and ends with "/"
	AppName     string `json:"app_name"`
	AppVersion  string `json:"app_version"`
}

func instanceOf(getenv func(string) string) instance {
	in := instance{
		ID:          getenv("H2O_CLOUD_INSTANCE_ID"),
		URL:         getenv("SLIPWAY_URL"),
		RoutingMode: "DOMAIN",
		BasePath:    "/",
		AppName:     getenv("H2O_CLOUD_APP_NAME"),
		AppVersion:  getenv("H2O_CLOUD_APP_VERSION"),
	}
	if prefix := strings.Trim(getenv("H2O_WAVE_BASE_URL"), "/"); prefix != "" {
		in.RoutingMode, in.BasePath = "BASE_URL", "/"+prefix+"/"
	}
	return in
}

// app is the running app. Its streams end with stop; other requests may finish.
type app struct {
	instance instance
	log      *log.Logger
	stop     context.Context
	sockets  sockets
}

// serve returns once every connection is closed, sockets included.
func (a *app) serve(listener net.Listener) error {
	server := &http.Server{Handler: a, ReadHeaderTimeout: headerTime, ErrorLog: a.log}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve sample app: %w", err)
	case <-a.stop.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	err := server.Shutdown(ctx)
	if reason := <-failed; !errors.Is(reason, http.ErrServerClosed) {
		err = errors.Join(err, reason)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		a.log.Printf("cut the requests that had not ended after %s", stopTime)
		err = server.Close()
	}
	a.sockets.wait()
	a.log.Print("the sample app has stopped")
	return err
}
