package kube

import (
	"context"
	"errors"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/dynamic"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// resource is one watched resource and its objects. The Index's mutex guards it.
type resource struct {
	manifest.Resource
	entries map[key]*entry
	indexed string // the version that all entries are in; another one while it moves to a new version
	seen    string // the resource version up to which the reflector has told of everything

	run  int                // counts its reflectors: what others than the last one say is ignored
	stop context.CancelFunc // ends the reflector

	begun    time.Time // when its first list was
	compared time.Time // when it was last compared with a list, by its reflector or by an audit
	listed   bool      // it was completely listed at least once
	failures int       // attempts that failed before the first complete list
	since    time.Time // when the watch broke, or the resource was found; zero while the watch is up
	err      error     // why the watch is not up, as far as that is known
	missing  error     // why discovery cannot tell of the resource at present; nil when it can
}

// A first list is waited for until it has failed this often, or has taken this long: an API server from
// before streamed lists (an old aggregated one) may take the request for a plain watch and stay silent.
const (
	enoughFailures = 3
	enoughTime     = 2 * time.Minute
)

// settled: it was listed, or nobody should wait for that any longer.
func (r *resource) settled() bool {
	return r.listed || r.failures >= enoughFailures || !r.begun.IsZero() && time.Since(r.begun) > enoughTime
}

func (r *resource) begin() { r.begun = time.Now() }

// up: the watch tells of every change from here on.
func (r *resource) up() { r.since, r.err = time.Time{}, nil }

// down: the watch ended, or could not be started; err is nil when it just ended.
func (r *resource) down(err error) {
	if r.since.IsZero() {
		r.since = time.Now()
	}
	if err == nil {
		return
	}
	r.err = explain(err)
	if r.listed {
		return
	}
	if r.failures++; errors.Is(r.err, ErrForbidden) {
		r.failures = max(r.failures, enoughFailures)
	}
}

// broken: the watch has been down for longer than a restart of it takes.
func (r *resource) broken(now time.Time) bool {
	return !r.since.IsZero() && now.Sub(r.since) > patience
}

// patience is how long a watch may be down until what it watched counts as stale.
const patience = 15 * time.Second

// of addresses a resource's objects with requests that end in time. The namespace is ignored where the
// resource has none.
func (c *Cluster) of(r manifest.Resource, namespace string) dynamic.ResourceInterface {
	if !r.Namespaced {
		namespace = ""
	}
	return c.dynamic.Resource(r.GVR()).Namespace(namespace)
}

// notServed: the API server answered that it has no such resource.
func notServed(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.IsMethodNotSupported(err)
}
