// Package yamledit changes single objects in files that people wrote, and leaves everything else in these files
// as it is, to the byte: other documents, the order of keys, comments, quotes, indentation, line breaks.
//
// It never prints a document from a tree, as all YAML libraries do to write what they have read: each of them
// loses something (blank lines, quotes, the indentation of lists, aligned comments). Instead it finds the bytes
// in which a value is written, replaces only those, and reads the result to see that it is what it should be.
//
// Where values begin is told by go.yaml.in/yaml/v3. It descends from the same libyaml as the parser that
// manifest.Decode uses, so that both see the same structure in every text, and its lines and columns are exact.
// goccy/go-yaml was tried for the same: its offsets count characters and drift in CRLF files and behind block
// scalars, the places of literals are off, and it is a YAML parser of its own, with its own mind about what is
// valid.
package yamledit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// Edit returns the file with one of its objects changed to want. Objects are numbered as manifest.Decode does:
// items of a List count singly. Only the text of what differs is touched; where the layout doesn't allow it,
// that of the smallest value around it that can be written anew, in the last resort the whole document.
//
// Numbers are equal by their value: 3.0 in a JSON file is left alone when 3 is wanted. A document that is
// encrypted with SOPS must be encrypted again as a whole by the caller.
func Edit(file []byte, index int, want map[string]any) ([]byte, error) {
	want, err := canonical(want)
	if err != nil {
		return nil, err
	}
	s, err := open(file, index)
	if err != nil {
		return nil, err
	}
	if equal(s.objects[index].Object, want) {
		return file, nil
	}
	target, err := s.wanted(want)
	if err != nil {
		return nil, err
	}
	for text := range s.versions(target) {
		result := slices.Concat(file[:s.place.Offset], text, file[s.place.End:])
		if s.holds(result, index, want) {
			return result, nil
		}
	}
	return nil, fmt.Errorf("%s can't be changed in its file, however coarsely: edit it by hand", manifest.IDOf(want))
}

// canonical makes of an object what Decode makes of its file.
func canonical(object map[string]any) (map[string]any, error) {
	text, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("%s can't be written to a file: %w", manifest.IDOf(object), err)
	}
	documents, problems := manifest.Decode("", text)
	if len(problems) > 0 {
		return nil, fmt.Errorf("%s can't be written to a file: %s", manifest.IDOf(object), problems[0].Message)
	}
	if len(documents) != 1 {
		return nil, fmt.Errorf("%s can't be written to a file as one object", manifest.IDOf(object))
	}
	return documents[0].Object, nil
}

// printed is the canonical text of a value; JSON, which is YAML as well, where that would read as another one.
func printed(object map[string]any) ([]byte, error) {
	text, err := manifest.Encode(object)
	if err != nil {
		return nil, err
	}
	if values, _ := manifest.Values(text); len(values) == 1 && equal(values[0], object) {
		return text, nil
	}
	return []byte(jsonText(object, "", "  ") + "\n"), nil
}

// spot is the text in a file that holds an object.
type spot struct {
	file    []byte
	objects []manifest.Document
	place   manifest.Place
	// text is that of the document, values what it holds: the object, or a List that has it.
	text   []byte
	values []any
}

func open(file []byte, index int) (*spot, error) {
	objects, places, _ := manifest.Locate("", file)
	if index < 0 || index >= len(objects) {
		return nil, fmt.Errorf("there is no object %d in the file, it has %d", index, len(objects))
	}
	s := &spot{file: file, objects: objects, place: places[index]}
	s.text = file[s.place.Offset:s.place.End]
	var err error
	if s.values, err = manifest.Values(s.text); err != nil {
		return nil, fmt.Errorf("the document of %s isn't valid as a whole, mend it by hand: %w", manifest.IDOf(objects[index].Object), err)
	}
	if s.place.Value >= len(s.values) {
		return nil, errors.New("the document reads differently outside of its file")
	}
	return s, nil
}

// wanted is what the whole document is to hold.
func (s *spot) wanted(object map[string]any) (any, error) {
	return within(s.values[s.place.Value], s.place.Items, func(list map[string]any, items []any, i int) []any {
		items[i] = unsaid(list, items[i], object)
		return items
	}, object)
}

// within returns a document with the items changed in which an object lies; a document that isn't a List is
// replaced by the object.
func within(value any, path []int, change func(list map[string]any, items []any, i int) []any, object any) (any, error) {
	if len(path) == 0 {
		return object, nil
	}
	list, _ := value.(map[string]any)
	items, ok := list["items"].([]any)
	if !ok || path[0] >= len(items) {
		return nil, errors.New("the document reads differently outside of its file")
	}
	out := make(map[string]any, len(list))
	for key, v := range list {
		out[key] = v
	}
	items = slices.Clone(items)
	if len(path) == 1 {
		items = change(list, items, path[0])
	} else {
		inner, err := within(items[path[0]], path[1:], change, object)
		if err != nil {
			return nil, err
		}
		items[path[0]] = inner
	}
	out["items"] = items
	return out, nil
}

