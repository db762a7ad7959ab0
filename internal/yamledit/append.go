package yamledit

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// Append adds an object as a further document at the end of the file, in the canonical text; to a file that ends
// with JSON as JSON.
func Append(file []byte, object map[string]any) ([]byte, error) {
	object, err := canonical(object)
	if err != nil {
		return nil, err
	}
	text, err := printed(object)
	if err != nil {
		return nil, err
	}
	objects, places, problems := manifest.Locate("", file)
	base := ended(file, objects)
	// No separator is needed where nothing but comments stands behind the last one.
	candidates := [][]byte{text, append([]byte("---\n"), text...)}
	if json, ok := likeLast(file, places, object); ok {
		candidates = slices.Insert(candidates, 0, json)
	}
	for _, added := range candidates {
		if usesCRLF(file) {
			added = bytes.ReplaceAll(added, []byte("\n"), []byte("\r\n"))
		}
		result := slices.Concat(base, added)
		now, nowProblems := manifest.Decode("", result)
		if len(now) == len(objects)+1 && len(nowProblems) == len(problems) &&
			sameObjects(now[:len(objects)], objects) && equal(now[len(objects)].Object, object) {
			return result, nil
		}
	}
	return nil, fmt.Errorf("%s can't be added to its file: put it in a file of its own", manifest.IDOf(object))
}

// likeLast is the object as JSON where that is what the last object of the file is written in.
func likeLast(file []byte, places []manifest.Place, object map[string]any) ([]byte, bool) {
	if len(places) == 0 {
		return nil, false
	}
	last := places[len(places)-1]
	d, err := parse(file[last.Offset:last.End], last.Value, file)
	if err != nil || !d.json {
		return nil, false
	}
	return []byte(jsonText(object, "", printer{document: d}.jsonUnit()) + "\n"), true
}

// ended is the file with a line break at its end. A block scalar that it ends with would get one by that, too.
func ended(file []byte, objects []manifest.Document) []byte {
	if len(bytes.TrimPrefix(file, []byte("\ufeff"))) == 0 || bytes.HasSuffix(file, []byte("\n")) {
		return file
	}
	newline := "\n"
	if usesCRLF(file) {
		newline = "\r\n"
	}
	out := slices.Concat(file, []byte(newline))
	now, _ := manifest.Decode("", out)
	if last := len(objects) - 1; last >= 0 && len(now) == len(objects) && !equal(now[last].Object, objects[last].Object) {
		if mended, err := Edit(out, last, objects[last].Object); err == nil {
			return mended
		}
	}
	return out
}
