package kube

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

const (
	// recheck is how often discovery is asked without a cause. CustomResourceDefinitions and APIServices
	// tell of everything but a change of the API server itself.
	recheck = 10 * time.Minute
	// discoveryPause is between two discoveries of which the second was asked for: an operator's
	// definitions come by the dozen. An incomplete one is tried again sooner.
	discoveryPause = time.Second
	// An incomplete discovery is tried again after a pause that doubles between these.
	minRetry, maxRetry = 250 * time.Millisecond, 30 * time.Second
)

// discoveryState is the last discovery that there was an answer to, and how the attempts went. The
// Index's mutex guards it.
type discoveryState struct {
	catalog     catalog
	answered    bool                 // there was one
	failures    int                  // attempts without an answer since
	err         error                // of the last of them
	failedSince map[string]time.Time // the catalog's failed groups
}

// discoverLoop asks what the API server serves, at first and when there is a reason to, and has each of
// its resources watched.
func (x *Index) discoverLoop(ctx context.Context) {
	retry := minRetry
	for {
		complete, err := x.discover(ctx)
		if ctx.Err() != nil {
			return
		}
		x.discovered(err)
		next := recheck
		if complete {
			retry = minRetry
		} else {
			next, retry = retry, min(2*retry, maxRetry)
		}
		if !x.awaitReason(ctx, next) {
			return
		}
	}
}

// awaitReason waits for the next discovery; false when ctx ended.
func (x *Index) awaitReason(ctx context.Context, at time.Duration) bool {
	last := time.Now()
	timer := time.NewTimer(at)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-x.rediscover:
		return sleep(ctx, time.Until(last.Add(min(at, discoveryPause))))
	case <-ctx.Done():
		return false
	}
}

func (x *Index) askDiscovery() {
	select {
	case x.rediscover <- struct{}{}:
	default:
	}
}

// discovered records how an attempt went.
func (x *Index) discovered(err error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if err == nil {
		x.discovery.failures, x.discovery.err = 0, nil
	} else {
		x.discovery.failures++
		x.discovery.err = explain(err)
	}
	x.signal()
}

// discover asks once, and starts and stops reflectors by the answer. It reports whether the answer can
// be relied on to name everything that is served.
func (x *Index) discover(ctx context.Context) (complete bool, err error) {
	groups, lists, err := discovery.ServerGroupsAndResourcesWithContext(ctx, x.cluster.discovery)
	if err != nil && !errors.As(err, new(*discovery.ErrGroupDiscoveryFailed)) {
		return false, err
	}
	known := newCatalog(x.options.Selection, groups, lists, err)
	if len(known.watched) == 0 {
		return false, errors.New("the API server names no resources")
	}
	first := x.adopt(known)
	x.followNew(ctx, known, first)
	gone := x.unserved(known)
	for _, r := range gone {
		if !x.dropIfGone(ctx, r) {
			return false, nil
		}
	}
	return x.incomplete() == "", nil
}

// adopt makes this the catalog; it reports whether it is the first one.
func (x *Index) adopt(known catalog) (first bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	d := &x.discovery
	first = !d.answered
	since := make(map[string]time.Time, len(known.failed))
	for group := range known.failed {
		since[group] = time.Now()
		if before, failed := d.failedSince[group]; failed {
			since[group] = before
		}
	}
	d.catalog, d.answered, d.failedSince = known, true, since
	for _, r := range x.resources {
		r.missing = known.failed[r.Group]
		if _, found := known.watched[r.GroupResource()]; found {
			r.missing = nil
		}
	}
	return first
}

// followNew starts reflectors for what is not watched yet, or was in another version. The first time,
// autoscalers are listed before the rest, which are normalised by what those target.
func (x *Index) followNew(ctx context.Context, known catalog, first bool) {
	names := slices.SortedFunc(maps.Keys(known.watched), func(a, b schema.GroupResource) int {
		return strings.Compare(startOrder(a)+a.String(), startOrder(b)+b.String())
	})
	for _, gr := range names {
		x.ensureFollowed(ctx, known.watched[gr], known.failed[gr.Group] != nil)
		if first && gr == autoscalerResource {
			x.awaitSettled(ctx, gr)
		}
	}
}

