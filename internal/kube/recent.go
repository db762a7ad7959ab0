package kube

import (
	"container/list"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	kjson "sigs.k8s.io/json"
)

// recent is the JSON of objects that somebody changed, as the watch told it, by path. Overwriting such an object
// needs all of it, and asking for it again would be every third request where drift is undone. The oldest give
// way to the latest.
type recent struct {
	// on: somebody writes by the index, and may need them.
	on      bool
	objects map[string]*list.Element
	order   list.List // of change, the oldest first
	bytes   int
}

type change struct {
	path string
	json []byte
}

// maxRecent is how many bytes are kept: some 5,000 objects.
const maxRecent = 16 << 20

func (c *recent) keep(path string, json []byte) {
	c.drop(path)
	if !c.on || len(json) > maxRecent {
		return
	}
	for c.bytes+len(json) > maxRecent {
		c.drop(c.order.Front().Value.(change).path)
	}
	c.objects[path] = c.order.PushBack(change{path, json})
	c.bytes += len(json)
}

func (c *recent) drop(path string) {
	if e := c.objects[path]; e != nil {
		c.bytes -= len(c.order.Remove(e).(change).json)
		delete(c.objects, path)
	}
}

// of is nil for what isn't kept.
func (c *recent) of(path string) []byte {
	if e := c.objects[path]; e != nil {
		return e.Value.(change).json
	}
	return nil
}

// note takes in what became of an object: json is all of it, where the watch told of a change. A change of what
// isn't exported, like a status, is only worth keeping after one that is.
func (c *recent) note(path string, old, now *entry, json []byte) {
	switch {
	case json == nil:
		c.drop(path)
	case c.objects[path] != nil || old != nil && old.hash != now.hash:
		c.keep(path, json)
	}
}

// keepRecent has changes kept from now on.
func (x *Index) keepRecent() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.recent.on = true
}

// recall is the target as the watch told of it last, at the version that the index has; nil where it has to be
// asked for.
func (x *Index) recall(t target) *unstructured.Unstructured {
	x.mu.Lock()
	content := x.recent.of(t.Path)
	x.mu.Unlock()
	if content == nil {
		return nil
	}
	live := &unstructured.Unstructured{}
	if kjson.UnmarshalCaseSensitivePreserveInts(content, &live.Object) != nil ||
		live.GetResourceVersion() != t.seen || live.GroupVersionKind() != t.kind.GVK() {
		return nil
	}
	return live
}
