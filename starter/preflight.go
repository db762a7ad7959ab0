package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// checkArguments reads the command line, the token and the certificates.
func (e *enrolling) checkArguments(ctx context.Context, c *cli.Context) (string, error) {
	cluster, err := clusterArgument(c)
	if err != nil {
		return "", err
	}
	if e.output, err = formatOf(c); err != nil {
		return "", err
	}
	namespaces := append(workflows.DefaultIgnoredNamespaces(), c.StringSlice("ignore-namespace")...)
	slices.Sort(namespaces)
	e.config = workflows.Config{
		Cluster: cluster, Repository: strings.TrimRight(c.String("repo"), "/"), Branch: c.String("branch"), Path: cleanPath(c.String("path")),
		Strategy: workflows.Strategy(c.String("strategy")), IgnoredNamespaces: slices.Compact(namespaces),
		Interval: metav1.Duration{Duration: c.Duration("interval")}, Secrets: workflows.SecretsPolicy(c.String("secrets")),
		IncludeResources: c.StringSlice("include-resource"), ExcludeResources: c.StringSlice("exclude-resource"),
		IgnoreNames: c.StringSlice("ignore-name"), Selector: c.String("selector"), IgnoreFields: c.StringSlice("ignore-field"),
		Prune: workflows.PrunePolicy(c.String("prune")), RecreateImmutable: c.Bool("recreate-immutable"),
		Lock: workflows.LockPolicy(c.String("lock")), BreakGlassGroup: c.String("break-glass-group"),
		OnConflict: workflows.ConflictPolicy(c.String("on-conflict")), Adopt: workflows.AdoptPolicy(c.String("adopt")),
	}
	switch {
	case e.config.Repository == "":
		return "", misuse("the repository is missing: give its address with --repo URL")
	case e.flags.patFile != "" && e.flags.patStdin:
		return "", misuse("the token can come from one place only: give --pat-file or --pat-stdin")
	case e.flags.username == "" || strings.ContainsFunc(e.flags.username, func(r rune) bool { return r <= ' ' || r == ':' }):
		return "", misuse("the user name of --username must be a word without a colon")
	}
	if err := repo.CheckURL(e.config.Repository); err != nil {
		return "", asMisuse(err)
	}
	if err := e.config.Validate(); err != nil {
		return "", asMisuse(err)
	}
	if err := e.readAgeKeys(); err != nil {
		return "", err
	}
	if e.token, err = readToken(ctx, e.t, e.flags.patFile, e.flags.patStdin); err != nil {
		return "", err
	}
	if e.ca, err = readCA(e.flags.caFile); err != nil {
		return "", err
	}
	return "", nil
}

// cleanPath takes off what people write around a folder's name without meaning anything by it.
func cleanPath(path string) string {
	path = strings.TrimSuffix(strings.TrimPrefix(path, "./"), "/")
	if path == "" {
		return workflows.DefaultPath
	}
	return path
}

// checkTemporal makes sure that the namespace is there.
func (e *enrolling) checkTemporal(ctx context.Context) (found string, err error) {
	if e.registry, err = openRegistry(ctx); err != nil {
		return "", err
	}
	if err := e.registry.checkNamespace(ctx); err != nil {
		return "", err
	}
	known, err := e.registry.attributesKnown(ctx)
	if err != nil {
		return "", err
	}
	found = fmt.Sprintf("%s, namespace %s", e.registry.address, e.registry.namespace)
	if e.registerFirst = !known; e.registerFirst {
		found += "; its search attributes will be registered"
	}
	return found, nil
}

// checkEnrolment looks at what runs under the name already.
func (e *enrolling) checkEnrolment(ctx context.Context) (found string, err error) {
	if e.existing, err = e.registry.find(ctx, e.config.Cluster); err != nil {
		return "", err
	}
	if !e.existing.running {
		return "new", nil
	}
	return "there already, and kept", e.adopt(ctx)
}