var autoscalerResource = schema.GroupResource{Group: "autoscaling", Resource: "horizontalpodautoscalers"}

func startOrder(gr schema.GroupResource) string {
	switch gr {
	case autoscalerResource:
		return "0"
	case crdResource, apiServiceResource:
		return "1"
	}
	return "2"
}

// ensureFollowed starts a reflector for a resource, unless it has one. Partial: versions of its group may
// be missing in discovery, so the one that was found is not necessarily the preferred one.
func (x *Index) ensureFollowed(ctx context.Context, found manifest.Resource, partial bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	r := x.resources[found.GroupResource()]
	if r != nil && !partial && (r.Kind != found.Kind || r.Namespaced != found.Namespaced) {
		// Another resource of the same name: its definition was deleted and made anew.
		x.drop(r)
		r = nil
	}
	switch {
	case r == nil:
		r = &resource{Resource: found, entries: map[key]*entry{}, since: time.Now()}
		x.resources[found.GroupResource()] = r
	case r.Version == found.Version, partial:
		return
	default:
		// What was known in the other version stays until the new list is in.
		x.log.Info("resource moves to another version", "resource", r.String(), "from", r.Version, "to", found.Version)
		r.Resource = found
	}
	x.follow(ctx, r)
}

// awaitSettled waits until a resource was listed or has failed to, or for firstListLimit.
func (x *Index) awaitSettled(ctx context.Context, gr schema.GroupResource) {
	ctx, cancel := context.WithTimeout(ctx, firstListLimit)
	defer cancel()
	x.await(ctx, func() bool { return x.resources[gr].settled() })
}

const firstListLimit = 10 * time.Second

// await waits until the condition, which is called with x.mu held, is true; false when ctx ended.
func (x *Index) await(ctx context.Context, condition func() bool) bool {
	for {
		x.mu.Lock()
		met, changed := condition(), x.changed
		x.mu.Unlock()
		if met {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// unserved are the watched resources that a discovery lacks although it could ask their group.
func (x *Index) unserved(known catalog) []*resource {
	x.mu.Lock()
	defer x.mu.Unlock()
	var gone []*resource
	for gr, r := range x.resources {
		if _, found := known.watched[gr]; !found && r.missing == nil {
			gone = append(gone, r)
		}
	}
	return gone
}

// dropIfGone drops a resource and its objects when the API server says, on being asked for it, that there
// is no such resource. Discovery alone may be behind, or come from an API server that is starting.
func (x *Index) dropIfGone(ctx context.Context, r *resource) bool {
	x.mu.Lock()
	kind := r.Resource
	claimed := x.facts.claim(kind.GroupResource(), x.discovery.catalog)
	x.mu.Unlock()
	if claimed {
		return false
	}
	if _, err := x.cluster.of(kind, "").List(ctx, metav1.ListOptions{Limit: 1}); !notServed(err) {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.drop(r)
	return true
}

// drop needs x.mu.
func (x *Index) drop(r *resource) {
	x.log.Info("resource is no longer served", "resource", r.String(), "objects", len(r.entries))
	r.stop()
	r.run++ // nobody writes to it any more
	for k := range r.entries {
		x.forget(r, k)
	}
	delete(x.resources, r.GroupResource())
}

// incomplete says what the last discovery lacks, "" when it lacks nothing.
func (x *Index) incomplete() string {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.lacking()
}

// lacking needs x.mu.
func (x *Index) lacking() string {
	switch known := x.discovery.catalog; {
	case !x.discovery.answered:
		return "the API server has not told yet what it serves"
	case len(known.failed) > 0:
		return fmt.Sprintf("the API server cannot tell what these groups serve: %s", names(slices.Sorted(maps.Keys(known.failed))))
	default:
		if unlisted := x.facts.unlisted(known); len(unlisted) > 0 {
			return fmt.Sprintf("the API server does not serve yet what these define: %s", names(unlisted))
		}
	}
	return ""
}

// names is a list for a message.
func names(all []string) string {
	const most = 5
	if len(all) <= most {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:most], ", "), len(all)-most)
}
