package main

import (
	"cmp"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/urfave/cli/v2"
)

// starterCall is a call of starter in a code block or in a code span, up to where the shell ends the command.
var starterCall = regexp.MustCompile("(?m)(?:^|[`|&;] ?| )(?:bin/)?starter ([a-z][a-z-]+(?:[^`\n|&;#]|\\\\\n)*)")

// pages are the texts of the project's documents, by path.
func pages(t *testing.T) map[string]string {
	t.Helper()
	texts := map[string]string{}
	require.NoError(t, filepath.WalkDir("..", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() && strings.HasPrefix(entry.Name(), ".") && entry.Name() != ".." {
			return cmp.Or(err, fs.SkipDir)
		}
		if filepath.Ext(path) != ".md" {
			return nil
		}
		text, err := os.ReadFile(path)
		texts[path] = string(text)
		return err
	}))
	return texts
}

func TestTheDocumentsCallCommandsAndFlagsThatThereAre(t *testing.T) {
	commands := map[string]*cli.Command{}
	for _, c := range newApp(newTerminal(strings.NewReader(""), io.Discard, io.Discard)).Commands {
		commands[c.Name] = c
	}
	calls := 0
	for path, text := range pages(t) {
		for _, found := range starterCall.FindAllStringSubmatch(text, -1) {
			calls++
			words := strings.Fields(strings.ReplaceAll(found[1], "\\\n", " "))
			c := commands[words[0]]
			require.NotNil(t, c, "%s: starter %s", path, found[1])
			for _, word := range words[1:] {
				if flag := strings.TrimLeft(word, "-"); strings.HasPrefix(word, "-") && flag != "" {
					name, _, _ := strings.Cut(strings.TrimRight(flag, ".,:)…"), "=")
					require.True(t, takes(c, name), "%s: starter %s has no --%s", path, c.Name, name)
				}
			}
		}
	}
	require.Greater(t, calls, 50)
}

var link = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)

func TestTheDocumentsLinkToWhatThereIs(t *testing.T) {
	links := 0
	for path, text := range pages(t) {
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			links++
			_, err := os.Stat(filepath.Join(filepath.Dir(path), found[1]))
			require.NoError(t, err, "in %s", path)
		}
	}
	require.Greater(t, links, 20)
}

func takes(c *cli.Command, flag string) bool {
	return slices.ContainsFunc(c.Flags, func(f cli.Flag) bool { return slices.Contains(f.Names(), flag) })
}
