package yamledit

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// Remove takes one object out of the file: its document, or its item of a List, and the List with its last
// item. Empty is true when no object is left in the file and nothing that may be meant as one, so that the file
// can go.
func Remove(file []byte, index int) (rest []byte, empty bool, err error) {
	s, err := open(file, index)
	if err != nil {
		return nil, false, err
	}
	for text := range s.remains() {
		rest := slices.Concat(file[:s.place.Offset], text, file[s.place.End:])
		objects, problems := manifest.Decode("", rest)
		if len(objects) == len(s.objects)-1 && sameObjects(objects[:index], s.objects[:index]) && sameObjects(objects[index:], s.objects[index+1:]) {
			return rest, len(objects) == 0 && len(problems) == 0, nil
		}
	}
	return nil, false, fmt.Errorf("%s can't be taken out of its file: remove it by hand", manifest.IDOf(s.objects[index].Object))
}

func sameObjects(got, want []manifest.Document) bool {
	for i := range got {
		if !equal(got[i].Object, want[i].Object) {
			return false
		}
	}
	return len(got) == len(want)
}

// remains are texts for the document without the object, from the finest to the coarsest change.
func (s *spot) remains() func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		target, path := s.without()
		if path == nil {
			if text, ok := s.withoutValue(); ok {
				yield(text)
			}
			return
		}
		if d, err := parse(s.text, s.place.Value, s.file); err == nil {
			if text, ok := d.withoutItem(path); ok && !yield(text) {
				return
			}
		}
		for text := range s.versions(target) {
			if !yield(text) {
				return
			}
		}
	}
}

// without is the document without the item, and the way to what is taken out: a List goes with its last item.
// There is no way where the whole document goes.
func (s *spot) without() (any, []int) {
	root := s.values[s.place.Value]
	for path := s.place.Items; len(path) > 0; path = path[:len(path)-1] {
		last := false
		target, err := within(root, path, func(_ map[string]any, items []any, i int) []any {
			last = len(items) == 1
			return slices.Delete(items, i, i+1)
		}, nil)
		if err == nil && !last {
			return target, path
		}
	}
	return nil, nil
}

// withoutItem takes the text of an item out.
func (d *document) withoutItem(path []int) (text []byte, ok bool) {
	defer func() { ok = recover() == nil && ok }()
	lists := d.lists(path)
	if len(lists) < len(path) {
		return nil, false
	}
	e := &editor{document: d}
	l := newLayout(e, lists[len(path)-1])
	l.removed[path[len(path)-1]] = true
	if l.remaining() == 0 {
		return nil, false
	}
	l.apply()
	return splice(d.text, e.edits, d.crlf), true
}

// lists are those on the way to an object, as far as the way goes.
func (d *document) lists(path []int) []*node {
	var lists []*node
	n := d.root
	for _, i := range path {
		list := n.field("items")
		if list == nil || list.kind != sequence || i >= len(list.entries) {
			break
		}
		lists = append(lists, list)
		n = list.entries[i].value
	}
	return lists
}

func (n *node) field(name string) *node {
	for _, entry := range n.entries {
		if n.kind == mapping && entry.key.value == name {
			return entry.value
		}
	}
	return nil
}

// withoutValue takes out the whole text of a document, or one of the values of JSON without separators. What is
// set off by a blank line on top of a file, like a licence, stays for the other documents.
func (s *spot) withoutValue() ([]byte, bool) {
	if len(s.values) == 1 {
		before := s.file[:s.place.Offset]
		if len(bytes.TrimPrefix(before, []byte("\ufeff"))) > 0 || len(s.objects) == 1 || bodyOf(s.text) > 0 {
			return nil, true
		}
		top := bytes.TrimRight(s.text[:skipSpace(s.text, 0)], " \t")
		if i := max(bytes.LastIndex(top, []byte("\n\n")), bytes.LastIndex(top, []byte("\n\r\n"))); i >= 0 {
			return top[:nextLine(top, i+1)], true
		}
		return nil, true
	}
	roots, ok := parseJSON(s.text, bodyOf(s.text))
	if !ok || len(roots) != len(s.values) {
		return nil, false
	}
	i := s.place.Value
	if i+1 < len(roots) {
		return slices.Concat(s.text[:roots[i].start], s.text[roots[i+1].start:]), true
	}
	return slices.Concat(s.text[:roots[i-1].end], s.text[roots[i].end:]), true
}
