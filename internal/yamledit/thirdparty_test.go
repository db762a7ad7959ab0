package yamledit

import (
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
)

// In the files that other projects publish, each object gets a field changed, one taken out, and one added. Git
// shows no line but that of the field.
func TestEditOfPublishedManifestsShowsInTheFieldsLinesOnly(t *testing.T) {
	modules, err := stacktest.ThirdParty(t.Context())
	require.NoError(t, err)
	objects := 0
	for _, dir := range modules {
		require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			const largest = 100 << 10 // it is about the ways of writing, of which no larger file has others
			if err != nil || entry.IsDir() || filepath.Ext(path) != ".yaml" {
				return err
			}
			if info, err := entry.Info(); err != nil || info.Size() > largest {
				return err
			}
			file, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			documents, problems := manifest.Decode("", file)
			if len(problems) > 0 {
				return nil // templates, values of charts
			}
			for i, d := range documents {
				objects++
				if problem := editPublished(file, i, d.Object); problem != "" {
					t.Errorf("%s: object %d: %s", path[len(dir):], i, problem)
				}
			}
			return nil
		}))
	}
	require.Greater(t, objects, 250)
}

// editPublished says what is wrong with the edits of an object.
func editPublished(file []byte, index int, object map[string]any) string {
	leaves := shortLeaves(object, nil)
	if len(leaves) == 0 {
		return ""
	}
	for _, path := range [][]string{leaves[0], leaves[len(leaves)/2], leaves[len(leaves)-1]} {
		changed := withLeaf(object, path, func(value any) any {
			switch v := value.(type) {
			case int64:
				return v + 1
			case bool:
				return !v
			}
			return "another"
		})
		if problem := editedLines(file, index, changed, 1, 1); problem != "" {
			return fmt.Sprintf("changed %v: %s", path, problem)
		}
	}
	path := leaves[len(leaves)*2/3]
	if strings.HasPrefix(strings.Join(path, "."), "metadata.name") {
		return ""
	}
	if parent := at(object, path[:len(path)-1]); len(parent.(map[string]any)) > 1 {
		if problem := editedLines(file, index, withLeaf(object, path, nil), 1, 0); problem != "" {
			return fmt.Sprintf("removed %v: %s", path, problem)
		}
		added := withLeaf(object, append(slices.Clone(path[:len(path)-1]), "addedByTest"), func(any) any { return "on" })
		if problem := editedLines(file, index, added, 0, 1); problem != "" {
			return fmt.Sprintf("added beside %v: %s", path, problem)
		}
	}
	return ""
}

// editedLines edits, and says what is wrong: Git is to show so many lines taken out and put in. A comment goes
// with its line; in a flow map a field shares its line with others.
func editedLines(file []byte, index int, want map[string]any, removed, added int) string {
	got, err := Edit(file, index, want)
	if err != nil {
		return err.Error()
	}
	if problem := notAsWanted(file, got, index, want); problem != "" {
		return problem
	}
	before, after := strings.SplitAfter(string(file), "\n"), strings.SplitAfter(string(got), "\n")
	for len(before) > 0 && len(after) > 0 && before[0] == after[0] {
		before, after = before[1:], after[1:]
	}
	for len(before) > 0 && len(after) > 0 && before[len(before)-1] == after[len(after)-1] {
		before, after = before[:len(before)-1], after[:len(after)-1]
	}
	before = slices.DeleteFunc(before, func(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), "#") })
	inFlow := len(before) == 1 && len(after) == 1 && strings.ContainsAny(before[0], "{[")
	if (len(before) != removed || len(after) != added) && !inFlow {
		return fmt.Sprintf("the lines\n%sbecame\n%s", strings.Join(before, ""), strings.Join(after, ""))
	}
	return ""
}

// shortLeaves are the ways to values of a line, but for what makes an object the one that it is.
func shortLeaves(object map[string]any, path []string) [][]string {
	var all [][]string
	for _, key := range slices.Sorted(maps.Keys(object)) {
		below := append(slices.Clone(path), key)
		if name := strings.Join(below, "."); name == "apiVersion" || name == "kind" && len(path) == 0 {
			continue
		}
		switch v := object[key].(type) {
		case map[string]any:
			all = append(all, shortLeaves(v, below)...)
		case string:
			if v != "" && len(v) < 40 && !strings.Contains(v, "\n") {
				all = append(all, below)
			}
		case bool, int64:
			all = append(all, below)
		}
	}
	return all
}

func at(value any, path []string) any {
	for _, key := range path {
		value = value.(map[string]any)[key]
	}
	return value
}

// withLeaf is the object with a value changed, or without it.
func withLeaf(object map[string]any, path []string, change func(any) any) map[string]any {
	out := maps.Clone(object)
	switch key := path[0]; {
	case len(path) > 1:
		out[key] = withLeaf(object[key].(map[string]any), path[1:], change)
	case change == nil:
		delete(out, key)
	default:
		out[key] = change(object[key])
	}
	return out
}
