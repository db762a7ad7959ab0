package kube

import (
	"time"

	"github.com/go-git/go-git/v5/plumbing"
	"k8s.io/apimachinery/pkg/util/resourceversion"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

// Add, Update, Delete, Bookmark, Replace and Resync are what a reflector calls.

func (f *feed) Add(obj any) error { return f.Update(obj) }

func (f *feed) Update(obj any) error {
	rec := obj.(*record)
	f.do(func() {
		f.index.put(f.r, rec, false)
		f.r.seen = rec.ResourceVersion
	})
	return nil
}

func (f *feed) Delete(obj any) error {
	rec := obj.(*record)
	f.do(func() {
		f.index.remove(f.r, keyOf(rec), rec.ResourceVersion)
		f.r.seen = rec.ResourceVersion
	})
	return nil
}

// Bookmark: the watch has told of everything up to this version. API servers say so about once a minute to watches of
// resources that have many objects.
func (f *feed) Bookmark(resourceVersion string) error {
	f.do(func() { f.r.seen = resourceVersion })
	return nil
}

func (f *feed) Resync() error { return nil }

// Replace takes in a complete list. What the list lacks is gone.
func (f *feed) Replace(objects []any, resourceVersion string) error {
	f.do(func() {
		listed := make(map[key]bool, len(objects))
		for _, obj := range objects {
			rec := obj.(*record)
			listed[keyOf(rec)] = true
			f.index.put(f.r, rec, false)
		}
		for k := range f.r.entries {
			if !listed[k] {
				f.index.remove(f.r, k, resourceVersion)
			}
		}
		f.r.listed, f.r.indexed, f.r.seen = true, f.kind.Version, resourceVersion
		f.r.compared = time.Now()
		if f.streaming {
			f.r.up()
		}
		f.index.signal()
	})
	f.release()
	return nil
}

// do runs a change to the resource, unless another reflector has taken over, or the resource is gone.
func (f *feed) do(change func()) {
	f.index.mu.Lock()
	defer f.index.mu.Unlock()
	if f.r.run == f.run {
		change()
	}
}

// see takes in an object that was read or written beside the watch.
func (x *Index) see(kind manifest.Resource, rec *record) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if r := x.resources[kind.GroupResource()]; r != nil && r.Resource == kind {
		x.put(r, rec, true)
	}
}

// put takes in an object: as the watch tells it, or as it was seen beside the watch, which may be before
// the watch tells and after. It needs x.mu.
func (x *Index) put(r *resource, rec *record, beside bool) {
	k := keyOf(rec)
	old := r.entries[k]
	switch {
	case old != nil && (beside || old.ahead) && newer(old.resourceVersion, rec.ResourceVersion):
		return // it is current already
	case old == nil && beside && r.seen != "" && !newer(rec.ResourceVersion, r.seen):
		return // the watch has told of this version, and of the deletion after it
	case rec.known && old != nil && old.resourceVersion == rec.ResourceVersion:
		old.ahead = old.ahead && beside
		return
	case rec.known:
		x.rereads.add(r.GroupResource(), k) // it was lost since rec was made
		return
	}
	if rec.err != nil {
		x.log.Error("object cannot be exported; what was known of it stays", "error", rec.err)
		return
	}
	path := k.path(r.Resource)
	if rec.skipped == "" && rec.scaled != (x.scaled[idOf(r.Resource, rec)] > 0) {
		x.rereads.add(r.GroupResource(), k)
	}
	now := &entry{uid: rec.UID, resourceVersion: rec.ResourceVersion, hash: rec.hash, skipped: rec.skipped, content: rec.content, bond: rec.bond}
	now.ahead = beside && (r.seen == "" || newer(now.resourceVersion, r.seen))
	if old != nil && old.hash == now.hash && now.content.data == nil {
		now.content = old.content
	}
	x.recent.note(path, old, now, rec.json)
	x.count(old, -1)
	x.count(now, +1)
	r.entries[k] = now
	x.place(path, now)
	x.retarget(path, rec.targets)
	x.learn(r.Resource, rec.Name, rec.fact)
}

// remove takes away an object that was gone as of a resource version. It needs x.mu.
func (x *Index) remove(r *resource, k key, resourceVersion string) {
	old := r.entries[k]
	if old == nil || old.ahead && newer(old.resourceVersion, resourceVersion) {
		return
	}
	x.forget(r, k)
}

// forget needs x.mu.
func (x *Index) forget(r *resource, k key) {
	path := k.path(r.Resource)
	x.recent.drop(path)
	x.count(r.entries[k], -1)
	delete(r.entries, k)
	x.place(path, nil)
	x.retarget(path, nil)
	x.learn(r.Resource, k.name, nil)
}

// place sets the path in the tree to what the entry says; nil for none.
func (x *Index) place(path string, e *entry) {
	if e == nil || e.hash == plumbing.ZeroHash {
		x.tree.Remove(path)
	} else {
		x.tree.Put(path, e.hash)
	}
	if e != nil && manifest.Chosen(e.skipped) {
		x.left.Put(path, tree.Empty)
	} else {
		x.left.Remove(path)
	}
	if old := x.pending[path]; old != nil {
		x.heldBytes -= len(old.content.data)
		delete(x.pending, path)
	}
	if e != nil && e.content.data != nil {
		x.heldBytes += len(e.content.data)
		x.pending[path] = e
	}
}

// count keeps the number of skipped objects by reason.
func (x *Index) count(e *entry, by int) {
	if e == nil || e.skipped == "" {
		return
	}
	if x.skipped[e.skipped] += by; x.skipped[e.skipped] == 0 {
		delete(x.skipped, e.skipped)
	}
}

// learn needs x.mu.
func (x *Index) learn(r manifest.Resource, name string, fact any) {
	if x.facts.learn(r, name, fact, x.discovery.catalog) {
		x.askDiscovery()
	}
	if r.GroupResource() == crdResource {
		x.signal()
	}
}

// holds reports whether the index has the object with this hash already, with or without its content.
func (x *Index) holds(r manifest.Resource, k key, hash plumbing.Hash) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	watched := x.resources[r.GroupResource()]
	if watched == nil {
		return false
	}
	e := watched.entries[k]
	return e != nil && e.hash == hash
}

// newer reports whether a is a later version than b of the same resource. Versions that aren't numbers,
// as an aggregated API may have, cannot be compared: what arrives later is then taken for newer.
func newer(a, b string) bool {
	order, err := resourceversion.CompareResourceVersion(a, b)
	return err == nil && order > 0
}
