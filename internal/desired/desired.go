// Package desired reads what a revision asks of a cluster: any layout of files, Secrets decrypted, each object
// under its canonical path. It calls nobody but the store that it reads from.
package desired

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/go-git/go-git/v5/plumbing"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

// State is what a revision asks of the cluster, whatever the layout of its files. It keeps hashes and
// places, not objects, and follows from revision to revision by the files that differ.
type State struct {
	repository Store
	rules      Rules
	revision   plumbing.Hash
	files      map[string]*file
	// declared are the documents of each object, by canonical path: more than one is a mistake in Git.
	declared map[string][]place
	// tree has the hash of the normalised content of each object that shall be applied.
	tree *tree.Editor
	// scaled counts the autoscalers that target an object.
	scaled map[manifest.ID]int
	// troubled are the files with something to report or to try again, doubled the objects that are declared
	// more than once: few, so that a tick needn't look through the rest.
	troubled, doubled map[string]bool
	kept              kept
	// opened is the file that was decoded last.
	opened struct {
		blob      plumbing.Hash
		documents []manifest.Document
	}
}

// file is what one file of the repository holds.
type file struct {
	blob     plumbing.Hash
	docs     []document
	problems []manifest.Problem
	// foreign: there is something in it that is another tool's, which isn't reported.
	foreign bool
}

// document is one object of a file.
type document struct {
	id       manifest.ID
	line     int
	path     string // canonical; empty while the cluster doesn't know the kind
	hash     plumbing.Hash
	excluded string // why it isn't synced; empty if it is
	sealed   string // why it can't be decrypted; empty if it can, or needn't be
	// encrypted: it is so in Git.
	encrypted bool
	targets   []manifest.ID
}

// place is where an object is declared.
type place struct {
	file  string
	index int
}

// Store is where revisions are read from.
type Store interface {
	Changes(from, to plumbing.Hash) ([]repo.Change, error)
	Read(blob plumbing.Hash) ([]byte, error)
}

// Kinds knows the kinds that the cluster serves.
type Kinds interface {
	Resolve(kind schema.GroupKind) (manifest.Resource, bool)
}

// New is a state that nothing was read into yet.
func New(repository Store, rules Rules) *State {
	return &State{
		repository: repository,
		rules:      rules,
		files:      map[string]*file{},
		declared:   map[string][]place{},
		tree:       tree.NewEditor(tree.Tree{}),
		scaled:     map[manifest.ID]int{},
		troubled:   map[string]bool{},
		doubled:    map[string]bool{},
	}
}

// Follow brings the state to a revision whose content is in the store.
func (d *State) Follow(revision plumbing.Hash, kinds Kinds) error {
	if revision == d.revision {
		return nil
	}
	changes, err := d.repository.Changes(d.revision, revision) // all files at first
	if err != nil {
		return err
	}
	rescaled := map[manifest.ID]bool{}
	for _, change := range changes {
		d.forget(change.Path, rescaled)
	}
	var files []tree.Change
	for _, change := range changes {
		switch {
		case change.Obstacle != "":
			d.stumble(change.Path, change.Obstacle)
		case !change.To.IsZero():
			files = append(files, change.Change)
		}
	}
	d.decodeAll(files, func(change tree.Change, content decoded) {
		d.read(change.Path, change.To, content, kinds, rescaled)
	})
	// Whether spec.replicas counts may have changed for objects in files that did not.
	for id := range rescaled {
		if resource, ok := kinds.Resolve(schema.GroupKind{Group: id.Group, Kind: id.Kind}); ok {
			for _, at := range slices.Clone(d.declared[manifest.Path(resource, id.Namespace, id.Name)]) {
				d.place(at.file, kinds)
			}
		}
	}
	d.revision = revision
	return nil
}

// Tree has the hash of the normalised content of each object that shall be applied, by canonical path.
func (d *State) Tree() tree.Tree { return d.tree.Tree() }

// Declares reports whether a document of the revision declares an object, be it one that isn't applied.
func (d *State) Declares(path string) bool { return len(d.declared[path]) > 0 }

// Reads reports whether everything in a file was understood, so that what it doesn't hold is a fact.
func (d *State) Reads(file string) bool {
	f := d.files[file]
	return f == nil || len(f.problems) == 0
}

