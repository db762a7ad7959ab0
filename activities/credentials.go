package activities

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets/agekey"
	"github.com/active-cluster-sync/active-cluster-sync/internal/terms"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// Credentials are what a cluster gives the sync to work with: the token for Git and the age keys for
// Secrets. They are read at each use, so that a rotation needs no restart.
type Credentials struct {
	read func(context.Context) (data map[string][]byte, origin string, err error)

	mu     sync.Mutex
	parsed struct { // the age keys and what they were read from
		identities, recipients []byte
		keys                   agekey.Keys
		err                    error
	}
}

// CredentialsFromCluster reads the Secret git-credentials through a watch: reading it costs no request.
func CredentialsFromCluster(secret *kube.SecretWatch) *Credentials {
	return &Credentials{read: func(ctx context.Context) (map[string][]byte, string, error) {
		data, err := secret.Get(ctx)
		return data, terms.SecretOrigin, err
	}}
}

// CredentialsFromDir reads the same keys from files: below a folder with the cluster's name if there is one,
// else right in the directory.
func CredentialsFromDir(dir, cluster string) *Credentials {
	return &Credentials{read: func(context.Context) (map[string][]byte, string, error) {
		from := filepath.Join(dir, cluster)
		if info, err := os.Stat(from); err != nil || !info.IsDir() {
			from = dir
		}
		data := map[string][]byte{}
		for _, key := range []string{
			workflows.UsernameKey, workflows.PasswordKey, workflows.CAKey, workflows.AgeIdentityKey, workflows.AgeRecipientsKey,
		} {
			content, err := os.ReadFile(filepath.Join(from, key))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, "", fmt.Errorf("%w: %w", kube.ErrNoCredentials, err)
			}
			data[key] = content
		}
		return data, "directory " + from, nil
	}}
}

// Git returns the current user name, token and certificates.
func (c *Credentials) Git(ctx context.Context) (repo.Credentials, error) {
	data, origin, err := c.read(ctx)
	if err != nil {
		return repo.Credentials{}, err
	}
	return terms.GitCredentials(data, origin)
}

// Keys returns the current age keys; none where there are none.
func (c *Credentials) Keys(ctx context.Context) (agekey.Keys, error) {
	data, origin, err := c.read(ctx)
	if errors.Is(err, kube.ErrNoCredentials) {
		return agekey.Keys{}, nil
	}
	if err != nil {
		return agekey.Keys{}, err
	}
	identities, recipients := data[workflows.AgeIdentityKey], data[workflows.AgeRecipientsKey]
	c.mu.Lock()
	defer c.mu.Unlock()
	last := &c.parsed
	if !bytes.Equal(last.identities, identities) || !bytes.Equal(last.recipients, recipients) {
		last.identities, last.recipients = bytes.Clone(identities), bytes.Clone(recipients)
		last.keys, last.err = terms.AgeKeys(data, origin)
	}
	return last.keys, last.err
}
