package terms

import (
	"github.com/active-cluster-sync/active-cluster-sync/internal/desired"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets/agekey"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// Rules brings an enrolment and the cluster's age keys together. The error says what is wrong with the
// enrolment.
func Rules(c workflows.Config, keys agekey.Keys) (desired.Rules, error) {
	selection, err := c.Selection()
	if err != nil {
		return desired.Rules{}, err
	}
	r := desired.Rules{Scope: manifest.Scope{IgnoredNamespaces: c.IgnoredNamespaces}, Selection: selection}
	if c.Secrets == workflows.SecretsEncrypt {
		r.Keys = keys
		if keys.Empty() && c.Strategy != workflows.Pull {
			r.Selection.Secrets = manifest.SecretsUnreadable
		}
	}
	return r, nil
}
