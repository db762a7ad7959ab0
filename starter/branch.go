package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/internal/terms"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// gitTimeout is how long the Git server may be silent.
const gitTimeout = 20 * time.Second

// checkRepository tries the token.
func (e *enrolling) checkRepository(ctx context.Context) (string, error) {
	credentials, err := e.credentials()
	if err != nil {
		return "", err
	}
	err = e.withRepository(credentials, func(r *repo.Repository) error {
		_, err := r.Tip(ctx)
		return err
	})
	if err != nil {
		return "", e.explainRepository(err)
	}
	found := e.config.Repository + ", the token is accepted"
	if sentInClear(e.config.Repository) {
		found += "; http sends it unencrypted, so use https where the server has it"
	}
	return found, nil
}

// sentInClear tells whether the token leaves this machine unencrypted.
func sentInClear(repository string) bool {
	address, err := url.Parse(repository)
	if err != nil || address.Scheme != "http" {
		return false
	}
	ip := net.ParseIP(address.Hostname())
	return address.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback())
}

// checkBranch makes sure that a push finds an empty place or the cluster's own, a pull something to read, and
// push-pull a place that it may share. A running enrolment that keeps its strategy has been through this.
func (e *enrolling) checkBranch(ctx context.Context) (found string, err error) {
	if e.config.Strategy == workflows.None {
		return e.config.Branch + ", looked at when a strategy is set", nil
	}
	if e.existing.running && e.now.Strategy == e.config.Strategy {
		return e.config.Branch + ", as before", nil
	}
	credentials, err := e.credentials()
	if err != nil {
		return "", err
	}
	err = e.withRepository(credentials, func(r *repo.Repository) error {
		tip, err := r.Tip(ctx)
		if err != nil {
			return e.explainRepository(err)
		}
		if e.config.Strategy == workflows.Pull {
			found, err = e.checkPull(tip)
			return err
		}
		if err := r.MayPush(ctx); err != nil {
			return e.explainRepository(err)
		}
		if e.config.Strategy == workflows.PushPull {
			found, err = e.checkPushPull(ctx, r, tip)
		} else {
			found, err = e.checkPush(ctx, r, tip)
		}
		return err
	})
	return found, err
}

func (e *enrolling) checkPull(tip plumbing.Hash) (string, error) {
	if tip.IsZero() {
		return "", fmt.Errorf("branch %s is not in %s: push it there first, or choose another one with --branch", e.config.Branch, e.config.Repository)
	}
	return e.config.Branch + " at " + short(tip.String()), nil
}

func (e *enrolling) checkPush(ctx context.Context, r *repo.Repository, tip plumbing.Hash) (string, error) {
	if tip.IsZero() {
		return e.config.Branch + ", the first push creates it", nil
	}
	if err := r.Fetch(ctx, tip); err != nil {
		return "", e.explainRepository(err)
	}
	content, err := r.ReadFile(tip, manifest.MarkerFile)
	if err == nil {
		return e.checkMarker(ctx, content)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", e.explainRepository(err)
	}
	occupied, err := r.Occupied(tip)
	if err != nil {
		return "", e.explainRepository(err)
	}
	if len(occupied) > 0 {
		return "", fmt.Errorf("%s is not empty, it holds %s: the first push needs an empty place, so choose another --branch or --path, or empty this one",
			e.place(), listed(occupied))
	}
	return e.config.Branch + ", empty", nil
}

// checkMarker tells whether the content is this cluster's own, left from an earlier enrolment.
func (e *enrolling) checkMarker(ctx context.Context, content []byte) (string, error) {
	found, err := manifest.ParseMarker(content)
	if err != nil {
		return "", fmt.Errorf("%s holds a %s that can't be relied on (%w): restore it from the history, or choose another --branch or --path", e.place(), manifest.MarkerFile, err)
	}
	if others := found.Others(e.config.ClusterUID); len(others) > 0 {
		return "", fmt.Errorf("%s is shared by push-pull with %s, and a push would overwrite what they store: use --strategy push-pull, choose another --branch or --path, or take those that don't sync there any more out of %s", e.place(), terms.Names(others), manifest.MarkerFile)
	}
	if !found.Has(e.config.ClusterUID) {
		return "", fmt.Errorf("%s belongs to cluster %q: choose another --branch or --path for %s", e.place(), oneLine(found.Cluster), e.config.Cluster)
	}
	return e.config.Branch + ", resumes what this cluster stored there before", e.checkNames(ctx, found)
}

// checkNames makes sure that the cluster isn't synced with its place under another name already.
func (e *enrolling) checkNames(ctx context.Context, marker manifest.Marker) error {
	name, ok := marker.Name(e.config.ClusterUID)
	if another := ok && name != e.config.Cluster && workflows.ValidateCluster(name) == nil; !another {
		return nil
	}
	other, err := e.registry.find(ctx, name)
	if err == nil && other.running {
		err = fmt.Errorf("%s is in use: this same cluster is enrolled as %s, so choose another --branch or --path, or run `starter unenroll %[2]s` first", e.place(), name)
	}
	return err
}

