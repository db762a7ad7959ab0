package e2e

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/active-cluster-sync/active-cluster-sync/internal/preview"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// diff runs `starter diff -o json`. No value of a Secret is in what it prints, in no form.
func diff(t *testing.T, name string, on *cluster, more ...string) preview.Preview {
	t.Helper()
	out, errs, exit := starter(t, diffArgs(name, on, append(more, "-o", "json")...)...)
	require.Zero(t, exit, errs)
	withoutSecrets(t, out+errs)
	var p preview.Preview
	require.NoError(t, json.Unmarshal([]byte(out), &p), out)
	return p
}

func diffArgs(name string, on *cluster, more ...string) []string {
	return append([]string{"diff", name, "--kubeconfig", stack.Env["KUBECONFIG"], "--context", on.context}, more...)
}

func withoutSecrets(t *testing.T, text string) {
	t.Helper()
	for _, value := range []string{shown, shownLater} {
		require.NotContains(t, text, value)
		require.NotContains(t, text, base64.StdEncoding.EncodeToString([]byte(value)))
	}
}

// told is what a preview says of an object.
func told(t *testing.T, p preview.Preview, object string) preview.Change {
	t.Helper()
	for _, c := range p.Changes {
		if c.Object == object {
			return c
		}
	}
	text, _ := json.MarshalIndent(p, "", "  ")
	require.Fail(t, "nothing is said of "+object, string(text))
	return preview.Change{}
}

// becomesEmpty syncs until there is nothing to do any more: a watch may tell of the last edit a moment later.
func becomesEmpty(t *testing.T, name string, on *cluster) {
	t.Helper()
	var last string
	eventually(t, func() bool {
		_, errs, exit := starter(t, "sync", name, "--wait")
		out, more, differs := starter(t, diffArgs(name, on, "--exit-code")...)
		last = errs + out + more
		return exit == 0 && differs == 0 && strings.Contains(out, "nothing to do")
	}, func() string { return last })
}

// What must not be seen in a preview. Secrets of other tests have other values, which those look for everywhere.
const (
	shown      = "otter-behind-the-mill"
	shownLater = "badger-below-the-weir"
)

