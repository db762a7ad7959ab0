package desired

import (
	"github.com/go-git/go-git/v5/plumbing"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// Former is an object as an earlier revision had it.
type Former struct {
	Resource manifest.Resource
	// Object is the normalised content, Hash is what the tree of that revision had for it.
	Object map[string]any
	Hash   plumbing.Hash
}

// Former finds some objects as an earlier revision, whose content is in the store, had them. It looks into the
// files that differ; what is in none of them is as it was. Documents that were not applied then are left out.
func (d *State) Former(before plumbing.Hash, wanted map[string]bool, kinds Kinds) (map[string]Former, error) {
	found := map[string]Former{}
	if len(wanted) == 0 {
		return found, nil
	}
	changes, err := d.repository.Changes(before, d.revision)
	if err != nil {
		return nil, err
	}
	for _, change := range changes {
		if change.From.IsZero() {
			continue
		}
		content := d.decode(change.Path, change.From)
		for _, doc := range content.documents {
			path, former, ok := d.former(doc, kinds)
			if ok && wanted[path] && (!doc.Sealed || content.sealed == "") {
				found[path] = former
			}
		}
	}
	return found, nil
}

func (d *State) former(doc manifest.Document, kinds Kinds) (path string, _ Former, ok bool) {
	id := manifest.IDOf(doc.Object)
	resource, ok := kinds.Resolve(schema.GroupKind{Group: id.Group, Kind: id.Kind})
	if !ok || d.normalise(resource, doc.Object) != "" {
		return "", Former{}, false
	}
	compared := doc.Object
	if d.rules.Selection.IgnoresFields(resource) {
		compared = runtime.DeepCopyJSON(doc.Object)
		d.rules.Selection.DropIgnored(resource, compared)
	}
	yaml, err := manifest.Encode(compared)
	if err != nil {
		return "", Former{}, false
	}
	id = manifest.IDOf(doc.Object)
	return manifest.Path(resource, id.Namespace, id.Name), Former{resource, doc.Object, d.hash(resource, yaml)}, true
}

// Unread names a file that can't be read in full, so that an object which seems to be gone may stand in there;
// "" where there is none.
func (d *State) Unread() string {
	for path := range d.troubled {
		if len(d.files[path].problems) > 0 {
			return path
		}
	}
	return ""
}