// unsaid leaves out of an item what its typed List says for it, if it was left out before.
func unsaid(list map[string]any, before any, object map[string]any) map[string]any {
	item, _ := before.(map[string]any)
	kind, _ := list["kind"].(string)
	out := make(map[string]any, len(object))
	for key, v := range object {
		_, said := item[key]
		if !said && (key == "kind" && kind == fmt.Sprint(v)+"List" || key == "apiVersion" && kind != "List" && v == list[key]) {
			continue
		}
		out[key] = v
	}
	return out
}

// holds tells whether the new file has the object as wanted, and all others as they were.
func (s *spot) holds(file []byte, index int, want map[string]any) bool {
	objects, _ := manifest.Decode("", file)
	if len(objects) != len(s.objects) {
		return false
	}
	for i := range objects {
		if i == index {
			if !equal(objects[i].Object, want) {
				return false
			}
		} else if !equal(objects[i].Object, s.objects[i].Object) {
			return false
		}
	}
	return true
}

// versions are texts for the document with the wanted value, from the finest to the coarsest change.
func (s *spot) versions(target any) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		deepest := 0
		for _, m := range []mode{{}, {explicit: true}, {explicit: true, quoted: true}} {
			text, depth, ok := s.converge(target, m)
			if deepest = max(deepest, depth); ok && !yield(text) {
				return
			}
		}
		// At most some twenty levels are tried, however deep the document is.
		for depth := deepest; depth > 0; depth -= 1 + deepest/20 {
			if text, _, ok := s.converge(target, mode{explicit: true, quoted: true, depth: depth}); ok && !yield(text) {
				return
			}
		}
		text, err := s.whole(target)
		if err != nil {
			return
		}
		if !bytes.HasSuffix(s.text, []byte("\n")) && !yield(bytes.TrimRight(text, "\r\n")) {
			return
		}
		yield(text)
	}
}

// mode is how coarsely a document is edited.
type mode struct {
	// explicit: all aliases and merged maps are replaced by what they stand for.
	explicit bool
	// quoted: text of several lines is put in quotes.
	quoted bool
	// depth, if it isn't 0, is that at which values are replaced as a whole.
	depth int
}

// converge edits the document until it holds the value. The first pass leaves aliases alone: what one of them
// stands for may become what it should by a change where it is anchored. What the anchor's change has changed
// against the wish is put in explicitly in the next pass.
func (s *spot) converge(target any, m mode) (text []byte, deepest int, ok bool) {
	// Positions that don't fit a text, of a layout that nobody has met yet, must only make the edit coarser.
	defer func() { ok = recover() == nil && ok }()
	text, values := s.text, s.values
	for pass := 0; pass < 4; pass++ {
		if pass > 0 && sameValues(values, s.values, s.place.Value, target) {
			return text, deepest, true
		}
		d, err := parse(text, s.place.Value, s.file)
		if err != nil {
			return nil, deepest, false
		}
		e := &editor{document: d, mode: m, aliases: pass > 0 || m.explicit, lists: d.lists(s.place.Items)}
		e.change(slot{indent: -1, after: -1}, d.root, values[s.place.Value], target, 0)
		if deepest = max(deepest, e.deepest); e.failed {
			return nil, deepest, false
		}
		text = splice(text, e.edits, d.crlf)
		if values, err = manifest.Values(text); err != nil || len(values) != len(s.values) {
			return nil, deepest, false
		}
		m.explicit = false
	}
	return text, deepest, sameValues(values, s.values, s.place.Value, target)
}

func sameValues(got, before []any, index int, target any) bool {
	for i := range got {
		if i == index && !equal(got[i], target) || i != index && !equal(got[i], before[i]) {
			return false
		}
	}
	return true
}

// whole is the document printed anew, below its separator and the comments on top.
func (s *spot) whole(target any) ([]byte, error) {
	object, ok := target.(map[string]any)
	if !ok || len(s.values) > 1 {
		return nil, errors.New("the document can't be written anew")
	}
	text, err := printed(object)
	if err != nil {
		return nil, err
	}
	crlf := usesCRLF(s.text)
	if crlf {
		text = bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
	}
	body := bodyOf(s.text)
	head := s.text[:skipSpace(s.text, body)]
	if i := bytes.LastIndexByte(head, '\n') + 1; i < body {
		newline := "\n"
		if crlf {
			newline = "\r\n"
		}
		head = slices.Concat(bytes.TrimRight(head, " \t"), []byte(newline))
	} else {
		head = head[:i]
	}
	return slices.Concat(head, text), nil
}

// edit is a piece of text to be replaced.
type edit struct {
	start, end int
	text       string
}

// splice makes the changes, which don't overlap.
func splice(text []byte, edits []edit, crlf bool) []byte {
	slices.SortStableFunc(edits, func(a, b edit) int {
		if a.start != b.start {
			return a.start - b.start
		}
		return a.end - b.end
	})
	var out []byte
	at := 0
	for _, e := range edits {
		if e.start < at {
			return nil
		}
		added := []byte(e.text)
		if crlf {
			added = bytes.ReplaceAll(added, []byte("\n"), []byte("\r\n"))
		}
		out = append(append(out, text[at:e.start]...), added...)
		at = e.end
	}
	return append(out, text[at:]...)
}