// PassesOver reports whether something in a file was passed over as that of another tool. In the place of a
// file that held objects, that is more likely to be a mistake.
func (d *State) PassesOver(file string) bool {
	f := d.files[file]
	return f != nil && f.foreign
}

// Origin is where an object is declared: the file, the line and the number of the document in the file.
type Origin struct {
	File        string
	Line, Index int
	// Encrypted: the file holds it encrypted.
	Encrypted bool
}

// Origin finds an object; false where no document declares it.
func (d *State) Origin(path string) (Origin, bool) {
	places := d.declared[path]
	if len(places) == 0 {
		return Origin{}, false
	}
	doc := d.document(places[0])
	return Origin{places[0].file, doc.line, places[0].index, doc.encrypted}, true
}

// stumble takes in what stands where a file may be expected, and can't be read.
func (d *State) stumble(path, obstacle string) {
	d.files[path] = &file{problems: []manifest.Problem{{File: path, Message: obstacle}}}
	d.troubled[path] = true
}

// read takes in a file. The targets of its autoscalers are added to rescaled.
func (d *State) read(path string, blob plumbing.Hash, content decoded, kinds Kinds, rescaled map[manifest.ID]bool) {
	told := slices.DeleteFunc(slices.Clone(content.problems), func(p manifest.Problem) bool { return p.Foreign })
	f := &file{blob: blob, problems: told, foreign: len(told) < len(content.problems)}
	for _, doc := range content.documents {
		entry := document{id: manifest.IDOf(doc.Object), line: doc.Line, encrypted: doc.Sealed}
		for _, target := range manifest.ScaleTargets(doc.Object) {
			target.Namespace = cmp.Or(target.Namespace, defaultNamespace)
			entry.targets = append(entry.targets, target)
			d.scaled[target]++
			rescaled[target] = true
		}
		f.docs = append(f.docs, entry)
	}
	d.files[path] = f
	d.placeAll(path, content, kinds)
}

// place reads a file again and places its documents anew.
func (d *State) place(path string, kinds Kinds) {
	d.placeAll(path, d.decode(path, d.files[path].blob), kinds)
}

// placeAll finds the canonical path and the hash of each document of a file whose kind the cluster knows.
func (d *State) placeAll(path string, content decoded, kinds Kinds) {
	f, documents := d.files[path], content.documents
	for i := range min(len(f.docs), len(documents)) {
		doc, at := &f.docs[i], place{path, i}
		d.undeclare(doc.path, at)
		d.drop(at)
		doc.path, doc.excluded, doc.sealed = "", "", ""
		resource, ok := kinds.Resolve(schema.GroupKind{Group: doc.id.Group, Kind: doc.id.Kind})
		if !ok {
			continue
		}
		object := documents[i].Object
		doc.excluded = d.normalise(resource, object)
		whole := object
		if d.rules.Selection.IgnoresFields(resource) {
			whole = runtime.DeepCopyJSON(object)
			d.rules.Selection.DropIgnored(resource, object)
		}
		yaml, err := manifest.Encode(object)
		if err != nil {
			f.problems = append(f.problems, manifest.Problem{File: path, Line: doc.line, Object: doc.id.String(), Message: err.Error()})
			continue
		}
		id := manifest.IDOf(object)
		doc.path, doc.hash = manifest.Path(resource, id.Namespace, id.Name), d.hash(resource, yaml)
		if documents[i].Sealed && doc.excluded == "" {
			doc.sealed = content.sealed
		}
		d.declared[doc.path] = append(d.declared[doc.path], at)
		d.settle(doc.path)
		d.keep(at, whole)
	}
	if len(f.problems) > 0 || slices.ContainsFunc(f.docs, document.troubled) {
		d.troubled[path] = true
	} else {
		delete(d.troubled, path)
	}
}

// defaultNamespace is where an object without a namespace goes, as with kubectl.
const defaultNamespace = "default"

// Normalise makes an object of a file comparable with one of the cluster. It answers why the object
// isn't synced, if it isn't.
func (d *State) Normalise(resource manifest.Resource, object map[string]any) (excluded string) {
	excluded = d.normalise(resource, object)
	d.rules.Selection.DropIgnored(resource, object)
	return excluded
}

