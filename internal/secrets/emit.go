package secrets

import (
	"bytes"

	"github.com/getsops/sops/v3"
	"github.com/getsops/sops/v3/stores"
	"go.yaml.in/yaml/v2"
)

// emit writes an encrypted file as sops does, with its metadata behind everything else. The YAML library that sops
// itself writes with loses a tab that begins a text of several lines: the file wouldn't be what was encrypted.
//
// The tree is one of manifests that manifest.Encode wrote, so it has no comments.
func emit(tree sops.Tree) ([]byte, error) {
	branches, err := stores.SerializeMetadata(tree, stores.MetadataOpts{Flatten: stores.MetadataFlattenNone})
	if err != nil {
		return nil, err
	}
	var documents [][]byte
	for _, branch := range branches {
		document, err := yaml.Marshal(inOrder(branch))
		if err != nil {
			return nil, err
		}
		documents = append(documents, document)
	}
	return bytes.Join(documents, []byte("---\n")), nil
}

// inOrder is a value in the form in which the YAML library keeps the order of keys.
func inOrder(value any) any {
	switch v := value.(type) {
	case sops.TreeBranch:
		fields := make(yaml.MapSlice, len(v))
		for i, item := range v {
			fields[i] = yaml.MapItem{Key: item.Key, Value: inOrder(item.Value)}
		}
		return fields
	case []any:
		items := make([]any, len(v))
		for i, item := range v {
			items[i] = inOrder(item)
		}
		return items
	}
	return value
}
