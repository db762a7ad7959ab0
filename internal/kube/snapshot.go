package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

// Snapshot is what the index knew at one moment. It is immutable.
type Snapshot struct {
	// Tree holds every exportable object of all namespaces: its canonical path and the hash of its file.
	Tree tree.Tree
	// Left holds the paths of the objects that are not in Tree by somebody's choice (manifest.Chosen).
	Left tree.Tree
	// Unread are the resources whose content is not known now. What was known of them before, if
	// anything, is in Tree.
	Unread []Unread
	// Stale is set when watches have been down for a while. What they watched is in Tree as it was then.
	Stale *Staleness
	// Skipped is the number of objects that are in no tree, by reason.
	Skipped map[string]int

	known    map[schema.GroupResource]bool // watched resources: whether all of their objects are known
	catalog  catalog
	complete bool // the catalog names everything that is served
}

// Unread is a resource, or a group of them, that cannot be read.
type Unread struct {
	Resource string // "widgets.example.com", or "*.example.com" for a group
	Message  string
	Since    time.Time
}

// Staleness says what is not current, and since when at the earliest.
type Staleness struct {
	Since     time.Time
	Message   string
	Resources []string
	// Unreachable: not one watch is up, so the API server does not answer. Otherwise it is the matter of
	// these resources alone, for instance because the API server behind theirs is down.
	Unreachable bool
}

// Knows reports whether it is a positive fact that an object which Tree lacks does not exist (or is
// skipped), rather than one that could not be read.
func (s Snapshot) Knows(path string) bool {
	location, ok := manifest.ParsePath(path)
	if !ok {
		return true // no object has such a path
	}
	gr := schema.GroupResource{Group: location.Group, Resource: location.Resource}
	if known, watched := s.known[gr]; watched {
		return known
	}
	if len(s.catalog.versions[gr]) > 0 {
		return true // served, and not to be looked at
	}
	return s.complete
}

// Current reports whether what is known of an object's resource is all there is, and up to date.
func (s Snapshot) Current(path string) bool {
	location, ok := manifest.ParsePath(path)
	if !ok || !s.Knows(path) {
		return false
	}
	return s.Stale == nil || !s.Stale.Unreachable && !slices.Contains(s.Stale.Resources, location.ResourceName())
}

// Watches reports whether the resource of a path is watched and its objects are known, so that Index.Lookup
// tells of each of them.
func (s Snapshot) Watches(path string) bool {
	location, ok := manifest.ParsePath(path)
	return ok && s.known[schema.GroupResource{Group: location.Group, Resource: location.Resource}]
}

// Complete reports whether all that the API server serves is known, so that a kind which Index.Resolve
// doesn't know has no objects.
func (s Snapshot) Complete() bool { return s.complete }

// Snapshot returns the state of the index. The first call waits until each resource was listed or has
// failed to be, and reports its progress in words about once a second; later calls return at once, but
// for a moment's wait while a resource that just appeared is listed. It fails with ErrUnreachable,
// ErrForbidden or ErrUnauthorized when there has never been an answer from the API server.
func (x *Index) Snapshot(ctx context.Context, progress func(string)) (Snapshot, error) {
	if err := x.awaitFirstLists(ctx, progress); err != nil {
		return Snapshot{}, err
	}
	quiet, cancel := context.WithTimeout(ctx, quietLimit)
	defer cancel()
	x.await(quiet, func() bool { return x.unsettled() == 0 && x.rereads.idle() })
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.snapshot(time.Now()), ctx.Err()
}

// quietLimit bounds the wait for what just appeared.
const quietLimit = 2 * time.Second

func (x *Index) awaitFirstLists(ctx context.Context, progress func(string)) error {
	if progress == nil {
		progress = func(string) {}
	}
	for {
		var err error
		var words string
		second, cancel := context.WithTimeout(ctx, time.Second)
		ready := x.await(second, func() bool {
			x.ready = x.ready || x.discovery.answered && x.unsettled() == 0
			err, words = x.unanswered(), x.progress()
			return err != nil || x.ready
		})
		cancel()
		switch {
		case err != nil:
			return err
		case ready:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("wait for the first lists: %w", ctx.Err())
		}
		progress(words)
	}
}

