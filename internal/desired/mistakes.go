package desired

import (
	"cmp"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// Mistakes are the failures that lie in Git itself: what can't be read, what is declared twice, and what
// the cluster has no kind for.
func (d *State) Mistakes() []manifest.Problem {
	var mistakes []manifest.Problem
	for path := range d.troubled {
		f := d.files[path]
		mistakes = append(mistakes, f.problems...)
		for _, doc := range f.docs {
			if doc.unplaced() && !d.ignores(doc.id) {
				mistakes = append(mistakes, manifest.Problem{
					Object: doc.id.String(), File: path, Line: doc.line, Message: unknownKind(doc.id).Error(),
				})
			}
			if doc.sealed != "" && !d.rules.Scope.Ignores(doc.path) {
				mistakes = append(mistakes, manifest.Problem{
					Object: manifest.ObjectName(doc.path), File: path, Line: doc.line, Message: doc.sealed,
				})
			}
		}
	}
	for path := range d.doubled {
		if d.rules.Scope.Ignores(path) {
			continue
		}
		first, second := d.declared[path][0], d.declared[path][1]
		mistakes = append(mistakes, manifest.Problem{
			Object: manifest.ObjectName(path), File: first.file, Line: d.document(first).line,
			Message: fmt.Sprintf("declared again in %s:%d: neither is applied until one is removed",
				second.file, d.document(second).line),
		})
	}
	slices.SortFunc(mistakes, func(a, b manifest.Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Object, b.Object), cmp.Compare(a.Message, b.Message))
	})
	return mistakes
}

// ignores tells whether an object whose resource isn't known lies in an ignored namespace.
func (d *State) ignores(id manifest.ID) bool {
	return id.Namespace != "" && slices.Contains(d.rules.Scope.IgnoredNamespaces, id.Namespace)
}

// troubled: there is something to report.
func (doc document) troubled() bool { return doc.unplaced() || doc.sealed != "" }

// unplaced: the cluster doesn't know the kind, or the content can't be encoded.
func (doc document) unplaced() bool { return doc.path == "" }

func unknownKind(id manifest.ID) error {
	return fmt.Errorf("the cluster does not know the kind %s: install its CustomResourceDefinition, or add it to the repository",
		schema.GroupKind{Group: id.Group, Kind: id.Kind})
}
