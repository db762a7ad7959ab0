package terms_test

import (
	"fmt"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/stretchr/testify/require"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/terms"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

var (
	oslo   = manifest.Member{Cluster: "oslo", UID: "uid-o"}
	berlin = manifest.Member{Cluster: "berlin", UID: "uid-b"}
	bergen = manifest.Member{Cluster: "bergen", UID: "uid-o"} // the name that oslo had before
)

func pushed(by manifest.Member) string {
	return string(manifest.Marker{Layout: manifest.MarkerLayout, Cluster: by.Cluster, UID: by.UID}.Encode())
}

func shared(members ...manifest.Member) string { return string(marker(members...).Encode()) }

func marker(members ...manifest.Member) (m manifest.Marker) {
	for _, member := range members {
		m = m.With(member)
	}
	return m
}

// enrolment is that of oslo.
func enrolment(path string) workflows.Config {
	return workflows.Config{Cluster: oslo.Cluster, ClusterUID: oslo.UID, Repository: "https://git.example/a.git", Branch: "main", Path: path}
}

const object = "kind: ConfigMap\n"

func TestPushWritesOnlyWhereNobodyElseDoes(t *testing.T) {
	for name, test := range map[string]struct {
		files  map[string]string
		reason string
		says   string
	}{
		"a README":           {files: map[string]string{"README.md": "hello\n"}},
		"its own":            {files: map[string]string{manifest.MarkerFile: pushed(oslo), "a.yaml": object}},
		"its own, renamed":   {files: map[string]string{manifest.MarkerFile: pushed(bergen), "a.yaml": object}},
		"its own, push-pull": {files: map[string]string{manifest.MarkerFile: shared(oslo), "a.yaml": object}},
		"content": {map[string]string{"a.yaml": object, "b.yaml": object, "c.yaml": object, "d.yaml": object}, workflows.RepositoryNotEmpty,
			"branch main of https://git.example/a.git, path ., already holds a.yaml, b.yaml, c.yaml and more: the first push needs an empty place"},
		"another's": {map[string]string{manifest.MarkerFile: pushed(berlin), "a.yaml": object}, workflows.PathOwned,
			`path . of branch main belongs to cluster "berlin" (UID uid-b): push to another branch or --path`},
		"shared": {map[string]string{manifest.MarkerFile: shared(oslo, berlin), "a.yaml": object}, workflows.PathOwned,
			`is shared by push-pull with "berlin", and a push would overwrite what they store: set push-pull again, push to another branch or --path, or take those that don't sync there any more out of .cluster-sync.yaml`},
		"shared by others": {map[string]string{manifest.MarkerFile: shared(berlin)}, workflows.PathOwned, `shared by push-pull with "berlin"`},
		"marker damaged":   {map[string]string{manifest.MarkerFile: "layout: ["}, workflows.PathOwned, "can't be relied on (it is no YAML"},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOrigin(t)
			tip := o.commit(test.files)
			err := terms.MayPush(t.Context(), o.fetched("", tip), enrolment("."), tip, plumbing.ZeroHash)
			refused(t, err, test.reason, test.says)
		})
	}
}

// refused checks that an error is this refusal, or none where there is no reason.
func refused(t *testing.T, err error, reason, says string) {
	t.Helper()
	if reason == "" {
		require.NoError(t, err)
		return
	}
	var refusal *terms.Refusal
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, reason, refusal.Reason)
	require.Contains(t, refusal.Message, says)
}

