package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// credentials are those that the sync will use: what was given, over what the cluster has already.
func (e *enrolling) credentials() (repo.Credentials, error) {
	data := e.wanted()
	if len(data[workflows.PasswordKey]) == 0 {
		return repo.Credentials{}, fmt.Errorf("there is no token for %s: give one with --pat-file FILE or --pat-stdin", e.config.Repository)
	}
	return repo.Credentials{
		Username: string(data[workflows.UsernameKey]), Password: string(data[workflows.PasswordKey]), CA: data[workflows.CAKey],
	}, nil
}

// wanted is the content that the Secret shall have.
func (e *enrolling) wanted() map[string][]byte {
	data := map[string][]byte{}
	for _, key := range []string{
		workflows.UsernameKey, workflows.PasswordKey, workflows.CAKey, workflows.AgeIdentityKey, workflows.AgeRecipientsKey,
	} {
		if value, ok := e.stored[key]; ok {
			data[key] = value
		}
	}
	if len(data[workflows.UsernameKey]) == 0 || e.flags.given["username"] {
		data[workflows.UsernameKey] = []byte(e.flags.username)
	}
	if e.token != "" {
		data[workflows.PasswordKey] = []byte(e.token)
	}
	if e.ca != nil {
		data[workflows.CAKey] = e.ca
	}
	if e.identity != nil {
		data[workflows.AgeIdentityKey] = e.identity
	}
	if e.flags.given["age-recipient"] {
		data[workflows.AgeRecipientsKey] = []byte(strings.Join(e.flags.recipients, "\n"))
	}
	return data
}

// added are the keys that the Secret did not have.
func (e *enrolling) added() []string {
	var keys []string
	for key := range e.wanted() {
		if _, there := e.stored[key]; !there {
			keys = append(keys, key)
		}
	}
	return keys
}

// storeCredentials writes the Secret if anything in it changes.
func (e *enrolling) storeCredentials(ctx context.Context) (stored bool, err error) {
	data := e.wanted()
	same := true
	for key, value := range data {
		old, ok := e.stored[key]
		same = same && ok && string(old) == string(value)
	}
	if same {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	err = e.cluster.WriteSecret(ctx, workflows.CredentialsNamespace, workflows.CredentialsSecret, data, nil)
	return err == nil, explainCluster(e.cluster.Host(), err)
}

// restoreCredentials undoes storeCredentials after the enrolment has failed, even when it failed because
// it was interrupted.
func (e *enrolling) restoreCredentials(ctx context.Context, stored bool) error {
	if !stored {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	var err error
	if e.stored == nil {
		err = e.cluster.DeleteSecret(ctx, workflows.CredentialsNamespace, workflows.CredentialsSecret)
	} else {
		err = e.cluster.WriteSecret(ctx, workflows.CredentialsNamespace, workflows.CredentialsSecret, e.stored, nil)
		if err == nil {
			_, err = e.cluster.DropSecretKeys(ctx, workflows.CredentialsNamespace, workflows.CredentialsSecret, e.added()...)
		}
	}
	if err != nil {
		return errors.New("the Secret " + workflows.CredentialsNamespace + "/" + workflows.CredentialsSecret + " that was written before could not be undone, remove it by hand")
	}
	return nil
}
