package upstreamtest

import (
	"context"
	"crypto/sha1" //nolint:gosec // RFC 6455 §4.2.2 wants it; nothing secret is in it
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"
)

// acceptOf is what a server answers to a WebSocket's key.
func acceptOf(key string) string {
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // see the import
	return base64.StdEncoding.EncodeToString(sum[:])
}

// trailers makes a call with these trailers to an app that answers with those,
// and returns what each side got.
func (f *fixture) trailers(call, answer http.Header) (atApp, atVisitor http.Header) {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	app := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		atApp = r.Trailer
		w.WriteHeader(http.StatusOK)
		http.NewResponseController(w).Flush()
		for name, values := range answer {
			w.Header()[http.TrailerPrefix+name] = values
		}
	}))
	app.Config.Protocols = protocols
	app.Start()
	f.cleanup(app.Close)
	f.front(App{Endpoint: app.Listener.Addr().String()})
	transport := &http.Transport{Protocols: protocols}
	f.cleanup(transport.CloseIdleConnections)
	r, err := http.NewRequest(http.MethodPost, "http://"+f.addr+"/", io.MultiReader(strings.NewReader("ok"))) // of no known length
	f.must(err)
	r.Header.Set("Content-Type", "application/grpc")
	r.Trailer = call
	resp, err := (&http.Client{Transport: transport, Timeout: patience}).Do(r)
	f.must(err)
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	f.must(err)
	return atApp, resp.Trailer
}

// health starts an app that answers gRPC's health service.
func (f *fixture) health() (*health.Server, healthpb.HealthClient) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	f.must(err)
	server, service := grpc.NewServer(), health.NewServer()
	healthpb.RegisterHealthServer(server, service)
	ended := make(chan struct{})
	go func() { // ends with the server
		defer close(ended)
		_ = server.Serve(l)
	}()
	f.cleanup(func() {
		server.Stop()
		<-ended
	})
	f.front(App{Endpoint: l.Addr().String()})
	client, err := grpc.NewClient("passthrough:///"+f.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	f.must(err)
	f.cleanup(func() { client.Close() })
	return service, healthpb.NewHealthClient(client)
}

func grpcCases() []testCase {
	bounded := func() (context.Context, context.CancelFunc) {
		return context.WithTimeout(context.Background(), patience)
	}
	return []testCase{
		{name: "gRPC: a call", run: func(f *fixture) {
			_, client := f.health()
			ctx, cancel := bounded()
			defer cancel()
			resp, err := client.Check(ctx, &healthpb.HealthCheckRequest{})
			f.must(err)
			equal(f, "status", resp.GetStatus(), healthpb.HealthCheckResponse_SERVING)
		}},
		{name: "gRPC: an error without a message", run: func(f *fixture) {
			_, client := f.health()
			ctx, cancel := bounded()
			defer cancel()
			_, err := client.Check(ctx, &healthpb.HealthCheckRequest{Service: "nobody"})
			equal(f, "code", status.Code(err), codes.NotFound)
			equal(f, "message", status.Convert(err).Message(), "unknown service")
		}},
		{name: "gRPC: a stream", run: func(f *fixture) {
			service, client := f.health()
			ctx, cancel := bounded()
			defer cancel()
			stream, err := client.Watch(ctx, &healthpb.HealthCheckRequest{})
			f.must(err)
			for _, want := range []healthpb.HealthCheckResponse_ServingStatus{1, 2, 1, 2} {
				service.SetServingStatus("", want)
				resp, err := stream.Recv()
				f.must(err)
				equal(f, "status", resp.GetStatus(), want)
			}
			cancel()
			_, err = stream.Recv()
			equal(f, "code", status.Code(err), codes.Canceled)
		}},
		{name: "gRPC: trailers", run: func(f *fixture) {
			atApp, atVisitor := f.trailers(
				http.Header{"X-Slipway-User": {"root"}, "X-Forwarded-For": {"6.6.6.6"}, "X_forwarded_for": {"6.6.6.6"}, "Cookie": {"slipway-session=a"}, "X-Mine": {"1"}},
				http.Header{"Set-Cookie": {"slipway-session=evil"}, "Strict-Transport-Security": {"max-age=1"}, "Grpc-Status": {"0"}})
			if len(atApp["Cookie"]) == 0 {
				delete(atApp, "Cookie") // it may have been announced
			}
			equal(f, "trailers at the app", fmt.Sprint(atApp), "map[X-Mine:[1]]")
			equal(f, "trailers at the visitor", fmt.Sprint(atVisitor), "map[Grpc-Status:[0]]")
		}},
		{name: "gRPC: a deadline", run: func(f *fixture) {
			_, client := f.health()
			ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
			defer cancel()
			stream, err := client.Watch(ctx, &healthpb.HealthCheckRequest{})
			f.must(err)
			for err == nil {
				_, err = stream.Recv()
			}
			// The app has the same deadline, and its reset may come first: a
			// server cannot pass the reset's code on.
			if code := status.Code(err); code != codes.DeadlineExceeded && code != codes.Internal {
				f.errorf("code: got %v", err)
			}
		}},
	}
}
