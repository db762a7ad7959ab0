package preview

import (
	"github.com/active-cluster-sync/active-cluster-sync/internal/desired"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/plan"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// strays are the objects of the cluster that Git never held and a pull under policy mirror deletes. None is certain
// while a file may declare objects that nobody knows of.
func (p *pulling) strays(gone map[string]departed) []plan.Candidate {
	if p.Config.Strategy != workflows.Pull || p.Config.Prune != workflows.PruneMirror {
		return nil
	}
	if file := p.wanted.Obscure(); file != "" {
		p.changes = append(p.changes, Change{
			Object: file, File: file, Action: Fail, Direction: ToCluster, Reason: Mistake,
			Message: "what Git doesn't declare is left in the cluster until this file can be read in full, and its kinds are known",
		})
		return nil
	}
	protected := map[string]bool{}
	for _, k := range p.Agreement.Kept {
		protected[k.Path] = k.Reason == desired.ProtectedInGit
	}
	var strays []plan.Candidate
	for path := range p.live.All() {
		entry, there := p.Index.Lookup(path)
		_, decided := gone[path]
		if there && !decided && !protected[path] && !p.wanted.Declares(path) && !entry.Bond.Holds(true) && p.current(path) {
			strays = append(strays, plan.Candidate{Path: path, UID: entry.UID, Stray: true})
		}
	}
	return strays
}

// current reports whether all objects of a resource are known that whoever writes to Git knows.
func (p *pulling) current(path string) bool {
	encrypted := manifest.IsSecretPath(path) && p.Config.Secrets == workflows.SecretsEncrypt
	return p.Snapshot.Current(path) && !(encrypted && p.Rules.Keys.Empty())
}