func TestDiffOfAPullSaysWhatWouldBeDoneAndWhy(t *testing.T) {
	standby, repo := clusters["standby"], newRepo(t)
	dropAfter(t, standby, "diff-a")
	first := edit(t, repo, "app", func(dir string) {
		write(t, dir, "ns.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: diff-a}\n")
		for _, name := range []string{"edited", "missing", "changed", "both", "gone"} {
			write(t, dir, name+".yaml", "# by hand\n"+configMap("diff-a", name, "one"))
		}
		write(t, dir, "cart.yaml", strings.ReplaceAll(deployment, "NS", "diff-a"))
		write(t, dir, "db.yaml", opaque("diff-a", "db", shown))
	})
	startWorker(t, "previewed", standby, t.TempDir())
	enroll(t, "previewed", standby, repo, workflows.Pull, "--interval", "1h")
	reaches(t, "previewed", inSync)
	require.True(t, diff(t, "previewed", standby).Empty(), "what the API server fills in is no difference")

	change(t, standby, configMaps, "diff-a", "edited", setKey("by-hand"))
	change(t, standby, configMaps, "diff-a", "both", setKey("by-hand"))
	change(t, standby, deployments, "diff-a", "cart", func(o *unstructured.Unstructured) {
		require.NoError(t, unstructured.SetNestedField(o.Object, int64(7), "spec", "replicas"))
	})
	change(t, standby, secretsResource, "diff-a", "db", setPassword(shownLater))
	remove(t, standby, configMaps, "diff-a", "missing")
	second := edit(t, repo, "next", func(dir string) {
		write(t, dir, "changed.yaml", configMap("diff-a", "changed", "two"))
		write(t, dir, "both.yaml", configMap("diff-a", "both", "two"))
		write(t, dir, "fresh.yaml", configMap("diff-a", "fresh", "new"))
		write(t, dir, "broken.yaml", "a: [\n")
		write(t, dir, "bulbs.yaml", strings.NewReplacer("lamp", "bulb", "Lamp", "Bulb").Replace(crd)+
			"---\napiVersion: e2e.example.com/v1\nkind: Bulb\nmetadata: {name: porch, namespace: diff-a}\n")
		write(t, dir, "later.yaml", "apiVersion: v1\nkind: Namespace\nmetadata: {name: diff-later}\n---\n"+configMap("diff-later", "x", "y"))
		require.NoError(t, os.Remove(filepath.Join(dir, "gone.yaml")))
	})
	p := diff(t, "previewed", standby)
	require.Equal(t, second, p.Revision)
	require.Equal(t, first, p.Settled)
	for object, want := range map[string]struct {
		action preview.Action
		reason preview.Reason
		file   string
	}{
		"configmaps diff-a/edited":           {preview.Update, preview.EditedInCluster, "edited.yaml:2"},
		"configmaps diff-a/both":             {preview.Update, preview.ChangedOnBoth, "both.yaml:1"},
		"configmaps diff-a/changed":          {preview.Update, preview.ChangedInGit, "changed.yaml:1"},
		"configmaps diff-a/missing":          {preview.Create, preview.MissingInCluster, "missing.yaml:2"},
		"configmaps diff-a/fresh":            {preview.Create, preview.AddedInGit, "fresh.yaml:1"},
		"deployments.apps diff-a/cart":       {preview.Update, preview.EditedInCluster, "cart.yaml:2"},
		"secrets diff-a/db":                  {preview.Update, preview.EditedInCluster, "db.yaml:1"},
		"namespaces diff-later":              {preview.Create, preview.AddedInGit, "later.yaml:1"},
		"configmaps diff-later/x":            {preview.Create, preview.AddedInGit, "later.yaml:5"},
		"bulbs.e2e.example.com diff-a/porch": {preview.Create, preview.AddedInGit, "bulbs.yaml:19"},
	} {
		c := told(t, p, object)
		require.Equal(t, want.action, c.Action, c)
		require.Equal(t, want.reason, c.Reason, c)
		require.Equal(t, want.file, c.File)
		require.NotEmpty(t, c.Diff, object)
	}
	require.Contains(t, told(t, p, "configmaps diff-a/edited").Diff, "-  key: by-hand\n+  key: one\n")
	require.Contains(t, told(t, p, "deployments.apps diff-a/cart").Diff, "-  replicas: 7\n+  replicas: 2\n")
	require.Contains(t, told(t, p, "secrets diff-a/db").Diff, "-  password: '***'\n+  password: '*** (changed)'\n")
	require.True(t, told(t, p, "secrets diff-a/db").Masked)
	require.Equal(t, preview.Mistake, told(t, p, "broken.yaml").Reason)
	require.Equal(t, preview.Counts{Create: 6, Update: 5, Failed: p.Counts.Failed}, p.Counts, "deletions wait for the broken file")

	// Once the file can be read, the deletion is a fact.
	edit(t, repo, "mend", func(dir string) {
		for _, file := range []string{"broken.yaml", "bulbs.yaml", "later.yaml"} {
			require.NoError(t, os.Remove(filepath.Join(dir, file)))
		}
	})
	gone := told(t, diff(t, "previewed", standby), "configmaps diff-a/gone")
	require.Equal(t, preview.Delete, gone.Action)
	require.Equal(t, preview.GoneFromGit, gone.Reason)
	require.Equal(t, "gone.yaml:2", gone.File)
	require.Contains(t, gone.Message, first[:12])

	text, errs, exit := starter(t, diffArgs("previewed", standby, "--exit-code")...)
	require.Equal(t, 1, exit)
	require.Empty(t, strings.TrimSpace(errs))
	withoutSecrets(t, text)
	require.Contains(t, text, "update configmaps diff-a/edited (edited.yaml:2): edited in the cluster\n--- live/namespaces/diff-a/configmaps/edited.yaml\n")
	require.Contains(t, text, "previewed, pull, against revision "+git(t, repo, "rev-parse", "--short=12", "main")+": 2 to create, 5 to update, 1 to delete in the cluster\n")
	text, _, exit = starter(t, diffArgs("previewed", standby, "--stat")...)
	require.Zero(t, exit)
	require.Contains(t, text, "update secrets diff-a/db (db.yaml:1) +1 -1: edited in the cluster\n")
	require.NotContains(t, text, "@@")

	becomesEmpty(t, "previewed", standby)
	records := recordsOf(t, "previewed")
	require.GreaterOrEqual(t, len(records), 2)
	require.Equal(t, workflows.Pull, records[0].Direction)
	require.Positive(t, records[0].Duration.Duration)
	text, _, exit = starter(t, "history", "previewed", "--objects")
	require.Zero(t, exit)
	require.Contains(t, text, "RESULT")
	require.Contains(t, text, "  configmaps diff-a/missing\n")

	// An earlier revision, by the beginning of its hash.
	back := diff(t, "previewed", standby, "--against", first[:8])
	require.Equal(t, first, back.Revision)
	require.Equal(t, preview.ChangedInGit, told(t, back, "configmaps diff-a/changed").Reason)
	require.Contains(t, told(t, back, "configmaps diff-a/changed").Diff, "-  key: two\n+  key: one\n")
	require.Equal(t, preview.Create, told(t, back, "configmaps diff-a/gone").Action)
	fresh := told(t, back, "configmaps diff-a/fresh")
	require.Equal(t, preview.Withhold, fresh.Action, "a branch that is set back deletes nothing by itself")
	require.Contains(t, fresh.Message, "starter approve")
	_, errs, exit = starter(t, diffArgs("previewed", standby, "--against", "beefbeef")...)
	require.Equal(t, 1, exit)
	require.Contains(t, errs, "there is no revision beefbeef in the history of branch main")

	refused := diff(t, "previewed", standby, "--as", "push")
	require.Contains(t, refused.Refused, "the first push needs an empty place")
	require.Empty(t, refused.Changes)
	_, errs, exit = starter(t, diffArgs("previewed", clusters["primary"])...)
	require.Equal(t, 1, exit)
	require.Contains(t, errs, "is not the one that is enrolled as previewed")
}

