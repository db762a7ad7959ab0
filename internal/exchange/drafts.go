package exchange

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"reflect"
	"slices"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets"
	"github.com/active-cluster-sync/active-cluster-sync/internal/yamledit"
)

// Drafts are files of Git as they shall become. People's files are edited in place: what doesn't change stays as
// they wrote it.
type Drafts struct {
	*Exchange
	files map[string]*draft
}

// draft is one file.
type draft struct {
	name string
	// text is what the file shall hold, before what it holds, both in clear.
	text, before []byte
	changed      bool
	// sealed: the file is encrypted, or shall be. Then documents are its content, for of an encrypted file nothing
	// can be kept as it was written but who can read it: theirs is the encrypted file of people, nil for our own.
	sealed    bool
	theirs    []byte
	documents []map[string]any
	// removed are the numbers of the objects to take out.
	removed map[int]bool
}

func (x *Exchange) drafts() *Drafts { return &Drafts{x, map[string]*draft{}} }

// document is the object as it stands in its file, nil where no file declares it.
func (d *Drafts) document(path string) (map[string]any, error) {
	origin, ok := d.Memory.Desired.Origin(path)
	if !ok {
		return nil, nil
	}
	f, err := d.open(origin.File)
	if err != nil {
		return nil, err
	}
	return f.document(origin.Index)
}

// put makes an object what is wanted, in the file that declares it or in a new one.
func (d *Drafts) put(path string, want map[string]any) error {
	origin, declared := d.Memory.Desired.Origin(path)
	file := origin.File
	if !declared {
		file = path
	}
	f, err := d.open(file)
	if err != nil {
		return err
	}
	f.changed = true
	if manifest.IsSecretPath(path) && !d.Keys.Empty() {
		if err := f.seal(); err != nil {
			return err
		}
	}
	if !declared {
		return f.add(want)
	}
	return f.change(origin.Index, want)
}

// remove takes an object out of the file that declares it.
func (d *Drafts) remove(path string) error {
	origin, ok := d.Memory.Desired.Origin(path)
	if !ok {
		return nil
	}
	f, err := d.open(origin.File)
	if err != nil {
		return err
	}
	f.removed[origin.Index], f.changed = true, true
	return nil
}

// SealAnew encrypts the files of Secrets that aren't encrypted for the recipients of now, but for those of people.
func (d *Drafts) SealAnew() error {
	for path := range d.Git.All() {
		origin, _ := d.Memory.Desired.Origin(path)
		if !manifest.IsSecretPath(path) || origin.File != path || !origin.Encrypted {
			continue
		}
		content, err := d.Repository.ReadFile(d.Tip, path)
		if err != nil {
			return fmt.Errorf("read %s: %w", path, err)
		}
		if !secrets.SealedFor(d.Keys, content) {
			f, err := d.open(path)
			if err != nil {
				return err
			}
			f.changed = true
		}
	}
	return nil
}

// open reads a file of the tip, once.
func (d *Drafts) open(name string) (*draft, error) {
	if f := d.files[name]; f != nil {
		return f, nil
	}
	f := &draft{name: name, removed: map[int]bool{}}
	content, err := d.Repository.ReadFile(d.Tip, name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s can't be written: %w", name, err)
	}
	f.text = content
	documents, _ := manifest.Decode(name, content)
	if slices.ContainsFunc(documents, func(doc manifest.Document) bool { return doc.Sealed }) {
		if f.text, err = secrets.Open(d.Keys, content); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		if err := f.seal(); err != nil {
			return nil, err
		}
		if _, own := manifest.ParsePath(name); !own {
			f.theirs = content
		}
	}
	f.before = f.text
	d.files[name] = f
	return f, nil
}

// seal makes the file one that is encrypted.
func (f *draft) seal() error {
	if f.sealed {
		return nil
	}
	documents, problems := manifest.Decode(f.name, f.text)
	if len(problems) > 0 {
		return fmt.Errorf("%s can't be encrypted, for it can't be read in full: %s", f.name, problems[0].Message)
	}
	f.sealed = true
	for _, doc := range documents {
		f.documents = append(f.documents, doc.Object)
	}
	return nil
}

