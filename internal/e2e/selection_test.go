package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

var jobs = schema.GroupVersionResource{Group: "batch", Version: "v1", Resource: "jobs"}

func TestUsersChooseWhatTakesPart(t *testing.T) {
	primary, standby, repo := clusters["primary"], clusters["standby"], newRepo(t)
	newNamespace(t, primary, "chosen")
	dropAfter(t, standby, "chosen")
	create(t, primary, jobs, `{apiVersion: batch/v1, kind: Job, metadata: {name: migrate, namespace: chosen}, spec: {suspend: true, template: {spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}}}`)
	create(t, primary, deployments, strings.ReplaceAll(deployment, "NS", "chosen"))
	for _, name := range []string{"settings", "tmp-a"} {
		create(t, primary, configMaps, configMap("chosen", name, "one"))
	}
	flags := []string{"--include-resource", "jobs.batch", "--exclude-resource", "deployments.apps", "--ignore-name", "configmaps/tmp-*", "--secrets", "exclude"}
	startWorker(t, "choosing", primary, t.TempDir())
	enroll(t, "choosing", primary, repo, workflows.Push, flags...)
	s := reaches(t, "choosing", inSync)
	require.Equal(t, 1, s.Excluded["ignored-by-name"])
	namespaced := func() (list []string) {
		for _, file := range files(t, repo) {
			if strings.HasPrefix(file, "namespaces/chosen/") {
				list = append(list, strings.TrimPrefix(file, "namespaces/chosen/"))
			}
		}
		return list
	}
	require.Equal(t, []string{"configmaps/settings.yaml", "jobs.batch/migrate.yaml"}, namespaced())

	// What a person takes out stays in Git as it was, and is not touched on the standby either.
	startWorker(t, "following", standby, t.TempDir())
	enroll(t, "following", standby, repo, workflows.Pull, flags...)
	reaches(t, "following", inSync)
	require.NotNil(t, get(t, standby, jobs, "chosen", "migrate"))
	change(t, primary, configMaps, "chosen", "settings", func(o *unstructured.Unstructured) {
		o.SetAnnotations(map[string]string{"active-cluster-sync.io/ignore": "true"})
		setKey("two")(o)
	})
	create(t, primary, configMaps, configMap("chosen", "more", "one"))
	require.Equal(t, []string{"configmaps chosen/more"}, syncNow(t, "choosing").Recent[0].Changes.Objects)
	require.Contains(t, git(t, repo, "show", "main:namespaces/chosen/configmaps/settings.yaml"), "key: one")
	syncNow(t, "following")
	require.NotNil(t, get(t, standby, configMaps, "chosen", "settings"))

	// Its deletion is a fact, whoever looks at it.
	remove(t, primary, configMaps, "chosen", "settings")
	require.Equal(t, []string{"configmaps chosen/settings"}, syncNow(t, "choosing").Recent[0].Changes.Objects)
	syncNow(t, "following")
	require.Nil(t, get(t, standby, configMaps, "chosen", "settings"))
}

func TestASelectorChoosesObjectsByTheirLabels(t *testing.T) {
	primary, repo := clusters["primary"], newRepo(t)
	newNamespace(t, primary, "labelled") // with label team=shop
	create(t, primary, configMaps, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: mine, namespace: labelled, labels: {team: shop}}\n")
	create(t, primary, configMaps, configMap("labelled", "other", "x"))
	startWorker(t, "labelling", primary, t.TempDir())
	enroll(t, "labelling", primary, repo, workflows.Push, "--selector", "team=shop", "--secrets", "exclude")
	reaches(t, "labelling", inSync)
	require.Equal(t, []string{".cluster-sync.yaml", "cluster/namespaces/labelled.yaml", "namespaces/labelled/configmaps/mine.yaml"}, files(t, repo))
}
