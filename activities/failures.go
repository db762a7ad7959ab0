package activities

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/plan"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// failing is an object that could not be applied.
type failing struct {
	plan.Write
	attempts int
	next     time.Time
	failure  workflows.Failure
}

// Bounds of the time between two tries of one object.
const (
	firstRetry = 5 * time.Second
	lastRetry  = 5 * time.Minute
	// servedRetry is for kinds that the cluster may come to serve without any change of their definition.
	servedRetry = 30 * time.Second
)

// fail remembers an object that could not be applied, and when to try it again.
func (r *application) fail(w plan.Write, err error) {
	f := r.pulled.failing[w.Path]
	if f == nil || f.Git != w.Git {
		f = &failing{}
		r.pulled.failing[w.Path] = f
	}
	f.Write = w
	f.next = time.Now().Add(min(firstRetry<<min(f.attempts, 10), lastRetry))
	f.attempts++
	f.failure = r.failure(w.Path, err)
	r.Logger.Warn("object not applied", "cluster", r.Cluster, "object", f.failure.Object, "file", f.failure.File, "error", err.Error())
}

// due lists the failing objects whose time has come.
func (r *application) due() []string {
	var paths []string
	for path, f := range r.pulled.failing {
		if !time.Now().Before(f.next) {
			paths = append(paths, path)
		}
	}
	return paths
}

// unapplied are the objects that the cluster doesn't have as Git says, for the strategy to come.
func (r *application) unapplied() (open []workflows.Open, count int) {
	for _, path := range slices.Sorted(maps.Keys(r.pulled.failing)) {
		if r.pulled.failing[path].Git.IsZero() {
			continue
		}
		if count++; count <= workflows.MaxOpen {
			open = append(open, workflows.Open{Path: path})
		}
	}
	return open, count
}

// definitions is the resource of CustomResourceDefinitions.
const definitions = "customresourcedefinitions.apiextensions.k8s.io"

// unserved are the definitions of Git that the cluster has taken in, and doesn't serve.
func (r *application) unserved() []workflows.Failure {
	var failures []workflows.Failure
	for path := range r.git().Sub("cluster").Sub(definitions).All() {
		path = "cluster/" + definitions + "/" + path
		location, _ := manifest.ParsePath(path)
		if err := r.index.Unserved(location.Name); err != nil && r.pulled.failing[path] == nil {
			failures = append(failures, r.failure(path, err))
		}
	}
	return failures
}

// failure says what is wrong with an object, and where Git declares it.
func (a *Activities) failure(path string, err error) workflows.Failure {
	f := workflows.Failure{Object: manifest.ObjectName(path), Message: brief(err.Error())}
	if origin, ok := a.pulled.Desired.Origin(path); ok {
		f.File = manifest.FileLine(origin.File, origin.Line)
	}
	return f
}

// maxMessage keeps as many failures as are listed far below what a payload may hold: validation of a custom
// resource can name hundreds of fields.
const maxMessage = 2000

// brief makes one line of a message, and not too long a one.
func brief(message string) string {
	message = strings.Join(strings.Fields(message), " ")
	if len(message) <= maxMessage {
		return message
	}
	return strings.ToValidUTF8(message[:maxMessage], "") + "…"
}
