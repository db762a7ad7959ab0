package activities

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

func TestFailuresAreOneLineThatFitsAPayload(t *testing.T) {
	require.Equal(t, "spec.a: Required value spec.b: Required value", brief("spec.a: Required value\n\tspec.b: Required value\n"))
	long := brief(strings.Repeat("ü", 100_000))
	require.LessOrEqual(t, len(long), maxMessage+len("…"))
	require.True(t, utf8.ValidString(long))
	require.True(t, strings.HasSuffix(long, "…"))
}
