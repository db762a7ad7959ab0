package preview

import (
	"bytes"
	"strings"

	"github.com/aymanbagabas/go-udiff"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// nothing is what a diff calls a file that isn't there, as diff and git do.
const nothing = "/dev/null"

// unified is the diff of two texts of which one may be missing; empty when they are the same.
func unified(from, to string, before, after []byte) string {
	if before == nil {
		from = nothing
	}
	if after == nil {
		to = nothing
	}
	return udiff.Unified(from, to, string(before), string(after))
}

// compared makes the diff of an object from its YAML as it is and as it would become. It is masked when the
// object is a Secret, or when secret says that its values are.
func compared(from, to string, before, after []byte, secret bool) (diff string, masked bool) {
	was, ok := objectsOf(before)
	is, ok2 := objectsOf(after)
	masked = secret || holdsSecret(was) || holdsSecret(is)
	switch {
	case !masked && (ok || !mentionsSecret(before)) && (ok2 || !mentionsSecret(after)):
		return unified(from, to, before, after), false
	case !ok || !ok2:
		return "", true // what can't be read can't be masked
	}
	return unified(from, to, maskedText(before, was, is, first), maskedText(after, was, is, second)), true
}

// objectsOf are the objects of a file; false where it can't be read in full.
func objectsOf(file []byte) ([]map[string]any, bool) {
	documents, problems := manifest.Decode("", file)
	objects := make([]map[string]any, 0, len(documents))
	for _, doc := range documents {
		objects = append(objects, doc.Object)
	}
	return objects, len(problems) == 0
}

func holdsSecret(objects []map[string]any) bool {
	for _, object := range objects {
		if isSecret(object) {
			return true
		}
	}
	return false
}

func mentionsSecret(file []byte) bool {
	return bytes.Contains(bytes.ToLower(file), []byte("secret"))
}

// first and second choose one of the two sides of conceal.
func first(before, _ map[string]any) map[string]any { return before }
func second(_, after map[string]any) map[string]any { return after }

// maskedText is one side of a masked diff, the documents of the file in their order; nil for a file that isn't
// there.
func maskedText(file []byte, before, after []map[string]any, side func(before, after map[string]any) map[string]any) []byte {
	if file == nil {
		return nil
	}
	var parts []string
	for i := range max(len(before), len(after)) {
		var was, is map[string]any
		if i < len(before) {
			was = before[i]
		}
		if i < len(after) {
			is = after[i]
		}
		object := side(conceal(was, is))
		if object == nil {
			continue
		}
		text, err := manifest.Encode(object)
		if err != nil {
			text = []byte("# it can't be shown\n")
		}
		parts = append(parts, string(text))
	}
	return []byte(strings.Join(parts, "---\n"))
}
