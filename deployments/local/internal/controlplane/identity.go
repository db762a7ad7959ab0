package controlplane

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"path/filepath"
)

// ClientTLS is a user's side of a connection to the API server: of one that
// WriteKubeconfig was called for, or of the administrator, "".
func (p *ControlPlane) ClientTLS(user string) (*tls.Config, error) {
	return p.pki.clientTLS(cmp.Or(user, adminCert))
}

// WriteKubeconfig writes a kubeconfig, mode 0600, for a user of this name with
// all permissions, so that the audit log tells this user's requests from
// others'. Address is a host:port that leads to the API server; "" for its own.
func (p *ControlPlane) WriteKubeconfig(path, user, address string) error {
	if err := p.pki.issue(user); err != nil {
		return fmt.Errorf("certificate of user %s: %w", user, err)
	}
	config := emptyKubeconfig()
	if err := config.add(p, user); err != nil {
		return fmt.Errorf("write kubeconfig %s: %w", path, err)
	}
	if address != "" {
		config.Clusters[0].Cluster.Server = "https://" + address
	}
	return config.write(path)
}

// issue makes the certificate of a member of system:masters.
func (p *pki) issue(user string) error {
	pair, err := tls.LoadX509KeyPair(p.caFile(), p.caKeyFile())
	if err != nil {
		return err
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return errors.New("the authority's key is none of ours")
	}
	_, err = p.createCertificate(user, &x509.Certificate{
		Subject:     pkix.Name{CommonName: user, Organization: []string{"system:masters"}},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}, pair.Leaf, key)
	return err
}

// AuditLog is the file in which the API server writes a line of JSON, an
// audit.k8s.io/v1 Event, for each request of the audited users as it arrives.
func (p *ControlPlane) AuditLog() string {
	return filepath.Join(p.config.LogDir, p.config.Name+"-audit.log")
}
