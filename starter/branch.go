package main

import (
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

// checkBranch makes sure that a push finds an empty place or the cluster's own, and a pull something to
// read. A running enrolment that keeps its strategy has been through this.
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
		found, err = e.checkPush(ctx, r, tip)
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
	if found.UID != e.config.ClusterUID {
		return "", fmt.Errorf("%s belongs to cluster %q: choose another --branch or --path for %s", e.place(), oneLine(found.Cluster), e.config.Cluster)
	}
	if found.Cluster != e.config.Cluster && workflows.ValidateCluster(found.Cluster) == nil {
		other, err := e.registry.find(ctx, found.Cluster)
		if err != nil {
			return "", err
		}
		if other.running {
			return "", fmt.Errorf("%s is in use: this same cluster is enrolled as %s, so choose another --branch or --path, or run `starter unenroll %[2]s` first", e.place(), found.Cluster)
		}
	}
	return e.config.Branch + ", resumes what this cluster stored there before", nil
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
	dir, err := os.MkdirTemp("", "starter-")
	if err != nil {
		return fmt.Errorf("no temporary folder can be made: %w", err)
	}
	defer os.RemoveAll(dir)
	r, err := repo.Open(repo.Options{
		URL: config.Repository, Branch: config.Branch, Path: config.Path, Dir: dir, Timeout: gitTimeout,
		Credentials: func(context.Context) (repo.Credentials, error) { return credentials, nil },
	})
	if err != nil {
		return err
	}
	defer func() { _ = r.Close() }() // all that it could not give back is in dir
	return use(r)
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
