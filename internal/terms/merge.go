package terms

import (
	"context"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// Beginning is what push-pull does first at its place.
type Beginning string

const (
	// Fills: there is nothing that anybody could miss, so the first sync works like a push.
	Fills Beginning = "fills"
	// Resumes: this cluster has stored its objects there before, or agreed with what was there.
	Resumes Beginning = "resumes"
	// Joins: others' objects are there, and a person has said whose win where both sides differ.
	Joins Beginning = "joins"
)

// Place is where push-pull may write.
type Place struct {
	Beginning Beginning
	// Before is the marker as it is; zero where there is none.
	Before manifest.Marker
	// Marker is what the marker of the place shall say from now on: this cluster is among the members.
	Marker manifest.Marker
}

// MayMerge tells whether push-pull may change the content of the tip, and what that begins with. The base is a
// revision that this cluster and the branch agreed on under any strategy; zero for none. It is a *Refusal where
// push-pull may not, with the reason AdoptionRequired where a person's word is missing. The tip has to be in the
// store, and is zero where the branch doesn't exist.
func MayMerge(ctx context.Context, repository *repo.Repository, config workflows.Config, tip, base plumbing.Hash) (Place, error) {
	me := manifest.Member{Cluster: config.Cluster, UID: config.ClusterUID}
	if tip.IsZero() {
		return Place{Beginning: Fills, Marker: manifest.Marker{}.With(me)}, nil
	}
	marker, marked, err := readMarker(repository, config, tip)
	if err != nil {
		return Place{}, err
	}
	at := Place{Before: marker, Marker: marker.With(me)}
	switch {
	case marker.Has(me.UID):
		at.Beginning = Resumes
		return at, nil
	case marker.UID != "":
		return Place{}, &Refusal{Reason: workflows.PathOwned, Message: fmt.Sprintf(
			"cluster %q pushes to path %s of branch %s and would overwrite what is changed there: set that one to push-pull or, if it won't come back, delete %s there by a commit; or use another branch or --path",
			marker.Cluster, config.Path, config.Branch, manifest.MarkerFile)}
	}
	occupied, err := repository.Occupied(tip)
	if err != nil {
		return Place{}, err
	}
	if len(occupied) == 0 && !marked {
		at.Beginning = Fills
		return at, nil
	}
	agreed, err := repository.Descends(ctx, tip, base)
	if err != nil {
		return Place{}, err
	}
	switch {
	case agreed && !base.IsZero():
		at.Beginning = Resumes
	case config.Adopt != "":
		at.Beginning = Joins
	default:
		return Place{}, adoptionRequired(repository, config, tip, marker, occupied)
	}
	return at, nil
}

// adoptionRequired asks for the word of a person, with the command that gives it.
func adoptionRequired(repository *repo.Repository, config workflows.Config, tip plumbing.Hash, marker manifest.Marker, occupied []string) error {
	manifests, err := repository.Files(tip)
	if err != nil {
		return err
	}
	found := place(config)
	if len(marker.Members) > 0 {
		found += " is shared by " + Names(marker.Members) + " and"
	}
	if len(manifests) > 0 {
		found += " holds " + counted(manifests)
	} else {
		found += " holds " + listed(occupied)
	}
	return &Refusal{
		Reason: workflows.AdoptionRequired, Found: found,
		Message: found + fmt.Sprintf(
			", which this cluster has not agreed with yet; nothing was written. Say whose objects win where both hold one and differ: `starter set-strategy %s push-pull --adopt git`, or `--adopt cluster`. What only one side holds is carried to the other, nothing is deleted; see before with `starter diff %[1]s --as push-pull --adopt git`, or `--adopt cluster`",
			config.Cluster),
	}
}

// counted says how many files there are, and names the first.
func counted(files []repo.FileEntry) string {
	var names []string
	for _, file := range files[:min(len(files), shown+1)] {
		names = append(names, file.Path)
	}
	if len(files) == 1 {
		return names[0]
	}
	return fmt.Sprintf("%d manifests (%s)", len(files), listed(names))
}
