package main

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/urfave/cli/v2"

	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
)

var update = flag.Bool("update", false, "write the pages in docs/reference anew")

// The pages of reference are made from the code. After a change of it: go test ./starter -run Reference -update
func TestReferencePagesAreThoseOfTheCode(t *testing.T) {
	status, err := statusReference()
	require.NoError(t, err)
	for name, page := range map[string]string{"cli.md": commandReference(newApp(newTerminal(nil, nil, nil))), "status.md": status} {
		file := filepath.Join(stacktest.Root(), "docs", "reference", name)
		if *update {
			require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
			require.NoError(t, os.WriteFile(file, []byte(page), 0o644)) //nolint:gosec // it is public
		}
		committed, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, page, string(committed), "docs/reference/%s is out of date: go test ./starter -run Reference -update", name)
	}
}

const generated = "<!-- Made by `go test ./starter -run Reference -update`; don't edit it. -->\n\n"

// commandReference is the page about all commands.
func commandReference(app *cli.App) string {
	var page strings.Builder
	page.WriteString("# Command line\n\n" + generated)
	page.WriteString(prose(app.Description))
	page.WriteString("\nResults go to standard output; progress, questions and errors to standard error. Colors are for terminals only, " +
		"and for none with `NO_COLOR`.\n\n| `-o json` and `-o yaml` of | |\n|---|---|\n" +
		"| `status`, and what changes an enrolment: `enroll`, `set-strategy`, `set-ignored-namespaces`, `sync`, `pause`, `resume`, `approve` | a [status](status.md); `status --watch -o json` writes one a line |\n" +
		"| `list` | a list of `{cluster, strategy, state, revision, status}`, where `status` is null when no worker has answered |\n" +
		"| `history` | a list of [records](status.md#record) |\n" +
		"| `diff`, `doctor` | as said there |\n\nFields may be added; none is renamed, removed or given another meaning.\n")
	for _, command := range app.Commands {
		fmt.Fprintf(&page, "\n## starter %s\n\n%s.\n\n```\n%s\n```\n\n%s", command.Name, sentence(command.Usage), command.UsageText, prose(command.Description))
		page.WriteString(flagTable(command.Flags))
	}
	return page.String()
}

func sentence(text string) string { return strings.ToUpper(text[:1]) + text[1:] }

// prose is a text of --help in Markdown: what is indented there is code.
func prose(text string) string {
	var page strings.Builder
	code := false
	for line := range strings.Lines(text + "\n") {
		indented, isCode := strings.CutPrefix(line, "  ")
		switch {
		case isCode && !code:
			page.WriteString("\n```sh\n")
		case !isCode && code:
			page.WriteString("```\n")
		}
		if code = isCode; code {
			page.WriteString(indented)
		} else {
			page.WriteString(markdown(line))
		}
	}
	if code {
		page.WriteString("```\n")
	}
	return page.String()
}

// markdown has nothing in it that Markdown would take for its own, but for code.
func markdown(text string) string {
	return strings.NewReplacer("*", `\*`, "<", "&lt;", "|", `\|`).Replace(text)
}

// named is the placeholder in a flag's description.
var named = regexp.MustCompile("`([^`]+)`")

func flagTable(flags []cli.Flag) string {
	if len(flags) == 0 {
		return ""
	}
	var table strings.Builder
	table.WriteString("\n| flag | |\n|---|---|\n")
	for _, f := range flags {
		described := f.(cli.DocGenerationFlag)
		var names []string
		for _, name := range f.Names() {
			names = append(names, dashed(name))
		}
		head, usage := strings.Join(names, ", "), described.GetUsage()
		if described.TakesValue() {
			value := "VALUE"
			if found := named.FindStringSubmatch(usage); found != nil {
				value = found[1]
			}
			head += " " + value
			if usual := described.GetValue(); usual != "" {
				usage += fmt.Sprintf(" (default: %s)", usual)
			}
		}
		fmt.Fprintf(&table, "| `%s` | %s |\n", head, markdown(named.ReplaceAllString(usage, "$1")))
	}
	return table.String()
}