// unanswered is why there has never been a discovery, after several attempts. It needs x.mu.
func (x *Index) unanswered() error {
	if x.discovery.answered || x.discovery.failures < enoughFailures {
		return nil
	}
	return fmt.Errorf("read what the cluster at %s serves: %w", x.cluster.host, x.discovery.err)
}

// unsettled is how many resources are yet to be listed for the first time. It needs x.mu.
func (x *Index) unsettled() int {
	n := 0
	for gr := range x.discovery.catalog.watched {
		if r := x.resources[gr]; r == nil || !r.settled() {
			n++
		}
	}
	return n
}

// progress needs x.mu.
func (x *Index) progress() string {
	if !x.discovery.answered {
		return "asking the API server what it serves"
	}
	objects := 0
	for _, r := range x.resources {
		objects += len(r.entries)
	}
	all := len(x.discovery.catalog.watched)
	return fmt.Sprintf("listed %d of %d resources, %s objects", all-x.unsettled(), all, grouped(objects))
}

// grouped writes a number with commas between the thousands.
func grouped(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return fmt.Sprintf("%s,%03d", grouped(n/1000), n%1000)
}

// snapshot needs x.mu.
func (x *Index) snapshot(now time.Time) Snapshot {
	s := Snapshot{
		Tree:     x.tree.Tree(),
		Left:     x.left.Tree(),
		Skipped:  maps.Clone(x.skipped),
		known:    make(map[schema.GroupResource]bool, len(x.resources)),
		catalog:  x.discovery.catalog,
		complete: x.lacking() == "",
	}
	var stale []*resource
	read := 0
	for gr, r := range x.resources {
		why := r.unreadable(now)
		if s.known[gr] = why == nil; why != nil {
			since := r.since
			if r.missing != nil {
				since = x.discovery.failedSince[gr.Group]
			}
			s.Unread = append(s.Unread, Unread{Resource: gr.String(), Message: why.Error(), Since: since})
			continue
		}
		if read++; r.broken(now) {
			stale = append(stale, r)
		}
	}
	s.Unread = append(s.Unread, x.undiscovered(now)...)
	slices.SortFunc(s.Unread, func(a, b Unread) int { return cmp.Compare(a.Resource, b.Resource) })
	if len(stale) > 0 {
		s.Stale = staleness(stale, len(stale) == read)
	}
	return s
}

// unreadable is why the resource's objects are not known, nil when they are.
func (r *resource) unreadable(now time.Time) error {
	switch {
	case r.missing != nil:
		return fmt.Errorf("its API group does not answer: %w", r.missing)
	case !r.listed && r.err != nil:
		return r.err
	case !r.listed:
		return errors.New("not listed yet")
	case r.broken(now) && errors.Is(r.err, ErrForbidden):
		return r.err
	}
	return nil
}

// undiscovered are the groups that discovery could not ask and that no watched resource stands for, and
// what is defined but not in discovery. It needs x.mu.
func (x *Index) undiscovered(now time.Time) []Unread {
	stoodFor := map[string]bool{}
	for _, r := range x.resources {
		stoodFor[r.Group] = stoodFor[r.Group] || r.missing != nil
	}
	var unread []Unread
	for _, name := range x.facts.unlisted(x.discovery.catalog) {
		unread = append(unread, Unread{Resource: name, Message: "defined, but the API server does not serve it yet", Since: now})
	}
	for group, err := range x.discovery.catalog.failed {
		if !stoodFor[group] {
			unread = append(unread, Unread{Resource: "*." + group, Message: err.Error(), Since: x.discovery.failedSince[group]})
		}
	}
	return unread
}

func staleness(stale []*resource, all bool) *Staleness {
	slices.SortFunc(stale, func(a, b *resource) int { return strings.Compare(a.String(), b.String()) })
	s := &Staleness{Unreachable: all}
	var cause error
	for _, r := range stale {
		s.Resources = append(s.Resources, r.String())
		if s.Since.IsZero() || r.since.Before(s.Since) {
			s.Since, cause = r.since, r.err
		}
	}
	what := names(s.Resources)
	if all {
		what = "any resource"
	}
	s.Message = fmt.Sprintf("no watch on %s since %s", what, s.Since.UTC().Format(time.RFC3339))
	if cause != nil {
		s.Message += ": " + cause.Error()
	}
	return s
}
