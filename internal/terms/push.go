package terms

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// Refusal is why a sync may not write to its place. The reason is one of the contract's.
type Refusal struct {
	Reason, Message string
	// Found is what is there, where Reason is AdoptionRequired: Message without what to do.
	Found string
}

func (r *Refusal) Error() string { return r.Message }

// MayPush tells whether the content of the tip may be overwritten: it is this cluster's alone by its marker, or
// continues what this enrolment pushed last (zero: nothing), or there is nothing in it that anybody could
// miss. It is a *Refusal where it may not. The tip has to be in the store.
func MayPush(ctx context.Context, repository *repo.Repository, config workflows.Config, tip, pushed plumbing.Hash) error {
	marker, marked, err := readMarker(repository, config, tip)
	if err != nil {
		return err
	}
	if marked {
		return ownedAlone(marker, config)
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
	return &Refusal{Reason: workflows.RepositoryNotEmpty, Message: fmt.Sprintf(
		"%s already holds %s: the first push needs an empty place and was canceled, nothing was written; use another branch or --path, or empty this one",
		place(config), listed(occupied))}
}

// readMarker reads the marker of a place, where there is one.
func readMarker(repository *repo.Repository, config workflows.Config, tip plumbing.Hash) (marker manifest.Marker, marked bool, err error) {
	content, err := repository.ReadFile(tip, manifest.MarkerFile)
	if errors.Is(err, fs.ErrNotExist) {
		return marker, false, nil
	}
	if err != nil {
		return marker, false, err
	}
	if marker, err = manifest.ParseMarker(content); err != nil {
		return marker, true, &Refusal{Reason: workflows.PathOwned, Message: fmt.Sprintf(
			"%s on branch %s can't be relied on (%v): restore it from the history of the branch, or upgrade the worker",
			manifest.MarkerFile, config.Branch, err)}
	}
	return marker, true, nil
}

// ownedAlone tells whether a place is this cluster's and nobody else's.
func ownedAlone(marker manifest.Marker, config workflows.Config) error {
	if others := marker.Others(config.ClusterUID); len(others) > 0 {
		return &Refusal{Reason: workflows.PathOwned, Message: fmt.Sprintf(
			"path %s of branch %s is shared by push-pull with %s, and a push would overwrite what they store: set push-pull again, push to another branch or --path, or take those that don't sync there any more out of %s",
			config.Path, config.Branch, Names(others), manifest.MarkerFile)}
	}
	if !marker.Has(config.ClusterUID) {
		return &Refusal{Reason: workflows.PathOwned, Message: fmt.Sprintf(
			"path %s of branch %s belongs to cluster %q (UID %s): push to another branch or --path",
			config.Path, config.Branch, marker.Cluster, marker.UID)}
	}
	return nil
}

func place(config workflows.Config) string {
	return fmt.Sprintf("branch %s of %s, path %s,", config.Branch, config.Repository, config.Path)
}

// shown is how many names a sentence holds.
const shown = 3

// Names are those of some clusters, in quotes, as they may be anything.
func Names(members []manifest.Member) string {
	var names []string
	for _, member := range members {
		names = append(names, strconv.Quote(member.Cluster))
	}
	return listed(names)
}

// listed names the first few.
func listed(names []string) string {
	if len(names) <= shown {
		return strings.Join(names, ", ")
	}
	return strings.Join(names[:shown], ", ") + " and more"
}
