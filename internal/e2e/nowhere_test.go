package e2e

import (
	"encoding/base64"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/enums/v1"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// traces are all places that a sync leaves something in.
type traces struct {
	workers    []*worker
	enrolments []string
	repo       string
	dirs       []string // the workers' data directories
}

// nowhere makes sure that none of the texts is in a log, a history, a Git object or a file of the sync.
func nowhere(t *testing.T, at traces, texts ...string) {
	t.Helper()
	lacks := func(content, place string) {
		t.Helper()
		for _, text := range texts {
			require.False(t, strings.Contains(content, text), "%s is in %s", text, place)
		}
	}
	for _, w := range at.workers {
		lacks(w.log.String(), "a worker's log")
	}
	for _, name := range at.enrolments {
		events := historyOf(t, name)
		require.Greater(t, len(events), 10)
		for _, event := range events {
			lacks(event, "the history of "+name)
		}
	}
	lacks(git(t, at.repo, "log", "-p", "--all"), "the repository's commits")
	for _, dir := range append([]string{stack.Dir}, at.dirs...) {
		require.NoError(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			switch {
			case err != nil || strings.Contains(path, "/git/tokens/") || strings.Contains(path, "etcd"):
				return nil //nolint:nilerr // files come and go while the stack runs
			case entry.IsDir() && entry.Name() == "objects":
				lacks(gitObjects(t, filepath.Dir(path)), "a Git object of "+path)
			case entry.Type().IsRegular():
				if content, err := os.ReadFile(path); err == nil {
					lacks(string(content), path)
				}
			}
			return nil
		}))
	}
}

// gitObjects is the content of every object of a repository: on disk they are compressed.
func gitObjects(t *testing.T, dir string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "git", "--git-dir", dir, "cat-file", "--batch-all-objects", "--batch").Output()
	require.NoError(t, err)
	return string(out)
}

// historyOf is every event of a workflow as JSON, with its payloads decoded.
func historyOf(t *testing.T, name string) []string {
	t.Helper()
	var texts []string
	events := temporal.GetWorkflowHistory(t.Context(), workflows.WorkflowID(name), "", false, enums.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		require.NoError(t, err)
		text, err := protojson.Marshal(event)
		require.NoError(t, err)
		texts = append(texts, string(text)+strings.Join(payloads(text), "\n"))
	}
	return texts
}

var payloadData = regexp.MustCompile(`"data":\s*"([A-Za-z0-9+/=]+)"`)

// payloads decodes the payloads of an event.
func payloads(event []byte) []string {
	var texts []string
	for _, match := range payloadData.FindAllSubmatch(event, -1) {
		if text, err := base64.StdEncoding.DecodeString(string(match[1])); err == nil {
			texts = append(texts, string(text))
		}
	}
	return texts
}
