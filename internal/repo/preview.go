package repo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/storer"

	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

// Preview tells what Push would do to manifests (Pushed.Changes), without sending anything. Only a parent
// that isn't here is fetched.
func (r *Repository) Preview(ctx context.Context, p Push) ([]tree.Change, error) {
	end, err := r.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	c, err := r.plan(ctx, p.Parent, func(s *store) (*change, error) { return s.plan(p, r.path) })
	if err != nil || c == nil {
		return nil, err
	}
	return c.changes, nil
}

// What Find fails with, beside errors of the remote.
var (
	// ErrNoRevision: the history holds no such revision.
	ErrNoRevision = errors.New("there is no such revision in the history of the branch")
	// ErrAmbiguous: several revisions begin like this.
	ErrAmbiguous = errors.New("more than one revision begins with this")
)

// MinAbbreviation is the length of the shortest abbreviation of a revision that is looked for, as in Git.
const MinAbbreviation = 4

// Find finds the revision that an abbreviated hash means, in the history of a revision that was fetched. The
// history's commits are fetched for it, without files where the server can leave them out.
func (r *Repository) Find(ctx context.Context, tip plumbing.Hash, abbreviation string) (plumbing.Hash, error) {
	abbreviation = strings.ToLower(abbreviation)
	if len(abbreviation) < MinAbbreviation || strings.Trim(abbreviation, "0123456789abcdef") != "" {
		return plumbing.ZeroHash, fmt.Errorf("%w: %q is not the beginning of a hash, of %d digits at least", ErrNoRevision, abbreviation, MinAbbreviation)
	}
	end, err := r.begin(ctx)
	if err != nil {
		return plumbing.ZeroHash, err
	}
	defer end()
	commits, err := r.fetchHistory(ctx, excerpt{revision: tip, limit: maxHistory})
	if errors.Is(err, errTooFar) {
		return plumbing.ZeroHash, fmt.Errorf("%w, as far as it is looked through: give the whole hash", ErrNoRevision)
	}
	if err != nil {
		return plumbing.ZeroHash, err
	}
	found, err := beginningWith(commits, abbreviation)
	switch {
	case err != nil:
		return plumbing.ZeroHash, err
	case len(found) == 0:
		return plumbing.ZeroHash, fmt.Errorf("%w: %s", ErrNoRevision, abbreviation)
	case len(found) > 1:
		return plumbing.ZeroHash, fmt.Errorf("%w: %s is %s and %s", ErrAmbiguous, abbreviation, found[0], found[1])
	}
	return found[0], nil
}

// beginningWith lists the commits whose hashes begin so.
func beginningWith(commits storer.EncodedObjectStorer, abbreviation string) ([]plumbing.Hash, error) {
	all, err := commits.IterEncodedObjects(plumbing.CommitObject)
	if err != nil {
		return nil, err
	}
	var found []plumbing.Hash
	err = all.ForEach(func(o plumbing.EncodedObject) error {
		if strings.HasPrefix(o.Hash().String(), abbreviation) {
			found = append(found, o.Hash())
		}
		return nil
	})
	slices.SortFunc(found, func(a, b plumbing.Hash) int { return strings.Compare(a.String(), b.String()) })
	return found, err
}
