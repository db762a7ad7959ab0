package manifest

import (
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestWhatIsReadAsCanonicalIsWhatTheParserReads(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text, err := Encode(map[string]any{"key": anyTexts(4).Draw(t, "value"), anyText().Draw(t, "key"): "x"})
		if err != nil {
			t.Fatal(err)
		}
		// What people make of it isn't canonical any more, or says something else.
		if at := rapid.IntRange(-len(text), len(text)-1).Draw(t, "at"); at >= 0 {
			put := rapid.SampledFrom([]string{" ", "\n", "- ", "'", `"`, ":", ": ", "#", "x", "  ", "\n\n", "&a ", "|", "~"}).Draw(t, "put")
			text = []byte(string(text[:at]) + put + string(text[at+rapid.IntRange(0, 1).Draw(t, "instead"):]))
		}
		readAlike(t, text)
	})
}

// readAlike reports whether the text was read as canonical at all.
func readAlike(t failing, text []byte) bool {
	got, ok := readCanonical(text)
	if !ok {
		return false
	}
	values, err := part{text: text, line: 1}.parseYAML(true)
	if err != nil || len(values) != 1 || !reflect.DeepEqual(values[0].value, any(got)) {
		t.Fatalf("%q is read as %#v instead of %#v, %v", text, got, values, err)
	}
	return true
}

func FuzzWhatIsReadAsCanonicalIsWhatTheParserReads(f *testing.F) {
	f.Add([]byte("a:\n  b:\n  - 1\n  - 'x: y'\n  - c: |\n      two\n      lines\nd: \"0x1\"\n"))
	f.Fuzz(func(t *testing.T, text []byte) { readAlike(t, text) })
}

func TestUsualFilesAreReadAsCanonical(t *testing.T) {
	for file, text := range storedFiles(t) {
		require.True(t, readAlike(t, text), file)
	}
}

func TestWhatIsNestedDeeplyIsLeftToTheParser(t *testing.T) {
	for _, text := range []string{
		"a:\n" + strings.Repeat("- ", 1<<20) + "x\n",
		strings.Repeat("- ", 1<<20),
	} {
		_, ok := readCanonical([]byte(text))
		require.False(t, ok)
	}
}

// What is remembered of an object must not keep its whole file in memory.
func TestTextsOfACanonicalFileAreCopies(t *testing.T) {
	text := "a: name\nb: 'it''s'\nc: ' '\nd: \"1\"\n\"1\": {}\n"
	object, ok := (&reader{rest: text}).mapping(0)
	require.True(t, ok)
	within := func(part string) bool {
		begin, at := uintptr(unsafe.Pointer(unsafe.StringData(text))), uintptr(unsafe.Pointer(unsafe.StringData(part)))
		return at >= begin && at < begin+uintptr(len(text))
	}
	require.True(t, within(text[2:4]))
	require.Len(t, object, 5)
	for key, value := range object {
		require.False(t, within(key), key)
		if text, ok := value.(string); ok {
			require.False(t, within(text), key)
		}
	}
}
