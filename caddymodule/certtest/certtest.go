package certtest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"testing"
	"time"
)

// Certificate is one and its key, as PEM.
type Certificate struct {
	Cert, Key []byte

	parsed  *x509.Certificate
	private *ecdsa.PrivateKey
}

// SelfSigned is a certificate for hosts that signs itself.
func SelfSigned(t testing.TB, hosts ...string) *Certificate {
	t.Helper()
	return issue(t, nil, &x509.Certificate{DNSNames: hosts})
}

// Authority is a certificate that signs others.
func Authority(t testing.TB) *Certificate {
	t.Helper()
	return issue(t, nil, &x509.Certificate{IsCA: true})
}

// Sign makes a certificate for hosts that the authority signs.
func (c *Certificate) Sign(t testing.TB, hosts ...string) *Certificate {
	t.Helper()
	return issue(t, c, &x509.Certificate{DNSNames: hosts})
}

// Write makes the files NAME.pem and NAME-key.pem.
func (c *Certificate) Write(t testing.TB, name string) (cert, key string) {
	t.Helper()
	cert, key = name+".pem", name+"-key.pem"
	for file, text := range map[string][]byte{cert: c.Cert, key: c.Key} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// issue completes a template; without a signer it signs itself.
func issue(t testing.TB, signer *Certificate, template *x509.Certificate) *Certificate {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber, template.BasicConstraintsValid = big.NewInt(time.Now().UnixNano()), true
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().AddDate(1, 0, 0)
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	if signer == nil {
		signer = &Certificate{parsed: template, private: private}
	}
	raw, err := x509.CreateCertificate(rand.Reader, template, signer.parsed, private.Public(), signer.private)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(raw)
	if err != nil {
		t.Fatal(err)
	}
	rawKey, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return &Certificate{
		Cert:   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw}),
		Key:    pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: rawKey}),
		parsed: parsed, private: private,
	}
}
