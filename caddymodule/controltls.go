package caddymodule

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
)

// ControlListener is where the control plane of this process answers other
// edges. Without TLS it listens on loopback only: tokens pass there.
type ControlListener struct {
	// Address and port, e.g. 127.0.0.1:9000.
	Listen string `json:"listen"`
	// Address and port by which other edges reach it. Default: that of listen.
	Advertise string `json:"advertise,omitempty"`
	// The name that edges look for in its certificate. Default: the host of advertise.
	TLSName string `json:"tls_name,omitempty"`
	// PEM files of the certificate and its key. They are read at every
	// handshake, so that a renewed certificate needs no restart.
	Cert string `json:"cert,omitempty"`
	Key  string `json:"key,omitempty"`
	// PEM file of the authority of the edges' certificates. Required with cert.
	ClientCA string `json:"client_ca,omitempty"`
}

// ControlClient is how an edge without a control plane reaches one. Without it
// the edge speaks plain HTTP, with loopback addresses only.
type ControlClient struct {
	// PEM file of the authority of the control planes' certificates.
	CA string `json:"ca"`
	// PEM files of this edge's certificate and its key, read at every handshake.
	Cert string `json:"cert"`
	Key  string `json:"key"`
}

func (c *ControlListener) validate() error {
	if c == nil {
		return nil
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("control_plane: %q is not an address and a port such as 127.0.0.1:9000", c.Listen)
	}
	if c.Cert == "" && c.Key == "" && c.ClientCA == "" {
		if c.TLSName != "" {
			return errors.New("control_plane: tls_name needs cert and client_ca")
		}
		if !isLoopback(c.Listen) || !isLoopback(c.advertised()) {
			return fmt.Errorf("control_plane: %s is not loopback, and the tokens of its callers would pass unprotected; give cert and client_ca", c.Listen)
		}
		return nil
	}
	if c.Cert == "" || c.Key == "" || c.ClientCA == "" {
		return errors.New("control_plane: cert, its key and client_ca go together")
	}
	if ip, err := netip.ParseAddr(host); (host == "" || err == nil && ip.IsUnspecified()) && c.Advertise == "" {
		return fmt.Errorf("control_plane: %s is no address to reach it by; give advertise", c.Listen)
	}
	if _, _, err := net.SplitHostPort(c.advertised()); err != nil {
		return fmt.Errorf("control_plane: advertise %q is not an address and a port", c.Advertise)
	}
	return nil
}

// known is by which address other edges find this control plane; empty: none does.
func (c *ControlListener) known() string {
	if c == nil {
		return ""
	}
	return c.advertised()
}

func (c *ControlListener) advertised() string {
	if c.Advertise != "" {
		return c.Advertise
	}
	return c.Listen
}

// tlsName is empty for plain HTTP.
func (c *ControlListener) tlsName() string {
	if c.Cert == "" {
		return ""
	}
	if c.TLSName != "" {
		return c.TLSName
	}
	host, _, _ := net.SplitHostPort(c.advertised())
	return host
}

// tls is nil for plain HTTP.
func (c *ControlListener) tls() (*tls.Config, error) {
	if c.Cert == "" {
		return nil, nil
	}
	pool, err := readPool(c.ClientCA)
	if err != nil {
		return nil, err
	}
	if _, err := tls.LoadX509KeyPair(c.Cert, c.Key); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: pool, NextProtos: []string{"http/1.1"},
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return readPair(c.Cert, c.Key) },
	}, nil
}

func (c *ControlClient) validate() error {
	if c != nil && (c.CA == "" || c.Cert == "" || c.Key == "") {
		return errors.New("control_client: ca, cert and its key go together")
	}
	return nil
}

// tls is nil without a ControlClient.
func (c *ControlClient) tls() (*tls.Config, error) {
	if c == nil {
		return nil, nil
	}
	pool, err := readPool(c.CA)
	if err != nil {
		return nil, err
	}
	if _, err := tls.LoadX509KeyPair(c.Cert, c.Key); err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: pool, NextProtos: []string{"http/1.1"},
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return readPair(c.Cert, c.Key) },
	}, nil
}

func readPair(cert, key string) (*tls.Certificate, error) {
	pair, err := tls.LoadX509KeyPair(cert, key)
	return &pair, err
}

func readPool(file string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", file)
	}
	return pool, nil
}

// isLoopback reports whether a host and port are this machine's own.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
