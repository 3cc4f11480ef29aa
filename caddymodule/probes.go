package caddymodule

import (
	"maps"
	"net/http"
	"strings"
	"sync/atomic"
)

// probes are the User-Agents whose visits wake nothing and are no activity: the
// known ones, and the operator's (setting probes). What was said of an agent is
// remembered, since every request to a running instance asks.
type probes struct {
	parts []string // that such an agent contains, in lower case
	known atomic.Pointer[map[string]bool]
}

// The bounds of what is remembered: agents, and bytes of one.
const (
	mostAgents   = 64
	longestAgent = 512
)

func newProbes(more []string) *probes {
	p := &probes{}
	for _, list := range [...][]string{unfurlers, uptimeProbes, more} {
		for _, part := range list {
			p.parts = append(p.parts, strings.ToLower(part))
		}
	}
	p.known.Store(&map[string]bool{})
	return p
}

// sent reports whether a probe sent the request.
func (p *probes) sent(r *http.Request) bool {
	agent := r.UserAgent()
	if agent == "" {
		return false
	}
	known := *p.known.Load()
	if is, ok := known[agent]; ok {
		return is
	}
	is := p.match(agent)
	if len(agent) <= longestAgent {
		next := make(map[string]bool, mostAgents)
		if len(known) < mostAgents { // else it begins anew
			maps.Copy(next, known)
		}
		next[strings.Clone(agent)] = is
		p.known.Store(&next) // of two at once one is forgotten, and asked again
	}
	return is
}

func (p *probes) match(agent string) bool {
	agent = strings.ToLower(agent)
	for _, part := range p.parts {
		if strings.Contains(agent, part) {
			return true
		}
	}
	return false
}

// unfurlers fetch a link that somebody has posted, to show what is behind it.
// docs/waking.md has the same list.
var unfurlers = []string{
	"applebot", "bitlybot", "discordbot", "embedly", "facebookexternalhit", "facebot", "google-read-aloud", "iframely",
	"linkedinbot", "mastodon/", "mattermost-bot", "notionbot", "pinterestbot", "redditbot", "rocket.chat", "skypeuripreview",
	"slack-imgproxy", "slackbot", "synapse (bot", "telegrambot", "twitterbot", "viber/", "vkshare", "whatsapp/", "zulipurlpreview",
}

// uptimeProbes ask again and again whether something answers.
var uptimeProbes = []string{
	"amazon-route53-health-check-service", "better uptime bot", "blackbox exporter", "blackbox-exporter", "checkly", "cloudflare-healthchecks",
	"consul health check", "datadogsynthetics", "edge health probe", "elb-healthchecker", "freshping", "gatus/", "googlehc/",
	"googlestackdrivermonitoring", "hetrixtools", "kube-probe/", "newrelicpinger", "nodeping", "pingdom", "site24x7", "statuscake",
	"updown.io", "uptime-kuma", "uptimerobot", "uptimia",
}