// normalise is that with the fields that don't take part: an object that is created has them from Git.
func (d *State) normalise(resource manifest.Resource, object map[string]any) (excluded string) {
	metadata, _ := object["metadata"].(map[string]any)
	if !resource.Namespaced {
		delete(metadata, "namespace")
	} else if namespace, _ := metadata["namespace"].(string); namespace == "" {
		metadata["namespace"] = defaultNamespace
	}
	reason, _ := manifest.Skip(resource, object, d.rules.Selection)
	manifest.Normalise(resource, object, manifest.Surroundings{Scaled: d.IsScaled(manifest.IDOf(object))})
	return reason
}

// hash stands for the content of an object, as it does in the index.
func (d *State) hash(resource manifest.Resource, content []byte) plumbing.Hash {
	if resource.String() == "secrets" {
		return d.rules.SecretHash(content)
	}
	return manifest.Hash(content)
}

// IsScaled reports whether an autoscaler of the revision targets an object.
func (d *State) IsScaled(id manifest.ID) bool { return d.scaled[id] > 0 }

// forget takes a file out. The targets of its autoscalers are added to rescaled.
func (d *State) forget(path string, rescaled map[manifest.ID]bool) {
	f, ok := d.files[path]
	if !ok {
		return
	}
	for i, doc := range f.docs {
		d.undeclare(doc.path, place{path, i})
		d.drop(place{path, i})
		for _, target := range doc.targets {
			if d.scaled[target]--; d.scaled[target] == 0 {
				delete(d.scaled, target)
			}
			rescaled[target] = true
		}
	}
	delete(d.files, path)
	delete(d.troubled, path)
}

func (d *State) undeclare(path string, at place) {
	if path == "" {
		return
	}
	d.declared[path] = slices.DeleteFunc(d.declared[path], func(p place) bool { return p == at })
	if len(d.declared[path]) == 0 {
		delete(d.declared, path)
	}
	d.settle(path)
}

// settle decides whether an object is in the tree: declared once, and not excluded.
func (d *State) settle(path string) {
	places := d.declared[path]
	if len(places) > 1 {
		d.doubled[path] = true
	} else {
		delete(d.doubled, path)
	}
	if len(places) == 1 {
		if doc := d.document(places[0]); doc.excluded == "" && doc.sealed == "" {
			d.tree.Put(path, doc.hash)
			return
		}
	}
	d.tree.Remove(path)
}

func (d *State) document(at place) document { return d.files[at.file].docs[at.index] }

// Resolve tries again to place the documents whose kind the cluster did not know.
func (d *State) Resolve(kinds Kinds) {
	for path := range d.troubled {
		if slices.ContainsFunc(d.files[path].docs, func(doc document) bool {
			_, known := kinds.Resolve(schema.GroupKind{Group: doc.id.Group, Kind: doc.id.Kind})
			return doc.unplaced() && known
		}) {
			d.place(path, kinds)
		}
	}
}

// Object reads the normalised content that the tree has the hash of, and with it the fields that don't take
// part. Reading the objects of one file after another decodes the file once, and before Rest not even that.
func (d *State) Object(path string, kinds Kinds) (manifest.Resource, map[string]any, error) {
	at := d.declared[path][0]
	doc := d.document(at)
	resource, ok := kinds.Resolve(schema.GroupKind{Group: doc.id.Group, Kind: doc.id.Kind})
	if !ok {
		return manifest.Resource{}, nil, unknownKind(doc.id)
	}
	if object, ok := d.recall(at); ok {
		return resource, object, nil
	}
	if blob := d.files[at.file].blob; d.opened.blob != blob {
		d.opened.blob = blob
		d.opened.documents = d.decode(at.file, blob).documents
	}
	if at.index >= len(d.opened.documents) {
		return manifest.Resource{}, nil, fmt.Errorf("%s can't be read any more: it is fetched again at the next try", at.file)
	}
	object := runtime.DeepCopyJSON(d.opened.documents[at.index].Object)
	d.normalise(resource, object)
	return resource, object, nil
}
