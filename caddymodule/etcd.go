package caddymodule

import (
	"fmt"
	"net/url"
	"strings"

	"go.uber.org/zap"

	"github.com/seed-dbc68772/slipway/controlplane/etcdstore"
)

// Etcd says where etcd is.
type Etcd struct {
	// URLs of the members: https://host:port, http://host:port or unix:///path.
	Endpoints []string `json:"endpoints,omitempty"`
	// PEM file of the authority that signed the members' certificates.
	// Default: those that the system trusts.
	CA string `json:"ca,omitempty"`
	// PEM files of the client certificate and its key. Default: none.
	Cert string `json:"cert,omitempty"`
	Key  string `json:"key,omitempty"`
	// User of etcd's own authentication, and the file that holds the password.
	// Default: none.
	Username     string `json:"username,omitempty"`
	PasswordFile string `json:"password_file,omitempty"`
	// Prefix of all keys. Default: /slipway/v1/.
	Prefix string `json:"prefix,omitempty"`
}

func (e Etcd) config(log *zap.Logger) etcdstore.Config {
	return etcdstore.Config{
		Endpoints: e.Endpoints, CA: e.CA, Cert: e.Cert, Key: e.Key,
		Username: e.Username, PasswordFile: e.PasswordFile, Prefix: e.Prefix, Log: log,
	}
}

// checkEndpoint refuses what the client would take for the name of a host, and
// look for in vain.
func checkEndpoint(endpoint string) error {
	u, err := url.Parse(endpoint)
	switch {
	case err != nil:
	case u.Scheme == "unix" && u.Host+u.Path != "":
		return nil
	case u.Scheme != "http" && u.Scheme != "https", u.Port() == "", u.Path != "" && u.Path != "/", u.User != nil:
	case strings.ContainsAny(endpoint, "?#"):
	default:
		return nil
	}
	return fmt.Errorf("etcd: %q is none of https://host:port, http://host:port and unix:///path", endpoint)
}
