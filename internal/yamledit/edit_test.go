package yamledit

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
)

// Each file of testdata/edit tells a case: the file before, the object as it is wanted, the file after. The
// object that is edited is the one of the same identity, whatever its number.
func TestEditTouchesOnlyWhatDiffers(t *testing.T) {
	files, err := filepath.Glob("testdata/edit/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, c := range cases(string(text)) {
			t.Run(strings.TrimSuffix(filepath.Base(file), ".txt")+"/"+c.name, func(t *testing.T) {
				for _, as := range []func(string) string{
					func(text string) string { return text },
					func(text string) string { return strings.ReplaceAll(text, "\n", "\r\n") },
					func(text string) string { return "\ufeff" + text },
					func(text string) string { return strings.TrimSuffix(text, "\n") },
				} {
					before, after := as(c.before), as(c.after)
					wanted, problems := manifest.Decode("", []byte(c.want))
					require.Empty(t, problems)
					require.Len(t, wanted, 1)
					got, err := Edit([]byte(before), indexOf(t, before, wanted[0].Object), wanted[0].Object)
					require.NoError(t, err)
					require.Equal(t, after, string(got))
				}
			})
		}
	}
}

type editCase struct{ name, before, want, after string }

// cases are written as "=== name", the file, "=== want", the object, "=== after", the file.
func cases(text string) []editCase {
	var all []editCase
	sections := strings.Split(text, "\n=== ")
	sections[0] = strings.TrimPrefix(sections[0], "=== ")
	for i := 0; i+2 < len(sections); i += 3 {
		name, before, _ := strings.Cut(sections[i], "\n")
		_, want, _ := strings.Cut(sections[i+1], "\n")
		_, after, _ := strings.Cut(sections[i+2], "\n")
		end := "\n"
		if i+3 >= len(sections) {
			end = ""
		}
		all = append(all, editCase{name, before + "\n", want + "\n", after + end})
	}
	return all
}

func indexOf(t *testing.T, file string, object map[string]any) int {
	documents, _ := manifest.Decode("", []byte(file))
	for i, d := range documents {
		if manifest.IDOf(d.Object) == manifest.IDOf(object) {
			return i
		}
	}
	t.Fatalf("no %s in the file", manifest.IDOf(object))
	return 0
}

// BenchmarkEdit changes one field in a document of 200 lines.
func BenchmarkEdit(b *testing.B) {
	var text bytes.Buffer
	text.WriteString("apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\nspec:\n  replicas: 3 # see the runbook\n  template:\n    spec:\n      containers:\n      - name: web\n        env:\n")
	for i := range 95 {
		fmt.Fprintf(&text, "        - name: VARIABLE_%d\n          value: \"%d\"\n", i, i)
	}
	documents, problems := manifest.Decode("", text.Bytes())
	require.Empty(b, problems)
	want := documents[0].Object
	want["spec"].(map[string]any)["replicas"] = int64(5)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Edit(text.Bytes(), 0, want); err != nil {
			b.Fatal(err)
		}
	}
}
