package caddymodule_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/seed-dbc68772/slipway/caddymodule"
)

func digestOf(icon string) string {
	sum := sha256.Sum256([]byte(icon))
	return hex.EncodeToString(sum[:])
}

// TestIconsAreFetchedOnce: for all who wait for one; and a control plane that is
// away costs one visitor half a second, once in half a minute.
func TestIconsAreFetchedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var icons caddymodule.Icons
		asked := 0
		var answer []byte
		var fault error
		get := func() string {
			return string(icons.Of(t.Context(), digestOf("an icon"), func(ctx context.Context) ([]byte, error) {
				asked++
				if fault != nil {
					<-ctx.Done()
				}
				return answer, fault
			}))
		}
		fault = errors.New("no control plane is live")
		began := time.Now()
		got := make(chan string, 10)
		for range 10 {
			go func() { got <- get() }()
		}
		for range 10 {
			if icon := <-got; icon != "" {
				t.Errorf("got %q", icon)
			}
		}
		if took := time.Since(began); took != 500*time.Millisecond || asked != 1 {
			t.Errorf("asked %d times in %s", asked, took)
		}
		fault, answer = nil, []byte("an icon")
		if get() != "" || asked != 1 {
			t.Errorf("asked again at once: %d times", asked)
		}
		time.Sleep(31 * time.Second)
		for range 2 {
			if got := get(); got != "an icon" || asked != 2 {
				t.Errorf("got %q, asked %d times", got, asked)
			}
		}
		for n := range 300 { // others need the room
			name := fmt.Sprint(n)
			if string(icons.Of(t.Context(), digestOf(name), func(context.Context) ([]byte, error) { return []byte(name), nil })) != name {
				t.Fatalf("there is no icon %d", n)
			}
		}
		if n := icons.Len(); n != 256 {
			t.Errorf("%d are kept", n)
		}
	})
}

// TestAnIconIsTheOneAskedFor: another is none.
func TestAnIconIsTheOneAskedFor(t *testing.T) {
	var icons caddymodule.Icons
	if got := icons.Of(t.Context(), digestOf("mine"), func(context.Context) ([]byte, error) { return []byte("another"), nil }); got != nil {
		t.Errorf("got %q", got)
	}
}

// TestWhoWaitsForAnIconMayLeave: and whoever stays gets it.
func TestWhoWaitsForAnIconMayLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var icons caddymodule.Icons
		first, leave := context.WithCancel(t.Context())
		go icons.Of(first, digestOf("x"), func(ctx context.Context) ([]byte, error) {
			select {
			case <-time.After(300 * time.Millisecond):
				return []byte("x"), nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		})
		synctest.Wait()
		leave()
		if got := string(icons.Of(t.Context(), digestOf("x"), nil)); got != "x" {
			t.Errorf("got %q", got)
		}
	})
}
