package kube

import (
	"container/list"
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/klog/v2"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

// Index is what a cluster holds, as a tree of the hashes of its objects' files. One watch per resource
// keeps it current, so that reading it costs no request, and nothing goes from it but by a positive fact:
// a watch that told of the deletion, a complete list that lacks the object, or a complete discovery that
// lacks its resource. An Index is safe for concurrent use.
type Index struct {
	cluster *Cluster
	options IndexOptions
	log     *slog.Logger
	audits  audits

	rediscover chan struct{}  // asks for discovery
	slots      chan struct{}  // taken by a resource until its first list
	running    sync.WaitGroup // all goroutines of Run
	rereads    rereads
	schemas    schemas
	lanes      *lanes

	mu sync.Mutex
	// changed is closed, and replaced, when something happened that a caller may be waiting for.
	changed   chan struct{}
	tree      *tree.Editor
	left      *tree.Editor
	resources map[schema.GroupResource]*resource
	pending   map[string]*entry // entries whose content is held, by path
	heldBytes int               // of their contents
	recent    recent
	skipped   map[string]int // objects in no tree, by reason
	scaled    map[manifest.ID]int
	targets   map[string][]manifest.ID // what each autoscaler targets, by the autoscaler's path
	discovery discoveryState
	ready     bool // each resource was listed once, or has failed to be
	facts     facts
}

// entry is one object of the index.
type entry struct {
	uid             types.UID
	resourceVersion string
	hash            plumbing.Hash // zero when skipped
	skipped         string        // why it is in no tree
	content         held          // none once released
	bond            manifest.Bond
	// ahead: it was seen beside the watch, which has not told of this version yet. Only then do versions
	// decide what is current. Otherwise the order of the watch does, also where versions start again
	// because the cluster was restored from a backup.
	ahead bool
}

// IndexOptions says how an index works.
type IndexOptions struct {
	// Logger gets one line per change of state, and none per retry. Default: slog.Default.
	Logger *slog.Logger
	// Selection is what takes part.
	Selection manifest.Selection
	// SecretHash stands for the content of a Secret in the tree; nil for the hash that Git gives to it. The
	// tree's hash leaves the worker, and with Git's hash one could try out what a short password is.
	SecretHash func(yaml []byte) plumbing.Hash
	// AuditEvery is how often each resource is compared with a list of it (audit.go); a negative one means
	// never. Default: an hour.
	AuditEvery time.Duration
	// Defect is told of each object that an audit found wrong in the index, by its resource, for instance
	// "deployments.apps". It may be nil.
	Defect func(resource string)
}

// parallelLists is how many resources are listed at a time: each list takes up to ten of the API
// server's seats.
const parallelLists = 6

// NewIndex returns an empty index of the cluster. It fills while Run is running.
func (c *Cluster) NewIndex(o IndexOptions) *Index {
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return &Index{
		cluster:    c,
		options:    o,
		log:        o.Logger,
		audits:     newAudits(o),
		rediscover: make(chan struct{}, 1),
		slots:      make(chan struct{}, parallelLists),
		rereads:    newRereads(),
		lanes:      newLanes(),
		changed:    make(chan struct{}),
		tree:       tree.NewEditor(tree.Tree{}),
		left:       tree.NewEditor(tree.Tree{}),
		resources:  map[schema.GroupResource]*resource{},
		pending:    map[string]*entry{},
		recent:     recent{objects: map[string]*list.Element{}},
		skipped:    map[string]int{},
		scaled:     map[manifest.ID]int{},
		targets:    map[string][]manifest.ID{},
		facts:      facts{crds: map[string]*crd{}, services: map[string]*apiService{}},
	}
}

// Run keeps the index current until ctx ends, and returns when all it started has ended. It may run once.
func (x *Index) Run(ctx context.Context) error {
	// Reflectors log each retry of each resource; what is worth knowing is logged by logChanges.
	ctx = klog.NewContext(ctx, klog.New(nil))
	x.running.Go(func() { x.discoverLoop(ctx) })
	x.running.Go(func() { x.rereadLoop(ctx) })
	x.running.Go(func() { x.logLoop(ctx) })
	x.running.Go(func() { x.auditLoop(ctx) })
	x.running.Wait()
	return ctx.Err()
}

// Resolve says how the API server serves a kind, in the version that it prefers.
func (x *Index) Resolve(kind schema.GroupKind) (manifest.Resource, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	r, ok := x.discovery.catalog.kinds[kind]
	return r, ok
}

// served returns the versions that a resource is served in, and the one that the index is in.
func (x *Index) served(gr schema.GroupResource) (versions []string, indexed string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if versions = x.discovery.catalog.versions[gr]; len(versions) > 0 {
		indexed = versions[0]
	}
	if r := x.resources[gr]; r != nil {
		indexed = r.Version
	}
	return versions, indexed
}

// Entry is what the index knows of one object.
type Entry struct {
	UID             string
	ResourceVersion string
	Hash            plumbing.Hash // of its normalised YAML; zero when it is skipped
	SkippedFor      string        // why it is in no tree, "" when it is in
	Bond            manifest.Bond // what keeps it in the cluster; not known of what is skipped
	Resource        manifest.Resource
}

// Lookup finds the object of a canonical path; false when the index knows of none.
func (x *Index) Lookup(path string) (Entry, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	r, e := x.find(path)
	if e == nil {
		return Entry{}, false
	}
	return Entry{
		UID: string(e.uid), ResourceVersion: e.resourceVersion, Hash: e.hash, SkippedFor: e.skipped,
		Bond: e.bond, Resource: r.Resource,
	}, true
}

// UID of the object of a canonical path; empty when the index knows of none.
func (x *Index) UID(path string) string {
	entry, _ := x.Lookup(path)
	return entry.UID
}

// find needs x.mu. The resource is nil where the path's is not watched.
func (x *Index) find(path string) (*resource, *entry) {
	location, ok := manifest.ParsePath(path)
	if !ok {
		return nil, nil
	}
	r := x.resources[schema.GroupResource{Group: location.Group, Resource: location.Resource}]
	if r == nil {
		return nil, nil
	}
	return r, r.entries[key{location.Namespace, location.Name}]
}

// signal wakes all who wait for a change. It needs x.mu.
func (x *Index) signal() {
	close(x.changed)
	x.changed = make(chan struct{})
}

// sleep waits, and reports false when ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
