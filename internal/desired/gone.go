package desired

import (
	"iter"
	"maps"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// Gone is an object that an earlier revision asked for and that no file declares now.
type Gone struct {
	Path     string
	Resource manifest.Resource
	Origin   Origin // where it stood
	// Protected: its annotation forbade to delete it.
	Protected bool
}

// Gone lists the objects that an earlier revision, whose content is in the store, asked for and this one
// doesn't, from the files that differ. Where one of these files can't be read in full it answers with the
// file's name and nothing else: what seems to be gone may stand in there. The same goes for one that held objects
// and holds another tool's content now.
func (d *State) Gone(before plumbing.Hash, kinds Kinds) (gone []Gone, unread string, err error) {
	changes, err := d.repository.Changes(before, d.revision)
	if err != nil {
		return nil, "", err
	}
	for _, change := range changes {
		if !d.Reads(change.Path) {
			return nil, change.Path, nil
		}
		if change.From.IsZero() {
			continue
		}
		content, err := d.repository.Read(change.From)
		if err != nil {
			continue // it could not be applied either
		}
		documents, _ := manifest.Decode(change.Path, content) // what an object is stands in clear
		if len(documents) > 0 && d.PassesOver(change.Path) {
			return nil, change.Path, nil
		}
		for i, doc := range documents {
			if g, ok := d.gone(doc, kinds); ok {
				g.Origin = Origin{File: change.Path, Line: doc.Line, Index: i, Encrypted: doc.Sealed}
				gone = append(gone, g)
			}
		}
	}
	return gone, "", nil
}

// gone is a document of an earlier revision that was applied on its account and that no file declares now.
func (d *State) gone(doc manifest.Document, kinds Kinds) (Gone, bool) {
	id := manifest.IDOf(doc.Object)
	resource, ok := kinds.Resolve(schema.GroupKind{Group: id.Group, Kind: id.Kind})
	if !ok {
		return Gone{}, false
	}
	protected := manifest.IsProtected(doc.Object)
	if d.Normalise(resource, doc.Object) != "" {
		return Gone{}, false
	}
	id = manifest.IDOf(doc.Object)
	path := manifest.Path(resource, id.Namespace, id.Name)
	return Gone{Path: path, Resource: resource, Protected: protected}, !d.Declares(path) && !d.rules.Scope.Ignores(path)
}

// ProtectedInGit is why a Gone that is Protected stays in the cluster. The cluster doesn't know of that, so it has to be
// remembered.
var ProtectedInGit = "when Git declared it last, " + manifest.Protected.String()

// Obscure names a file that may declare an object nobody knows of: it can't be read in full, or holds a kind
// that the cluster doesn't know. It is "" where there is none, so that what Declares denies is in no file.
func (d *State) Obscure() string {
	for path := range d.troubled {
		if f := d.files[path]; len(f.problems) > 0 || slices.ContainsFunc(f.docs, document.unplaced) {
			return path
		}
	}
	return ""
}

// Declared yields the paths that Declares affirms.
func (d *State) Declared() iter.Seq[string] { return maps.Keys(d.declared) }