// adopt takes over from a running enrolment what the command line doesn't give, and refuses what a
// running enrolment can't change.
func (e *enrolling) adopt(ctx context.Context) error {
	running, err := e.registry.config(ctx, e.existing)
	if err != nil {
		return err
	}
	config := &e.config
	e.now = e.registry.statusOf(ctx, e.existing, running)
	given := e.flags.given
	keep(given["strategy"], &config.Strategy, e.now.Strategy)
	keep(given["ignore-namespace"], &config.IgnoredNamespaces, e.now.IgnoredNamespaces)
	given["repo"] = true // or the command would have been refused
	differs := slices.Concat(
		fixed(given, "repo", &config.Repository, running.Repository),
		fixed(given, "branch", &config.Branch, running.Branch),
		fixed(given, "path", &config.Path, running.Path),
		fixed(given, "interval", &config.Interval.Duration, running.Interval.Duration),
		fixed(given, "secrets", &config.Secrets, running.Secrets),
		fixed(given, "include-resource", &config.IncludeResources, running.IncludeResources),
		fixed(given, "exclude-resource", &config.ExcludeResources, running.ExcludeResources),
		fixed(given, "ignore-name", &config.IgnoreNames, running.IgnoreNames),
		fixed(given, "selector", &config.Selector, running.Selector),
		fixed(given, "ignore-field", &config.IgnoreFields, running.IgnoreFields),
		fixed(given, "prune", &config.Prune, running.Prune),
		fixed(given, "recreate-immutable", &config.RecreateImmutable, running.RecreateImmutable),
		fixed(given, "lock", &config.Lock, running.Lock),
		fixed(given, "break-glass-group", &config.BreakGlassGroup, running.BreakGlassGroup),
		fixed(given, "on-conflict", &config.OnConflict, running.Conflicts()),
	)
	if len(differs) > 0 {
		return fmt.Errorf("cluster %s is enrolled already with %s: run `starter unenroll %[1]s` first", config.Cluster, strings.Join(differs, ", "))
	}
	config.ClusterUID = running.ClusterUID
	return nil
}

// keep takes over what is running where the command line doesn't give anything else.
func keep[T any](given bool, wanted *T, running T) {
	if !given {
		*wanted = running
	}
}

// fixed is keep for what a running enrolment can't change: it names the flag that asks for that, with what is
// running.
func fixed[T any](given map[string]bool, flag string, wanted *T, running T) (differs []string) {
	keep(given[flag], wanted, running)
	if is := said(running); said(*wanted) != is {
		return []string{flag + " " + cmp.Or(is, "unset")}
	}
	return nil
}

// said is a value as it is written on the command line.
func said(value any) string {
	if list, ok := value.([]string); ok {
		return strings.Join(list, ",")
	}
	return fmt.Sprint(value)
}

// checkCluster makes sure that it is the right cluster and that everything needed in it is permitted.
func (e *enrolling) checkCluster(ctx context.Context) (found string, err error) {
	if e.target, err = e.flags.target.resolve(e.config.Cluster); err != nil {
		return "", err
	}
	if e.cluster, err = e.target.connect(); err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	uid, uidErr := e.cluster.UID(ctx)
	if uidErr != nil && !errors.Is(uidErr, kube.ErrForbidden) {
		return "", explainCluster(e.cluster.Host(), uidErr)
	}
	// Before a person hears of one permission, all that are missing are looked for.
	if err := e.target.checkPermissions(ctx, e.cluster, e.config.Strategy); err != nil {
		return "", err
	}
	if uidErr != nil {
		return "", explainCluster(e.cluster.Host(), uidErr)
	}
	if e.existing.running && uid != e.config.ClusterUID {
		return "", fmt.Errorf("cluster %s is enrolled already, and the one at %s is another cluster: give the right --context, or run `starter unenroll %[1]s` first", e.config.Cluster, e.cluster.Host())
	}
	e.config.ClusterUID = uid
	e.stored, err = e.cluster.ReadSecret(ctx, workflows.CredentialsNamespace, workflows.CredentialsSecret)
	if err != nil && !errors.Is(err, kube.ErrNoCredentials) {
		return "", explainCluster(e.cluster.Host(), err)
	}
	found = e.cluster.Host()
	if e.target.context != "" {
		found += ", context " + e.target.context
	}
	return found + ", permitted for strategy " + string(e.config.Strategy), e.checkLock(ctx)
}

// checkLock only warns: what people edit is set back all the same.
func (e *enrolling) checkLock(ctx context.Context) error {
	if !e.config.Locks() {
		return nil
	}
	missing, err := e.cluster.LockPermissions(ctx)
	if err != nil {
		return explainCluster(e.cluster.Host(), err)
	}
	if len(missing) > 0 {
		e.t.warned("lock", "the kubeconfig's user may not "+strings.Join(missing, ", ")+"; if the worker's may not either, people can edit synced objects, which are then set back")
	}
	return nil
}
