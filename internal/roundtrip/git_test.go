package roundtrip

import (
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/kube"
	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/plan"
	"github.com/active-cluster-sync/active-cluster-sync/internal/tree"
)

// git is what Git holds, by path.
type git map[string]file

// file is one with a single object.
type file struct {
	content string
	object  map[string]any
}

// tree is what the cluster holds, as a sync that ignores no namespace sees it.
func (s *side) tree(t *testing.T) tree.Tree {
	t.Helper()
	snapshot, err := s.index.Snapshot(t.Context(), nil)
	require.NoError(t, err)
	return ours(snapshot.Tree)
}

func ours(all tree.Tree) tree.Tree {
	return all.Edit(func(e *tree.Editor) {
		for path := range all.All() {
			if (manifest.Scope{}).Ignores(path) {
				e.Remove(path)
			}
		}
	})
}

// export returns the files once the cluster has come to rest.
func (s *side) export(t *testing.T) git {
	t.Helper()
	settled := s.rest(t)
	contents, err := s.index.Content(t.Context(), tree.Diff(tree.Tree{}, settled))
	require.NoError(t, err)
	files := git{}
	for path, content := range contents {
		documents, problems := manifest.Decode(path, content)
		require.Empty(t, problems)
		require.Len(t, documents, 1, path)
		files[path] = file{string(content), documents[0].Object}
	}
	require.Len(t, files, settled.Len(), "objects changed while they were read")
	return files
}

// awaitIndex waits until the index has heard of all that was done to the objects.
func (s *side) awaitIndex(t *testing.T, objects table) {
	t.Helper()
	for path, o := range objects {
		if leftOut(o) == manifest.ReasonUnwatched {
			continue
		}
		until(t, "the index knows "+path, func() bool {
			e, _ := s.index.Lookup(path)
			return e.ResourceVersion == at(s.get(t, o), "metadata", "resourceVersion")
		})
	}
}

// exportOf is export, after some time for what is on its way to the state of the other cluster.
func (s *side) exportOf(t *testing.T, other *side) git {
	t.Helper()
	for end := time.Now().Add(patience / 4); time.Now().Before(end) && s.tree(t).Hash() != other.tree(t).Hash(); {
		<-time.After(50 * time.Millisecond)
	}
	return s.export(t)
}

// rest waits until nothing that is exported has changed for a while.
func (s *side) rest(t *testing.T) tree.Tree {
	t.Helper()
	const still = 2 * time.Second
	last, since := s.tree(t), time.Now()
	until(t, "the cluster comes to rest", func() bool {
		if now := s.tree(t); now.Hash() != last.Hash() {
			last, since = now, time.Now()
		}
		return time.Since(since) > still
	})
	return last
}

// apply makes the cluster what Git says, in stages, and tries again what the cluster isn't ready for yet. It
// returns what became of each file at the last try.
func (s *side) apply(t *testing.T, files git) map[string]kube.Written {
	t.Helper()
	written := map[string]kube.Written{}
	left := slices.Sorted(maps.Keys(files))
	until(t, "everything is applied", func() bool {
		for stage := plan.Foundations; stage <= plan.Gates; stage++ {
			for _, w := range s.index.Apply(t.Context(), s.writes(t, files, left, stage), kube.ApplyOptions{}) {
				require.NotEqual(t, kube.Skipped, w.Action, "%s: %s", w.Path, w.Reason)
				written[w.Path] = w
			}
			if stage == plan.Foundations {
				s.awaitDefinitions(t, left)
			}
		}
		left = slices.DeleteFunc(left, func(path string) bool { return written[path].Err == nil })
		for _, path := range left {
			t.Logf("%s: %s", path, written[path].Err)
		}
		return len(left) == 0
	})
	return written
}

func (s *side) writes(t *testing.T, files git, paths []string, stage plan.Stage) []kube.Write {
	t.Helper()
	live := s.tree(t)
	scaled := files.scaled()
	var writes []kube.Write
	for _, path := range paths {
		if plan.StageOf(path) != stage {
			continue
		}
		obj := files[path].object
		w := kube.Write{Path: path, Resource: s.resource(t, obj), Object: obj, Scaled: scaled[manifest.IDOf(obj)]}
		w.Live, _ = live.Get(path)
		writes = append(writes, w)
	}
	return writes
}

// scaled is what the autoscalers in Git target.
func (g git) scaled() map[manifest.ID]bool {
	targets := map[manifest.ID]bool{}
	for _, f := range g {
		for _, id := range manifest.ScaleTargets(f.object) {
			targets[id] = true
		}
	}
	return targets
}

// awaitDefinitions waits until those among the objects are served.
func (s *side) awaitDefinitions(t *testing.T, paths []string) {
	t.Helper()
	var names []string
	for _, path := range paths {
		if l, _ := manifest.ParsePath(path); l.ResourceName() == "customresourcedefinitions.apiextensions.k8s.io" {
			names = append(names, l.Name)
		}
	}
	until(t, "definitions are served", func() bool {
		err := s.index.AwaitEstablished(t.Context(), names)
		if err != nil {
			t.Log(err)
		}
		return err == nil
	})
}

// requireSame tells the files that differ, and how.
func requireSame(t *testing.T, want, got git) {
	t.Helper()
	paths := maps.Clone(want)
	maps.Copy(paths, got)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		assert.Equal(t, want[path].content, got[path].content, path)
	}
	require.False(t, t.Failed(), "the trees differ")
}

// lost lists the places at which an object has what a person wrote, and its file hasn't. What the API server
// itself leaves out or writes in another way is not the file's matter.
func lost(written, live, file any, place string) []string {
	if fields, ok := written.(map[string]any); ok && len(fields) > 0 {
		var places []string
		for field, value := range fields {
			places = append(places, lost(value, at(live, field), at(file, field), place+"."+field)...)
		}
		return places
	}
	if items, ok := written.([]any); ok && len(items) > 0 {
		var places []string
		for i, item := range items {
			places = append(places, lost(item, at(live, i), at(file, i), place+"[]")...)
		}
		return places
	}
	if live != nil && reflect.DeepEqual(written, live) && !reflect.DeepEqual(file, live) {
		return []string{strings.TrimPrefix(place, ".")}
	}
	return nil
}
