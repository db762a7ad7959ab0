package terms

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// Refusal is why a push may not write to its place. The reason is one of the contract's.
type Refusal struct{ Reason, Message string }

func (r *Refusal) Error() string { return r.Message }

// MayPush tells whether the content of the tip may be overwritten: it is this cluster's by its marker, or
// continues what this enrolment pushed last (zero: nothing), or there is nothing in it that anybody could
// miss. It is a *Refusal where it may not. The tip has to be in the store.
func MayPush(ctx context.Context, repository *repo.Repository, config workflows.Config, tip, pushed plumbing.Hash) error {
	content, err := repository.ReadFile(tip, manifest.MarkerFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil {
		return checkMarker(content, config)
	}
	if !pushed.IsZero() {
		continues, err := repository.Descends(ctx, tip, pushed)
		if err != nil || continues {
			return err
		}
	}
	occupied, err := repository.Occupied(tip)
	if err != nil || len(occupied) == 0 {
		return err
	}
	return &Refusal{workflows.RepositoryNotEmpty, fmt.Sprintf(
		"branch %s of %s, path %s, already holds %s: the first push needs an empty place and was canceled, nothing was written; use another branch or --path, or empty this one",
		config.Branch, config.Repository, config.Path, listed(occupied))}
}

func checkMarker(content []byte, config workflows.Config) error {
	found, err := manifest.ParseMarker(content)
	if err != nil {
		return &Refusal{workflows.PathOwned, fmt.Sprintf("%s on branch %s can't be relied on (%v): restore it from the history of the branch, or upgrade the worker",
			manifest.MarkerFile, config.Branch, err)}
	}
	if found.UID != config.ClusterUID {
		return &Refusal{workflows.PathOwned, fmt.Sprintf(
			"path %s of branch %s belongs to cluster %q (UID %s): push to another branch or --path",
			config.Path, config.Branch, found.Cluster, found.UID)}
	}
	return nil
}

// listed names the first few of some paths.
func listed(paths []string) string {
	const shown = 3
	if len(paths) <= shown {
		return strings.Join(paths, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(paths[:shown], ", "), len(paths)-shown)
}