func TestPushPullSharesAPlaceOnlyWithConsent(t *testing.T) {
	manifests := map[string]string{}
	for i := range 5 {
		manifests[fmt.Sprintf("apps/%d.yaml", i)] = object
	}
	for name, test := range map[string]struct {
		files  map[string]string
		path   string
		adopt  workflows.AdoptPolicy
		begins terms.Beginning
		with   []manifest.Member
		reason string
		says   string
	}{
		"a README":                 {files: map[string]string{"README.md": "hello\n"}, begins: terms.Fills, with: []manifest.Member{oslo}},
		"another path":             {files: manifests, path: "clusters/oslo", begins: terms.Fills, with: []manifest.Member{oslo}},
		"a README, and an adopt":   {files: map[string]string{"README.md": "hello\n"}, adopt: workflows.AdoptGit, begins: terms.Fills, with: []manifest.Member{oslo}},
		"its own":                  {files: map[string]string{manifest.MarkerFile: shared(oslo), "a.yaml": object}, begins: terms.Resumes, with: []manifest.Member{oslo}},
		"its own, renamed":         {files: map[string]string{manifest.MarkerFile: shared(bergen, berlin), "a.yaml": object}, begins: terms.Resumes, with: []manifest.Member{berlin, oslo}},
		"its own push":             {files: map[string]string{manifest.MarkerFile: pushed(oslo), "a.yaml": object}, begins: terms.Resumes, with: []manifest.Member{oslo}},
		"its own, and an adopt":    {files: map[string]string{manifest.MarkerFile: shared(oslo), "a.yaml": object}, adopt: workflows.AdoptGit, begins: terms.Resumes, with: []manifest.Member{oslo}},
		"a mesh of others, adopt":  {files: map[string]string{manifest.MarkerFile: shared(berlin), "a.yaml": object}, adopt: workflows.AdoptCluster, begins: terms.Joins, with: []manifest.Member{berlin, oslo}},
		"people's content, adopt":  {files: manifests, adopt: workflows.AdoptGit, begins: terms.Joins, with: []manifest.Member{oslo}},
		"another's push":           {files: map[string]string{manifest.MarkerFile: pushed(berlin), "a.yaml": object}, reason: workflows.PathOwned, says: `cluster "berlin" pushes to path . of branch main and would overwrite what is changed there: set that one to push-pull or, if it won't come back, delete .cluster-sync.yaml there by a commit; or use another branch or --path`},
		"another's push, an adopt": {files: map[string]string{manifest.MarkerFile: pushed(berlin)}, adopt: workflows.AdoptGit, reason: workflows.PathOwned, says: "pushes to path"},
		"marker damaged":           {files: map[string]string{manifest.MarkerFile: "layout: 2\ncluster: a\nuid: uid-o\n"}, adopt: workflows.AdoptGit, reason: workflows.PathOwned, says: "upgrade the worker"},
		"people's content": {files: manifests, reason: workflows.AdoptionRequired,
			says: "branch main of https://git.example/a.git, path ., holds 5 manifests (apps/0.yaml, apps/1.yaml, apps/2.yaml and more), which this cluster has not agreed with yet; nothing was written. Say whose objects win where both hold one and differ: `starter set-strategy oslo push-pull --adopt git`, or `--adopt cluster`"},
		"a path with content": {files: map[string]string{"clusters/oslo/a.yaml": object}, path: "clusters/oslo", reason: workflows.AdoptionRequired,
			says: "path clusters/oslo, holds a.yaml, which"},
		"no manifests":                     {files: map[string]string{"main.go": "package main\n"}, reason: workflows.AdoptionRequired, says: "path ., holds main.go, which"},
		"a mesh of others":                 {files: map[string]string{manifest.MarkerFile: shared(berlin), "a.yaml": object}, reason: workflows.AdoptionRequired, says: `path ., is shared by "berlin" and holds a.yaml, which`},
		"a mesh of others without objects": {files: map[string]string{manifest.MarkerFile: shared(berlin)}, reason: workflows.AdoptionRequired, says: `is shared by "berlin" and holds .cluster-sync.yaml`},
	} {
		t.Run(name, func(t *testing.T) {
			o := newOrigin(t)
			tip := o.commit(test.files)
			config := enrolment(test.path)
			if test.path == "" {
				config.Path = workflows.DefaultPath
			}
			config.Strategy, config.Adopt = workflows.PushPull, test.adopt
			place, err := terms.MayMerge(t.Context(), o.fetched(test.path, tip), config, tip, plumbing.ZeroHash)
			refused(t, err, test.reason, test.says)
			if test.reason != "" {
				require.Zero(t, place)
				return
			}
			require.Equal(t, test.begins, place.Beginning)
			require.Equal(t, marker(test.with...), place.Marker)
			// What it then finds there is its own.
			tip = o.commit(map[string]string{test.path + "/" + manifest.MarkerFile: string(place.Marker.Encode())})
			again, err := terms.MayMerge(t.Context(), o.fetched(test.path, tip), config, tip, plumbing.ZeroHash)
			require.NoError(t, err)
			require.Equal(t, terms.Place{Beginning: terms.Resumes, Before: place.Marker, Marker: place.Marker}, again)
		})
	}
}

func TestPushPullFillsABranchThatDoesNotExist(t *testing.T) {
	place, err := terms.MayMerge(t.Context(), newOrigin(t).fetched("", plumbing.ZeroHash), enrolment("."), plumbing.ZeroHash, plumbing.ZeroHash)
	require.NoError(t, err)
	require.Equal(t, terms.Place{Beginning: terms.Fills, Marker: marker(oslo)}, place)
}

func TestAnEarlierAgreementIsConsentAsLongAsTheHistoryGoesOn(t *testing.T) {
	o := newOrigin(t)
	base := o.commit(map[string]string{"a.yaml": object})
	for _, tip := range []plumbing.Hash{base, o.commit(map[string]string{"b.yaml": object})} {
		place, err := terms.MayMerge(t.Context(), o.fetched("", tip), enrolment("."), tip, base)
		require.NoError(t, err)
		require.Equal(t, terms.Place{Beginning: terms.Resumes, Marker: marker(oslo)}, place)
	}
	// It is no consent to what a push will overwrite again.
	tip := o.commit(map[string]string{manifest.MarkerFile: pushed(berlin)})
	_, err := terms.MayMerge(t.Context(), o.fetched("", tip), enrolment("."), tip, base)
	refused(t, err, workflows.PathOwned, "pushes to path")
	// Nor to another history.
	o.unrelated()
	o.git("rm", "--quiet", "--cached", manifest.MarkerFile)
	o.git("clean", "--quiet", "--force")
	tip = o.commit(nil)
	_, err = terms.MayMerge(t.Context(), o.fetched("", tip), enrolment("."), tip, base)
	refused(t, err, workflows.AdoptionRequired, "holds 2 manifests (a.yaml, b.yaml)")
}
