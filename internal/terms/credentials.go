// Package terms reads what an enrolment and the credentials in its cluster say, for the worker, which acts
// by it, and for the command line, which tells what the worker would do.
package terms

import (
	"bytes"
	"errors"
	"fmt"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets/agekey"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// DefaultUsername suits the hosts that take a personal access token with any user name, which most do.
const DefaultUsername = "git"

// SecretOrigin names the Secret that a cluster keeps its credentials in, for messages.
const SecretOrigin = "Secret " + workflows.CredentialsNamespace + "/" + workflows.CredentialsSecret

// GitCredentials takes user name, token and certificates from the content of the Secret git-credentials. The
// origin is where that was read, for messages.
func GitCredentials(data map[string][]byte, origin string) (repo.Credentials, error) {
	git := repo.Credentials{
		Username: string(bytes.TrimSpace(data[workflows.UsernameKey])),
		Password: string(bytes.TrimSpace(data[workflows.PasswordKey])),
		CA:       data[workflows.CAKey],
	}
	if git.Password == "" {
		return git, fmt.Errorf("%w: %s holds no %q: give the token with `starter enroll --pat-file`", kube.ErrNoCredentials, origin, workflows.PasswordKey)
	}
	if git.Username == "" {
		git.Username = DefaultUsername
	}
	return git, nil
}

// ErrUnusableKeys: there are age keys, and they can't be read.
var ErrUnusableKeys = errors.New("the age keys can't be used, so Secrets are left alone")

// AgeKeys takes the age keys from the same content; none where it holds none.
func AgeKeys(data map[string][]byte, origin string) (agekey.Keys, error) {
	keys, err := agekey.Parse(data[workflows.AgeIdentityKey], data[workflows.AgeRecipientsKey])
	if err != nil {
		return agekey.Keys{}, fmt.Errorf("%w: %s: %w", ErrUnusableKeys, origin, err)
	}
	return keys, nil
}