func TestDiffOfAPushIsTheNextCommit(t *testing.T) {
	primary, repo := clusters["primary"], newRepo(t)
	newNamespace(t, primary, "diff-b")
	for _, name := range []string{"changed", "gone", "overwritten"} {
		create(t, primary, configMaps, configMap("diff-b", name, "one"))
	}
	create(t, primary, secretsResource, opaque("diff-b", "db", shown))
	create(t, primary, secretsResource, opaque("diff-b", "same", shown))
	startWorker(t, "stored", primary, t.TempDir())
	enroll(t, "stored", primary, repo, workflows.None, "--interval", "1h")
	out, _, exit := starter(t, diffArgs("stored", primary)...)
	require.Zero(t, exit)
	require.Contains(t, out, "the strategy is none, so nothing runs")
	initial := diff(t, "stored", primary, "--as", "push")
	require.Equal(t, preview.Create, told(t, initial, "configmaps diff-b/changed").Action)
	require.Empty(t, initial.Revision)

	_, errs, exit := starter(t, "set-strategy", "stored", "push")
	require.Zero(t, exit, errs)
	reaches(t, "stored", inSync)
	becomesEmpty(t, "stored", primary)

	change(t, primary, configMaps, "diff-b", "changed", setKey("two"))
	change(t, primary, secretsResource, "diff-b", "db", setPassword(shownLater))
	create(t, primary, configMaps, configMap("diff-b", "fresh", "new"))
	remove(t, primary, configMaps, "diff-b", "gone")
	edit(t, repo, "by hand", func(dir string) {
		write(t, dir, "namespaces/diff-b/configmaps/overwritten.yaml", "# mine\n"+configMap("diff-b", "overwritten", "by-hand"))
		write(t, dir, "somewhere/else.yaml", opaque("diff-b", "else", shown))
	})
	p := diff(t, "stored", primary)
	for object, want := range map[string]struct {
		action preview.Action
		reason preview.Reason
	}{
		"configmaps diff-b/changed":     {preview.Update, preview.EditedInCluster},
		"configmaps diff-b/fresh":       {preview.Create, preview.AddedInCluster},
		"configmaps diff-b/gone":        {preview.Delete, preview.GoneFromCluster},
		"configmaps diff-b/overwritten": {preview.Update, preview.ChangedInGit},
		"secrets diff-b/db":             {preview.Update, preview.EditedInCluster},
		"somewhere/else.yaml":           {preview.Delete, preview.AddedInGit},
	} {
		c := told(t, p, object)
		require.Equal(t, want.action, c.Action, c)
		require.Equal(t, want.reason, c.Reason, c)
		require.NotEmpty(t, c.Diff, object)
	}
	require.Len(t, p.Changes, 6, "a Secret that is the same keeps its file")
	require.Contains(t, told(t, p, "configmaps diff-b/changed").Diff, "-  key: one\n+  key: two\n")
	require.Contains(t, told(t, p, "secrets diff-b/db").Diff, "+  password: '*** (changed)'\n")
	require.Contains(t, told(t, p, "configmaps diff-b/overwritten").Diff, "-# mine\n")
	becomesEmpty(t, "stored", primary)
}

// recordsOf is what `starter history -o json` says.
func recordsOf(t *testing.T, name string) []workflows.Record {
	t.Helper()
	out, errs, exit := starter(t, "history", name, "-o", "json")
	require.Zero(t, exit, errs)
	var records []workflows.Record
	require.NoError(t, json.Unmarshal([]byte(out), &records))
	return records
}
