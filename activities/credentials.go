package activities

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// defaultUsername suits the hosts that take a personal access token with any user name.
const defaultUsername = "git"

// CredentialsFromCluster reads the Secret git-credentials through a watch: a rotated token is there at
// the next use, and reading costs no request.
func CredentialsFromCluster(secret *kube.SecretWatch) func(context.Context) (repo.Credentials, error) {
	return func(ctx context.Context) (repo.Credentials, error) {
		data, err := secret.Get(ctx)
		if err != nil {
			return repo.Credentials{}, err
		}
		return credentials(data, fmt.Sprintf("Secret %s/%s", workflows.CredentialsNamespace, workflows.CredentialsSecret))
	}
}

// CredentialsFromDir reads the same keys from files, at each use: below a folder with the cluster's name
// if there is one, else right in the directory.
func CredentialsFromDir(dir, cluster string) func(context.Context) (repo.Credentials, error) {
	return func(context.Context) (repo.Credentials, error) {
		from := filepath.Join(dir, cluster)
		if info, err := os.Stat(from); err != nil || !info.IsDir() {
			from = dir
		}
		data := map[string][]byte{}
		for _, key := range []string{workflows.UsernameKey, workflows.PasswordKey, workflows.CAKey} {
			content, err := os.ReadFile(filepath.Join(from, key))
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return repo.Credentials{}, fmt.Errorf("%w: %w", kube.ErrNoCredentials, err)
			}
			data[key] = content
		}
		return credentials(data, "directory "+from)
	}
}

func credentials(data map[string][]byte, origin string) (repo.Credentials, error) {
	c := repo.Credentials{
		Username: string(bytes.TrimSpace(data[workflows.UsernameKey])),
		Password: string(bytes.TrimSpace(data[workflows.PasswordKey])),
		CA:       data[workflows.CAKey],
	}
	if c.Password == "" {
		return c, fmt.Errorf("%w: %s holds no %q: give the token with `starter enroll --pat-file`", kube.ErrNoCredentials, origin, workflows.PasswordKey)
	}
	if c.Username == "" {
		c.Username = defaultUsername
	}
	return c, nil
}
