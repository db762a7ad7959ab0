package controlplane

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// The certificates of a control plane, all signed by its own authority.
const (
	serverCert     = "server" // of kube-apiserver and etcd, also as etcd's client
	adminCert      = "admin"
	controllerCert = "kube-controller-manager"
)

// pki is a directory of keys and certificates; keys are readable by their
// owner alone.
type pki struct{ dir string }

const validity = 10 * 365 * 24 * time.Hour

// loadOrCreatePKI keeps what an earlier start made: stored ServiceAccount
// tokens and handed-out kubeconfigs stay valid.
func loadOrCreatePKI(dir string) (*pki, error) {
	_, err := os.Stat(dir)
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return &pki{dir}, err
	}
	half := &pki{dir + ".making"}
	if err := os.RemoveAll(half.dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(half.dir, 0o700); err != nil {
		return nil, err
	}
	if err := half.create(); err != nil {
		return nil, err
	}
	return &pki{dir}, os.Rename(half.dir, dir)
}

func (p *pki) caFile() string              { return p.certFile("ca") }
func (p *pki) caKeyFile() string           { return p.keyFile("ca") }
func (p *pki) accountKeyFile() string      { return p.keyFile("service-accounts") }
func (p *pki) certFile(name string) string { return filepath.Join(p.dir, name+".crt") }
func (p *pki) keyFile(name string) string  { return filepath.Join(p.dir, name+".key") }

func (p *pki) create() error {
	ca, caKey, err := p.createAuthority()
	if err != nil {
		return err
	}
	leaves := []struct {
		name    string
		subject pkix.Name
		usage   []x509.ExtKeyUsage
	}{
		{serverCert, pkix.Name{CommonName: "kube-apiserver"},
			[]x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}},
		{adminCert, pkix.Name{CommonName: "admin", Organization: []string{"system:masters"}},
			[]x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}},
		{controllerCert, pkix.Name{CommonName: "system:kube-controller-manager"},
			[]x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}},
	}
	for _, leaf := range leaves {
		template := &x509.Certificate{
			Subject:     leaf.subject,
			KeyUsage:    x509.KeyUsageDigitalSignature,
			ExtKeyUsage: leaf.usage,
		}
		if leaf.name == serverCert {
			template.DNSNames = []string{"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"}
			template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv4(10, 96, 0, 1)}
		}
		if _, err := p.createCertificate(leaf.name, template, ca, caKey); err != nil {
			return err
		}
	}
	// RSA, so that the tokens are the usual RS256.
	accountKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	return writePEM(p.accountKeyFile(), "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(accountKey))
}

func (p *pki) createAuthority() (*x509.Certificate, *ecdsa.PrivateKey, error) {
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "local-kubernetes-ca"},
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign | x509.KeyUsageDigitalSignature,
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	key, err := p.createCertificate("ca", template, template, nil)
	return template, key, err
}

// createCertificate writes <name>.crt and <name>.key. Without a parent's key
// the certificate signs itself.
func (p *pki) createCertificate(name string, template, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	if parentKey == nil {
		parentKey = key
	}
	template.SerialNumber, err = rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, err
	}
	// An hour back, for clocks of containers that lag.
	template.NotBefore = time.Now().Add(-time.Hour)
	template.NotAfter = time.Now().Add(validity)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), parentKey)
	if err != nil {
		return nil, fmt.Errorf("sign certificate %s: %w", name, err)
	}
	if err := writePEM(p.certFile(name), "CERTIFICATE", der); err != nil {
		return nil, err
	}
	keyDER, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	return key, writePEM(p.keyFile(name), "EC PRIVATE KEY", keyDER)
}

// clientTLS is the side of a connection to the API server of who has the
// certificate.
func (p *pki) clientTLS(name string) (*tls.Config, error) {
	certificate, err := tls.LoadX509KeyPair(p.certFile(name), p.keyFile(name))
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(p.caFile())
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	return &tls.Config{Certificates: []tls.Certificate{certificate}, RootCAs: roots}, nil
}

func writePEM(path, kind string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}
