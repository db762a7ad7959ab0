package activities

import (
	"strings"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

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
