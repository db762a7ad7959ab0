package repo_test

import (
	"context"
	"errors"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/repo"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

func TestPreviewTellsWhatAPushWouldDo(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	first := o.commit(map[string]string{"same.yaml": "1\n", "gone.yaml": "2\n", "kept.yaml": "3\n", "changed.yaml": "4\n", "notes.md": "5\n"})
	front := o.front()
	r := o.open(by(front))
	require.NoError(t, r.Fetch(t.Context(), first))
	front.counted()

	p := manifests{"same.yaml": "1\n", "changed.yaml": "44\n", "new.yaml": "6\n"}.push(first)
	p.Keep = func(path string) bool { return path == "kept.yaml" }
	content := p.Content
	p.Content = func(context.Context, []tree.Change) (map[string][]byte, error) {
		return nil, errors.New("must not be asked")
	}
	previewed, err := r.Preview(t.Context(), p)
	require.NoError(t, err)
	require.Empty(t, front.counted(), "nothing is sent")
	require.ElementsMatch(t, []string{"-gone.yaml", "~changed.yaml", "+new.yaml"}, paths(previewed))

	p.Content = content
	require.Equal(t, o.push(r, p).Changes, previewed)
}

func TestFindResolvesAbbreviatedRevisions(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	var revisions []plumbing.Hash
	for _, content := range []string{"1\n", "2\n", "3\n"} {
		revisions = append(revisions, o.commit(map[string]string{"a.yaml": content}))
	}
	r := o.open()
	tip := revisions[2]
	require.NoError(t, r.Fetch(t.Context(), tip))
	for _, revision := range revisions {
		for _, digits := range []int{8, 20, 40} {
			found, err := r.Find(t.Context(), tip, revision.String()[:digits])
			require.NoError(t, err)
			require.Equal(t, revision, found)
		}
	}
	for _, unknown := range []string{"beefbeef", "abc", "main", ""} {
		_, err := r.Find(t.Context(), tip, unknown)
		require.ErrorIs(t, err, repo.ErrNoRevision, unknown)
	}
	_, err := r.Find(t.Context(), revisions[0], tip.String()[:12])
	require.ErrorIs(t, err, repo.ErrNoRevision, "it comes after the revision whose history is looked through")
}
