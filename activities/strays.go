package activities

import (
	"slices"
	"strings"

	"github.com/active-cluster-sync/active-cluster-sync/internal/desired"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/plan"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// strays are the objects of the cluster that Git doesn't declare and, as far as the tracked revisions tell,
// never did. It answers false while that can't be known.
//
// An object is easily taken for a stray by mistake. It is none while a file of Git may declare it without
// anybody knowing (it can't be read, or its kind isn't known); when Git declares it in a way that isn't applied
// (twice, encrypted for somebody else, left out by the rules); while its resource isn't watched; when something
// else answers for it (manifest.Bond); or when it is one that Git declares, under the name of another API group
// (plan.WithoutAliases).
func (r *application) strays(gone map[string]bool) (strays []plan.Candidate, known bool) {
	if file := r.pulled.Desired.Obscure(); file != "" {
		r.Logger.Warn("what Git doesn't declare is left in the cluster until a file can be read in full, and its kinds are known",
			"cluster", r.Cluster, "file", file)
		return nil, false
	}
	protected := map[string]bool{}
	for _, k := range r.in.Kept {
		protected[k.Path] = k.Reason == desired.ProtectedInGit
	}
	for path := range r.live.All() {
		if _, decided := gone[path]; decided || protected[path] || r.pulled.Desired.Declares(path) || !r.current(path) {
			continue
		}
		if c, ok := r.candidate(path, true); ok && c.UID != "" {
			entry, _ := r.index.Lookup(path)
			r.pruning.removed[path] = entry.Resource
			strays = append(strays, c)
		}
	}
	return strays, true
}

// current reports whether what is known of an object's resource is all there is, and up to date.
func (r *application) current(path string) bool {
	if manifest.IsSecretPath(path) && r.in.Config.Secrets == workflows.SecretsEncrypt && r.Keys.Empty() {
		return false // who pushed may have left them out for want of a key, too
	}
	return r.snapshot.Current(path)
}

// keep lists the objects that stay in the cluster although Git doesn't declare them any more: those of this
// Apply, and those of earlier ones that are still so.
func (r *application) keep() (list []workflows.Kept, count int) {
	for path, reason := range r.pruning.kept {
		list = append(list, workflows.Kept{Path: path, Reason: reason})
	}
	slices.SortFunc(list, func(a, b workflows.Kept) int { return strings.Compare(a.Path, b.Path) })
	doomed := r.pruning.Paths()
	still := 0
	for _, k := range r.in.Kept {
		_, again := r.pruning.kept[k.Path]
		_, there := r.settled.Get(k.Path)
		if there && !again && !r.pulled.Desired.Declares(k.Path) && !slices.Contains(doomed, k.Path) {
			list = append(list, k)
			still++
		} else if again {
			still++
		}
	}
	for _, k := range list {
		if !slices.Contains(r.in.Kept, k) {
			r.Logger.Info("object left in the cluster", "cluster", r.Cluster, "object", manifest.ObjectName(k.Path), "reason", k.Reason)
		}
	}
	// Which ones were more than could be listed isn't known. Only prune off, which comes across each object once,
	// can't find them again.
	unlisted := r.in.KeptCount - len(r.in.Kept)
	if count = max(len(list), still+unlisted); r.in.Config.Prune == workflows.PruneOff {
		count = len(list) + unlisted
	}
	return list[:min(len(list), workflows.MaxListed)], count
}
