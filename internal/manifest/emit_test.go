package manifest

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
	kjson "sigs.k8s.io/json"
)

// anyText is what is likely to make a difference to how a text is written.
func anyText() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`[a-zA-Z0-9 ._:/#'"{}\[\],&*!|>%@?+=~-]{0,12}`),
		rapid.StringMatching(`[+-]?[0-9._:eExobTZ -]{0,12}`),
		rapid.StringMatching("[a-z '#:\n-]{0,16}"),
		rapid.StringMatching("[a-z0-9 \n\t\r'\"\\\\]{0,300}"),
		rapid.StringMatching("(([a-z]{1,9}|[0-9.:'#]{1,3})  ?){10,60}[a-z]?"),
		rapid.SampledFrom(append(append([]string{"<<", "=", "---", "...", "-", "?", ":", "2026-01-01", "2026-1-2T03:04:05Z", "12:30:00", "1_000", "0b11", "+.5"}, words...), infinities...)),
		rapid.String(),
	)
}

func anyTexts(depth int) *rapid.Generator[any] {
	leaves := []*rapid.Generator[any]{rapid.Map(anyText(), func(v string) any { return v }), anyValue(0)}
	if depth > 0 {
		leaves = append(leaves,
			rapid.Map(rapid.MapOfN(anyText(), anyTexts(depth-1), 0, 4), func(v map[string]any) any { return v }),
			rapid.Map(rapid.SliceOfN(anyTexts(depth-1), 0, 4), func(v []any) any { return v }),
		)
	}
	return rapid.OneOf(leaves...)
}

func TestTheEmitterWritesWhatTheLibraryDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		writtenAlike(t, map[string]any{anyText().Draw(t, "key"): anyTexts(4).Draw(t, "value")})
	})
}

// failing is a test, or a property of rapid.
type failing interface {
	Fatalf(format string, args ...any)
}

// writtenAlike reports whether the emitter wrote the object at all.
func writtenAlike(t failing, object map[string]any) bool {
	got, ok := emit(object)
	want, err := encodeByLibrary(object)
	if ok && (err != nil || !bytes.Equal(got, want)) {
		t.Fatalf("%q instead of %q, %v", got, want, err)
	}
	return ok
}

func FuzzTheEmitterWritesWhatTheLibraryDoes(f *testing.F) {
	f.Add([]byte(`{"a": {"b": [1, "x: y", [{"c": "two\nlines\n"}]]}, "d": "0x1"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var object map[string]any
		if kjson.UnmarshalCaseSensitivePreserveInts(text, &object) == nil {
			writtenAlike(t, object)
		}
	})
}

// storedFiles are what of objects of a real API server is stored in Git.
func storedFiles(t *testing.T) map[string][]byte {
	t.Helper()
	names, err := filepath.Glob("testdata/server/*.git.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, names)
	files := map[string][]byte{}
	for _, name := range names {
		files[name], err = os.ReadFile(name)
		require.NoError(t, err)
	}
	return files
}

// unusualTexts are such as configuration has in it now and then.
func unusualTexts() map[string]any {
	long := strings.Repeat("It's a description of some length.  It goes on: and on, for a reason. ", 4)
	return map[string]any{
		"long": long + "x", "items": []any{long + "x", map[string]any{"in quotes": long, "in others": strings.ReplaceAll(long, "'", "\"") + "\t."}},
		"Windows":        "[server]\r\npath = C:\\temp\r\n",
		"trailing space": "level = info \nqueue  \n\n" + long + "\n",
		"tabs":           "all:\n\tmake \"it\"\n",
	}
}

func TestLongLinesAndEscapesAreWrittenAndReadWithoutTheLibrary(t *testing.T) {
	require.True(t, writtenAlike(t, unusualTexts()))
	text, err := Encode(unusualTexts())
	require.NoError(t, err)
	require.True(t, readAlike(t, text))
	require.Contains(t, string(text), "\n  ")
}

// What isn't written by the emitter is written all the same; but it is there for most objects.
func TestTheEmitterWritesUsualObjects(t *testing.T) {
	for file, text := range storedFiles(t) {
		documents, _ := Decode(file, text)
		for _, d := range documents {
			require.True(t, writtenAlike(t, d.Object), "%s: %v", file, d.Object)
		}
	}
}
