package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTokenIsOneLine(t *testing.T) {
	for _, test := range []struct{ name, text, want, problem string }{
		{"as it is", "ghp_abc", "ghp_abc", ""},
		{"with a newline", "ghp_abc\n", "ghp_abc", ""},
		{"with a newline of Windows", "ghp_abc\r\n", "ghp_abc", ""},
		{"nothing", "", "", "empty"},
		{"only a newline", "\n", "", "empty"},
		{"two lines", "ghp_abc\nghp_def\n", "", "single line"},
		{"an empty line after it", "ghp_abc\n\n", "", "single line"},
		{"spaces", "ghp abc", "", "spaces"},
		{"a byte order mark", "\ufeffghp_abc", "", "unprintable"},
		{"a whole file", strings.Repeat("x", maxToken+1), "", "single line"},
	} {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "token")
			require.NoError(t, os.WriteFile(file, []byte(test.text), 0o600))
			fromFile, fileErr := readToken(context.Background(), newTerminal(nil, nil, nil), file, false)
			fromStdin, stdinErr := readToken(context.Background(), newTerminal(strings.NewReader(test.text), nil, nil), "", true)
			require.Equal(t, fileErr, stdinErr)
			if test.problem != "" {
				require.ErrorContains(t, fileErr, test.problem)
				require.NotContains(t, fileErr.Error(), "ghp")
				return
			}
			require.NoError(t, fileErr)
			require.Equal(t, test.want, fromFile)
			require.Equal(t, test.want, fromStdin)
		})
	}
}

func TestTokenIsOnlyReadWhenAskedFor(t *testing.T) {
	token, err := readToken(context.Background(), newTerminal(strings.NewReader("ghp_abc"), nil, nil), "", false)
	require.NoError(t, err)
	require.Empty(t, token)
}

func TestTokenFromStdinEndsWithTheContext(t *testing.T) {
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	defer writer.Close()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err = readToken(ctx, newTerminal(reader, nil, nil), "", true)
	require.Error(t, err)
}

func TestCertificatesMustBePEM(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ca.crt")
	require.NoError(t, os.WriteFile(file, []byte("no certificate"), 0o600))
	_, err := readCA(file)
	require.ErrorContains(t, err, "BEGIN CERTIFICATE")
	_, err = readCA(file + ".missing")
	require.ErrorContains(t, err, "no such file")
}
