package desired

import (
	"fmt"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets"
	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets/agekey"
)

// Rules decide what of a cluster takes part in the sync, and how Secrets do.
type Rules struct {
	Scope     manifest.Scope
	Selection manifest.Selection
	// Keys encrypt and decrypt; empty where the policy is another one.
	Keys agekey.Keys
}

// Digest changes with the rules, but for the ignored namespaces: those are cut out of trees afterwards.
func (r Rules) Digest() string {
	s, labels := r.Selection, ""
	if s.Labels != nil {
		labels = s.Labels.String()
	}
	return strings.Join([]string{fmt.Sprint(s.Include, s.Exclude, s.IgnoreNames, s.IgnoreFields, s.Secrets), labels, r.Keys.Digest()}, "\n")
}

// SecretHash is what stands for the content of a Secret in trees.
func (r Rules) SecretHash(yaml []byte) plumbing.Hash {
	if r.Keys.Empty() {
		return manifest.Hash(yaml)
	}
	return secrets.Fingerprint(r.Keys, yaml)
}
