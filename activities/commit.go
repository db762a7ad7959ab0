package activities

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"go.temporal.io/sdk/activity"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// Commit makes Git equal to the cluster as this worker sees it now. It writes only on top of the tip
// that Fetch saw, and only where the branch is this cluster's to write.
func (a *Activities) Commit(ctx context.Context, in workflows.CommitInput) (workflows.CommitResult, error) {
	return run(ctx, a, workflows.CommitActivity, func(ctx context.Context, p *progress) (workflows.CommitResult, []any, error) {
		a.committing.Lock()
		defer a.committing.Unlock()
		repository, err := a.open(in.Config)
		if err != nil {
			return workflows.CommitResult{}, nil, err
		}
		tip := plumbing.NewHash(in.Revision)
		if !tip.IsZero() {
			if err := repository.Fetch(ctx, tip); err != nil {
				return workflows.CommitResult{}, nil, err
			}
			if err := mayPush(ctx, repository, tip, in); err != nil {
				return workflows.CommitResult{}, nil, err
			}
		}
		result, err := a.commit(ctx, repository, tip, in, p)
		return result, append([]any{"revision", result.Revision}, counts(result.Changes)...), err
	})
}

// maxAttempts bounds how often Commit starts over because an object changed under its hands.
const maxAttempts = 5

func (a *Activities) commit(ctx context.Context, repository *repo.Repository, tip plumbing.Hash, in workflows.CommitInput, p *progress) (workflows.CommitResult, error) {
	for attempt := 1; ; attempt++ {
		v, err := a.look(ctx, in.Config, p)
		if err != nil {
			return workflows.CommitResult{}, err
		}
		result, err := a.push(ctx, v, repository, tip, in, p)
		if errors.Is(err, repo.ErrStale) && attempt < maxAttempts {
			continue
		}
		return result, err
	}
}

// push stores one view of the cluster.
func (a *Activities) push(ctx context.Context, v *view, repository *repo.Repository, tip plumbing.Hash, in workflows.CommitInput, p *progress) (workflows.CommitResult, error) {
	s, err := a.seal(ctx, v, repository, tip, p)
	if err != nil {
		return workflows.CommitResult{}, err
	}
	p.say("storing %d objects", v.live.Len())
	pushed, err := repository.Push(ctx, repo.Push{
		Parent:  tip,
		Desired: s.tree.Tree(),
		Content: s.contents,
		Keep:    v.leaves,
		Files:   s.files(manifest.Marker{Layout: manifest.MarkerLayout, Cluster: a.Cluster, UID: in.Config.ClusterUID}.Encode()),
		Message: func(changes []tree.Change) string { return commitMessage(ctx, a.Cluster, changes) },
		When:    time.Now(),
	})
	if err != nil {
		return workflows.CommitResult{}, err
	}
	v.index.Release(v.snapshot.Tree)
	a.sealed = s.remember(pushed.Revision)
	failures := s.failures()
	return workflows.CommitResult{
		Revision: pushed.Revision.String(), Tree: v.state(v.live), Changes: summarise(pushed.Changes),
		Failed: failures[:min(len(failures), workflows.MaxListed)], FailedCount: len(failures),
	}, nil
}

// mayPush tells whether the content of the tip may be overwritten: it is this cluster's by its marker, or
// continues what this enrolment pushed, or there is nothing in it that anybody could miss.
func mayPush(ctx context.Context, repository *repo.Repository, tip plumbing.Hash, in workflows.CommitInput) error {
	content, err := repository.ReadFile(tip, manifest.MarkerFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err == nil {
		return checkMarker(content, in.Config)
	}
	if in.Settled.Revision != "" && strings.HasPrefix(in.Settled.Scope, string(workflows.Push)) {
		continues, err := repository.Descends(ctx, tip, plumbing.NewHash(in.Settled.Revision))
		if err != nil || continues {
			return err
		}
	}
	occupied, err := repository.Occupied(tip)
	if err != nil || len(occupied) == 0 {
		return err
	}
	return lasting(workflows.RepositoryNotEmpty, fmt.Sprintf(
		"branch %s of %s, path %s, already holds %s: the first push needs an empty place and was canceled, nothing was written; use another branch or --path, or empty this one",
		in.Config.Branch, in.Config.Repository, in.Config.Path, listed(occupied)))
}

func checkMarker(content []byte, config workflows.Config) error {
	found, err := manifest.ParseMarker(content)
	if err != nil {
		return lasting(workflows.PathOwned, fmt.Sprintf("%s on branch %s can't be relied on (%v): restore it from the history of the branch, or upgrade the worker",
			manifest.MarkerFile, config.Branch, err))
	}
	if found.UID != config.ClusterUID {
		return lasting(workflows.PathOwned, fmt.Sprintf(
			"path %s of branch %s belongs to cluster %q (UID %s): push to another branch or --path",
			config.Path, config.Branch, found.Cluster, found.UID))
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

// summarise counts what changed, files that aren't objects left out.
func summarise(changes []tree.Change) workflows.Changes {
	var c workflows.Changes
	for _, change := range changes {
		if change.Path == manifest.MarkerFile || change.Path == secrets.ConfigFile {
			continue
		}
		switch {
		case change.From.IsZero():
			c.Added++
		case change.To.IsZero():
			c.Deleted++
		default:
			c.Updated++
		}
		if len(c.Objects) < workflows.MaxListed {
			c.Objects = append(c.Objects, manifest.ObjectName(change.Path))
		}
	}
	return c
}

// commitMessage follows the repository contract: counts in the subject, objects in the body, trailers.
func commitMessage(ctx context.Context, cluster string, changes []tree.Change) string {
	c := summarise(changes)
	var parts []string
	for _, part := range []struct {
		n    int
		what string
	}{{c.Updated, "updated"}, {c.Added, "added"}, {c.Deleted, "deleted"}} {
		if part.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	if len(parts) == 0 {
		parts = []string{"mark the path as this cluster's"}
	}
	var m strings.Builder
	fmt.Fprintf(&m, "sync(%s): %s\n\n", cluster, strings.Join(parts, ", "))
	for _, object := range c.Objects {
		fmt.Fprintf(&m, "- %s\n", object)
	}
	if more := c.Total() - len(c.Objects); more > 0 {
		fmt.Fprintf(&m, "- and %d more\n", more)
	}
	if c.Total() > 0 {
		m.WriteString("\n")
	}
	info := activity.GetInfo(ctx)
	fmt.Fprintf(&m, "Cluster: %s\nWorkflow-Run: %s\n", cluster, info.WorkflowExecution.RunID)
	return m.String()
}

func counts(c workflows.Changes) []any {
	return []any{"added", c.Added, "updated", c.Updated, "deleted", c.Deleted}
}
