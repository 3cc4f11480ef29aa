package caddymodule

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
)

func (p *parser) one(into *string) error {
	if !p.Args(into) || p.NextArg() {
		return p.ArgErr()
	}
	return nil
}

func (p *parser) duration(into *caddy.Duration) error {
	var text string
	if err := p.one(&text); err != nil {
		return err
	}
	d, err := caddy.ParseDuration(text)
	if err != nil || d <= 0 {
		return p.Errf("%q is not a duration above 0 such as 30s or 5m", text)
	}
	*into = caddy.Duration(d)
	return nil
}

// durationOrNever takes "never" for below 0.
func (p *parser) durationOrNever(into *caddy.Duration) error {
	if *into = -1; len(p.peek()) == 1 && p.peek()[0] == "never" {
		p.NextArg()
		return nil
	}
	return p.duration(into)
}

// peek is what else stands on the line.
func (p *parser) peek() []string {
	next := *p.Dispenser
	return next.RemainingArgs()
}

func (p *parser) number(into *int64) (err error) {
	var text string
	if err := p.one(&text); err != nil {
		return err
	}
	if *into, err = strconv.ParseInt(text, 10, 64); err != nil || *into <= 0 {
		return p.Errf("%q is not a number above 0", text)
	}
	return nil
}

// onOff reads on or off; nothing is on.
func (p *parser) onOff(into *bool) error {
	text := "on"
	if p.NextArg() {
		text = p.Val()
	}
	if p.NextArg() {
		return p.ArgErr()
	}
	if text != "on" && text != "off" {
		return p.Errf("%q is neither on nor off", text)
	}
	*into = text == "on"
	return nil
}

// bytes reads what ParseBytes does.
func (p *parser) bytes(into *int64) error {
	var text string
	if err := p.one(&text); err != nil {
		return err
	}
	var err error
	if *into, err = ParseBytes(text); err != nil {
		return p.WrapErr(err)
	}
	return nil
}

// ParseBytes reads a number of bytes above 0, at most 1 Pi, or of Ki, Mi or Gi
// of them: 1048576, 512Mi, 2Gi.
func ParseBytes(text string) (int64, error) {
	digits, factor := text, int64(1)
	for i, unit := range []string{"Ki", "Mi", "Gi"} {
		if number, found := strings.CutSuffix(text, unit); found {
			digits, factor = number, 1<<(10*(i+1))
		}
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || n <= 0 || n > 1<<50/factor {
		return 0, fmt.Errorf("%q is not a number of bytes above 0 such as 1048576, 512Mi or 2Gi", text)
	}
	return n * factor, nil
}

// list reads one or more words.
func (p *parser) list(into *[]string) error {
	if *into = p.RemainingArgs(); len(*into) == 0 {
		return p.ArgErr()
	}
	return nil
}

// flag reads a setting that is on by being there.
func (p *parser) flag(into *bool) error {
	if p.NextArg() {
		return p.ArgErr()
	}
	*into = true
	return nil
}
