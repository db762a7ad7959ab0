package desired

import (
	"fmt"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets"
	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets/agekey"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
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

// Within cuts the namespaces that don't take part out of a tree of canonical paths.
func (r Rules) Within(t tree.Tree) tree.Tree {
	return t.Edit(func(e *tree.Editor) {
		for _, namespace := range r.Scope.Namespaces() {
			e.Remove("namespaces/" + namespace)
			e.Remove("cluster/namespaces/" + namespace + ".yaml")
		}
	})
}

// Leaves reports whether a push has to leave a file of Git as it is: because its object isn't looked at, by
// somebody's choice, or because nobody knows whether it still exists. Left are the objects that the choice is
// about (kube.Snapshot.Left), knows says whether an object's absence is a fact (kube.Snapshot.Knows).
func (r Rules) Leaves(path string, left tree.Tree, knows func(path string) bool) bool {
	if r.Scope.Ignores(path) || !knows(path) {
		return true
	}
	if location, ok := manifest.ParsePath(path); ok && r.Selection.Excludes(manifest.Resource{Group: location.Group, Name: location.Resource}) {
		return true
	}
	_, chosen := left.Get(path)
	return chosen
}

// Holds reports whether a file of Git is a Secret as it is in the cluster, encrypted for the recipients of now.
func (r Rules) Holds(file []byte, secret plumbing.Hash) bool {
	if !secrets.SealedFor(r.Keys, file) {
		return false
	}
	plaintext, err := secrets.Open(r.Keys, file)
	if err != nil {
		return false
	}
	content, ok := manifest.Canonical(plaintext)
	return ok && r.SecretHash(content) == secret
}
