package caddymodule

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/seed-dbc68772/slipway/caddymodule/hold"
	"github.com/seed-dbc68772/slipway/caddymodule/hold/waitingpage"
)

// asleep is the answer to what wakes nobody.
var asleep = page{status: http.StatusServiceUnavailable, code: "asleep", retryAfter: 30,
	text: "The app does not run, and is not woken for this. Nothing reached it."}

// pageOfWait is the answer to a visitor who waited in vain, with what is known of
// the start; nil: nothing. arrived: an earlier run of the app may have received
// the request.
func pageOfWait(err error, s *waitingpage.State, arrived bool) page {
	p := page{status: http.StatusServiceUnavailable, start: s}
	reached := "Nothing reached it"
	if arrived {
		reached = "It may have received the request before it ended"
	}
	if limited, ok := errors.AsType[*hold.LimitedError](err); ok {
		p.status, p.code = http.StatusTooManyRequests, "too_many_starts"
		p.retryAfter = jittered(secondsOf(time.Until(limited.Until)))
		p.text = "The app sleeps, and you or your network have started too many for now. " + reached + "."
		return p
	}
	if full, ok := errors.AsType[*hold.FullError](err); ok {
		p.code, p.retryAfter = "too_many_waiters", jittered(2)
		switch full.Taken {
		case hold.PlacesOfInstance:
			p.text = "Too many requests wait for this app. " + reached + "; try again."
		case hold.PlacesOfEdge:
			p.text = "Too many requests wait here for this app and others. " + reached + "; try again."
		case hold.PlacesOfSource:
			p.status = http.StatusTooManyRequests
			p.text = "Too many requests of you or your network wait here for this app and others. " + reached + "; try again."
		}
		return p
	}
	switch {
	case errors.Is(err, hold.ErrGone):
		return notFound
	case errors.Is(err, hold.ErrFailed):
		p.code, p.retryAfter = "start_failed", retryAfter(s)
		p.text = "The app failed to start. " + reached + ". "
		if s != nil && s.Reason != nil {
			p.text += sentence(s.Reason.Text)
		} else {
			p.text += "Its owner finds the reason with: slipway instance get"
		}
	case errors.Is(err, hold.ErrTimeout):
		p.code, p.retryAfter = "still_starting", retryAfter(s)
		p.text = "The app is still starting. " + reached + "; try again."
	case errors.Is(err, hold.ErrMayNotWake):
		p.code, p.retryAfter = "wake_not_allowed", jittered(30)
		p.text = "The app sleeps, and no visit wakes it. " + reached + ". Its owner can start it: slipway instance resume"
		if s != nil && s.OwnerWakes {
			p.text = "The app sleeps, and only its owner's visit wakes it. " + reached + ". Ask the owner to open it."
		}
	case errors.Is(err, context.Canceled):
		return visitorLeft
	default:
		p.code, p.retryAfter = "wake_unavailable", jittered(3)
		p.text = "The app sleeps and cannot be woken right now. " + reached + "; try again."
	}
	return p
}

// sentence is a reason's text with a capital, to follow a full stop. What begins
// with a name, as of a file or in quotes, keeps that.
func sentence(text string) string {
	word, _, _ := strings.Cut(text, " ")
	if word == "" || strings.Trim(word, "abcdefghijklmnopqrstuvwxyz") != "" {
		return text
	}
	return strings.ToUpper(text[:1]) + text[1:]
}

// outcomeOfWait is what becomes of a request that waited in vain.
func outcomeOfWait(err error) outcome {
	switch {
	case errors.Is(err, hold.ErrGone):
		return outNoRoute
	case errors.Is(err, context.Canceled):
		return outLeft
	}
	return outUnavailable
}

func isLimited(err error) bool {
	_, limited := errors.AsType[*hold.LimitedError](err)
	return limited
}

// Bounds of Retry-After, in seconds, for a start of which the end is known.
const (
	leastRetry   = 1
	mostRetry    = 60
	unknownRetry = 5
)

// retryAfter is when it is worth to try again, in seconds.
func retryAfter(s *waitingpage.State) int {
	if s == nil {
		return unknownRetry
	}
	if s.Failed() {
		if s.RetryMS > 0 {
			return secondsOf(time.Duration(s.RetryMS) * time.Millisecond) // not before
		}
		return unknownRetry
	}
	if eta, known := s.ETA(); known {
		return min(mostRetry, max(leastRetry, secondsOf(eta)))
	}
	return unknownRetry
}

// secondsOf rounds up, to 1 at least.
func secondsOf(d time.Duration) int { return max(1, int((d+time.Second-1)/time.Second)) }

// jittered is a number of seconds and up to half as many more, but at least 2:
// those who are refused together do not come back together.
func jittered(seconds int) int { return seconds + rand.IntN(max(2, seconds/2)+1) } //nolint:gosec // no secret