// checkPushPull says what the first sync with push-pull will do.
func (e *enrolling) checkPushPull(ctx context.Context, r *repo.Repository, tip plumbing.Hash) (string, error) {
	if tip.IsZero() {
		return e.config.Branch + ", the first sync creates it", nil
	}
	if err := r.Fetch(ctx, tip); err != nil {
		return "", e.explainRepository(err)
	}
	place, err := terms.MayMerge(ctx, r, e.config, tip, e.base())
	var refusal *terms.Refusal
	switch {
	case errors.As(err, &refusal) && refusal.Reason == workflows.AdoptionRequired:
		return "", fmt.Errorf("%s, which this cluster has not agreed with yet: say with --adopt git or --adopt cluster whose objects win where both hold one and differ; what only one side holds is carried to the other, nothing is deleted. To see before what each would do, enroll with --strategy none and run `starter diff %s --as push-pull`", refusal.Found, e.config.Cluster)
	case errors.As(err, &refusal):
		return "", refusal
	case err != nil:
		return "", e.explainRepository(err)
	}
	if err := e.checkNames(ctx, place.Before); err != nil {
		return "", err
	}
	found := e.config.Branch + e.begins(place.Beginning)
	if others := place.Marker.Others(e.config.ClusterUID); len(others) > 0 {
		found += "; shared with " + terms.Names(others)
	}
	return found, nil
}

// begins says what the first sync with push-pull does.
func (e *enrolling) begins(beginning terms.Beginning) string {
	carried := ": what only one side holds is carried to the other, and where both hold an object and differ, " + e.decides()
	switch {
	case beginning == terms.Fills:
		return " is empty, the first sync stores the cluster there"
	case beginning == terms.Joins:
		return " holds objects already" + carried
	case e.base().IsZero(): // of what was agreed on, an earlier enrolment knew
		return " holds what this cluster has stored before" + carried
	}
	return " goes on from what both sides have agreed on"
}

// decides says what becomes of objects that differ when there is nothing to compare them with.
func (e *enrolling) decides() string {
	switch cmp.Or(workflows.ConflictPolicy(e.config.Adopt), e.config.Conflicts()) {
	case workflows.ConflictCluster:
		return "the cluster wins"
	case workflows.ConflictHold:
		return "it waits for a person"
	case workflows.ConflictGit:
	}
	return "Git wins"
}

// base is the revision that a running enrolment and the branch agreed on. It counts for nothing under another
// selection.
func (e *enrolling) base() plumbing.Hash {
	if e.flags.given["ignore-namespace"] && !sameSet(e.now.IgnoredNamespaces, e.config.IgnoredNamespaces) {
		return plumbing.ZeroHash
	}
	return plumbing.NewHash(e.now.Revision)
}

func (e *enrolling) place() string {
	if e.config.Path == workflows.DefaultPath {
		return fmt.Sprintf("branch %s of %s", e.config.Branch, e.config.Repository)
	}
	return fmt.Sprintf("path %s on branch %s of %s", e.config.Path, e.config.Branch, e.config.Repository)
}

// listed names the first few of some paths.
func listed(paths []string) string {
	const shown = 3
	names := make([]string, 0, shown)
	for _, path := range paths[:min(len(paths), shown)] {
		names = append(names, oneLine(path))
	}
	if len(paths) > shown {
		return strings.Join(names, ", ") + " and more"
	}
	return strings.Join(names, ", ")
}

// withRepository opens the repository of the enrolment.
func (e *enrolling) withRepository(credentials repo.Credentials, use func(*repo.Repository) error) error {
	return withRepository(e.config, credentials, use)
}

// withRepository opens a repository with a cache that is gone afterwards.
func withRepository(config workflows.Config, credentials repo.Credentials, use func(*repo.Repository) error) error {
	r, end, err := openRepository(config, credentials)
	if err != nil {
		return err
	}
	defer end()
	return use(r)
}

// openRepository opens a repository with a cache that is gone when end is called.
func openRepository(config workflows.Config, credentials repo.Credentials) (r *repo.Repository, end func(), err error) {
	dir, err := os.MkdirTemp("", "starter-")
	if err != nil {
		return nil, nil, fmt.Errorf("no temporary folder can be made: %w", err)
	}
	r, err = repo.Open(repo.Options{
		URL: config.Repository, Branch: config.Branch, Path: config.Path, Dir: dir, Timeout: gitTimeout,
		Credentials: func(context.Context) (repo.Credentials, error) { return credentials, nil },
	})
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return r, func() {
		_ = r.Close() // all that it could not give back is in dir
		_ = os.RemoveAll(dir)
	}, nil
}

// explainRepository turns an error of the repository into a sentence.
func (e *enrolling) explainRepository(err error) error {
	address := e.config.Repository
	origin := "the token in the cluster's Secret"
	if e.token != "" {
		origin = "the token"
	}
	var limited *repo.RateLimitedError
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, repo.ErrAuth):
		return fmt.Errorf("the Git server refuses %s for %s: check that it is right, hasn't expired and may read and write this repository, and give the right one with --pat-file or --pat-stdin", origin, address)
	case errors.Is(err, repo.ErrNotFound):
		return fmt.Errorf("there is no Git repository at %s, or %s may not see it: check --repo and the token's permissions", address, origin)
	case errors.As(err, &limited):
		return fmt.Errorf("the Git server of %s limits the rate of requests: try again in %s", address, limited.RetryAfter)
	case errors.Is(err, repo.ErrUnreachable):
		return fmt.Errorf("%w; check --repo and the network, nothing was changed", err)
	}
	return fmt.Errorf("the repository %s can't be read: %w", address, err)
}