func (f *draft) document(index int) (map[string]any, error) {
	if f.sealed {
		if index >= len(f.documents) {
			return nil, fmt.Errorf("%s has changed while it was read", f.name)
		}
		return f.documents[index], nil
	}
	documents, _ := manifest.Decode(f.name, f.text)
	if index >= len(documents) {
		return nil, fmt.Errorf("%s has changed while it was read", f.name)
	}
	return documents[index].Object, nil
}

func (f *draft) change(index int, want map[string]any) error {
	now, err := f.document(index)
	if err != nil {
		return err
	}
	if f.sealed {
		f.documents[index] = want
		return nil
	}
	if own, err := manifest.Encode(now); err == nil && bytes.Equal(own, f.text) {
		f.text, err = manifest.Encode(want) // nobody has formatted it
		return err
	}
	f.text, err = yamledit.Edit(f.text, index, want)
	return err
}

func (f *draft) add(want map[string]any) error {
	var err error
	switch {
	case f.sealed:
		f.documents = append(f.documents, want)
	case len(bytes.TrimSpace(f.text)) == 0:
		f.text, err = manifest.Encode(want)
	default:
		f.text, err = yamledit.Append(f.text, want)
	}
	return err
}

// finish is the content of the file; nil when nothing is left of it.
func (f *draft) finish(x *Exchange) ([]byte, error) {
	content, err := f.inClear()
	if err != nil || content == nil || !f.sealed {
		return content, err
	}
	return f.encrypt(x, content)
}

// inClear is that before it is encrypted.
func (f *draft) inClear() ([]byte, error) {
	gone := slices.Sorted(maps.Keys(f.removed))
	slices.Reverse(gone)
	clear(f.removed) // it may be asked for again
	if f.sealed {
		for _, index := range gone {
			f.documents = slices.Delete(f.documents, index, index+1)
		}
		return encodeAll(f.documents)
	}
	for _, index := range gone {
		rest, empty, err := yamledit.Remove(f.text, index)
		if err != nil {
			return nil, err
		}
		if f.text = rest; empty {
			f.text = nil
			break
		}
	}
	return f.text, nil
}

// encodeAll is a file of some objects; nil without any.
func encodeAll(objects []map[string]any) ([]byte, error) {
	var all []byte
	for i, object := range objects {
		content, err := manifest.Encode(object)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			all = append(all, "---\n"...)
		}
		all = append(all, content...)
	}
	return all, nil
}

// encrypt sees to it that what can be read from the file is what was put in.
func (f *draft) encrypt(x *Exchange, plaintext []byte) ([]byte, error) {
	check := func(readable []byte) error {
		documents, problems := manifest.Decode(f.name, readable)
		same := len(problems) == 0 && len(documents) == len(f.documents)
		for i := range documents {
			same = same && reflect.DeepEqual(documents[i].Object, f.documents[i])
		}
		if !same {
			return errors.New("what sops reads from it isn't what was encrypted")
		}
		return nil
	}
	if f.theirs != nil {
		return secrets.Reseal(x.Keys, f.theirs, plaintext, check)
	}
	return secrets.Seal(x.Keys, plaintext, check)
}

// Contents are the files that shall be written, or taken away where there is no content. A file for which that
// fails is left as it is; the errors are by file.
func (d *Drafts) Contents() (files map[string][]byte, failed map[string]error) {
	files, failed = map[string][]byte{}, map[string]error{}
	for name, f := range d.files {
		if !f.changed {
			continue
		}
		content, err := f.finish(d.Exchange)
		if err != nil {
			failed[name] = err
			continue
		}
		files[name] = content
	}
	return files, failed
}

// Text is a file in clear, as it is and as it shall become; nil where there is none.
type Text struct {
	Before, After []byte
	// Sealed: it is stored encrypted.
	Sealed bool
}

// Texts are the files that shall be written, by name, for people to look at.
func (d *Drafts) Texts() (map[string]Text, error) {
	texts := map[string]Text{}
	for name, f := range d.files {
		if !f.changed {
			continue
		}
		after, err := f.inClear()
		if err != nil {
			return nil, fmt.Errorf("%s can't be written: %w", name, err)
		}
		texts[name] = Text{Before: f.before, After: after, Sealed: f.sealed}
	}
	return texts, nil
}
