package manifest

import (
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

func TestSelectionDecidesWhatTakesPart(t *testing.T) {
	resource := func(group, name string) Resource { return Resource{Group: group, Name: name, Namespaced: true} }
	labels, err := ParseLabels("team=shop,tier!=test")
	require.NoError(t, err)
	jobs, secrets := resource("batch", "jobs"), resource("", "secrets")
	certificates, orders := resource("cert-manager.io", "certificates"), resource("acme.cert-manager.io", "orders")
	for _, c := range []struct {
		name      string
		selection Selection
		resource  Resource
		object    string
		reason    string
	}{
		{"a Job that is included", Selection{Include: []string{"jobs.batch"}}, jobs, `{metadata: {name: a}}`, ""},
		{"a Job of a CronJob is not", Selection{Include: []string{"jobs.batch"}}, jobs, `{metadata: {name: a, ownerReferences: [{controller: true}]}}`, ReasonOwned},
		{"what isn't watched by default", Selection{Include: []string{"orders.acme.cert-manager.io"}}, orders, `{metadata: {name: a}}`, ""},
		{"another resource is included", Selection{Include: []string{"jobs.batch"}}, orders, `{metadata: {name: a}}`, ReasonUnwatched},
		{"an excluded resource", Selection{Exclude: []string{"certificates.cert-manager.io"}}, certificates, `{metadata: {name: a}}`, ReasonResource},
		{"an excluded group", Selection{Exclude: []string{"*.cert-manager.io"}}, certificates, `{metadata: {name: a}}`, ReasonResource},
		{"a group that only ends like it", Selection{Exclude: []string{"*.manager.io"}}, certificates, `{metadata: {name: a}}`, ""},
		{"excluded beats included", Selection{Include: []string{"jobs.batch"}, Exclude: []string{"jobs.batch"}}, jobs, `{metadata: {name: a}}`, ReasonResource},
		{"a name", Selection{IgnoreNames: []string{"istio-*"}}, deployments, `{metadata: {name: istio-a}}`, ReasonName},
		{"another name", Selection{IgnoreNames: []string{"istio-*"}}, deployments, `{metadata: {name: a-istio-a}}`, ""},
		{"a name of a resource", Selection{IgnoreNames: []string{"deployments.apps/istio-*"}}, deployments, `{metadata: {name: istio-a}}`, ReasonName},
		{"a name of another resource", Selection{IgnoreNames: []string{"configmaps/istio-*"}}, deployments, `{metadata: {name: istio-a}}`, ""},
		{"labels that match", Selection{Labels: labels}, deployments, `{metadata: {name: a, labels: {team: shop}}}`, ""},
		{"labels that don't", Selection{Labels: labels}, deployments, `{metadata: {name: a, labels: {team: shop, tier: test}}}`, ReasonLabels},
		{"no labels", Selection{Labels: labels}, deployments, `{metadata: {name: a}}`, ReasonLabels},
		{"a Secret", Selection{Secrets: SecretsTakePart}, secrets, `{metadata: {name: a}, type: Opaque}`, ""},
		{"a release of Helm", Selection{Secrets: SecretsTakePart}, secrets, `{metadata: {name: a}, type: helm.sh/release.v1}`, ""},
		{"a token", Selection{Secrets: SecretsTakePart}, secrets, `{metadata: {name: a}, type: kubernetes.io/service-account-token}`, ReasonAccountToken},
		{"a Secret without a key for it", Selection{Secrets: SecretsUnreadable}, secrets, `{metadata: {name: a}, type: Opaque}`, ReasonSecretKey},
	} {
		t.Run(c.name, func(t *testing.T) {
			var obj map[string]any
			require.NoError(t, yaml.Unmarshal([]byte(c.object), &obj))
			reason, skip := Skip(c.resource, obj, c.selection)
			require.Equal(t, c.reason, reason)
			require.Equal(t, c.reason != "", skip)
		})
	}
}

func TestOnlyWhatAPersonChoseIsLeftInGit(t *testing.T) {
	for _, reason := range []string{ReasonIgnored, ReasonResource, ReasonName, ReasonLabels, ReasonSecret, ReasonSecretKey} {
		require.True(t, Chosen(reason), reason)
	}
	for _, reason := range []string{"", ReasonOwned, ReasonKubernetes, ReasonFinishedPod, ReasonJob, ReasonAccountToken} {
		require.False(t, Chosen(reason), reason)
	}
}

func TestGroupsAreWatchedWhenAnyResourceOfThemIs(t *testing.T) {
	require.True(t, Selection{}.WatchesGroup("apps"))
	require.False(t, Selection{}.WatchesGroup("metrics.k8s.io"))
	require.True(t, Selection{Include: []string{"pods.metrics.k8s.io"}}.WatchesGroup("metrics.k8s.io"))
	require.False(t, Selection{Exclude: []string{"*.cert-manager.io"}}.WatchesGroup("cert-manager.io"))
}

func TestSelectionsAreValidated(t *testing.T) {
	for _, entry := range []string{"jobs.batch", "configmaps", "*.cert-manager.io", "volumesnapshots.snapshot.storage.k8s.io"} {
		require.NoError(t, ValidateResource(entry), entry)
	}
	for _, entry := range []string{"", "*", "Jobs.batch", "jobs/batch", "apps/v1", "jobs.", "*."} {
		require.ErrorContains(t, ValidateResource(entry), "is not a resource", entry)
	}
	for _, pattern := range []string{"a", "istio-*", "configmaps/istio-?", "deployments.apps/*", "[ab]*"} {
		require.NoError(t, ValidateNamePattern(pattern), pattern)
	}
	for _, pattern := range []string{"", "configmaps/", "[", "a/b/c", "Config Maps/a"} {
		require.Error(t, ValidateNamePattern(pattern), pattern)
	}
	_, err := ParseLabels("a in b")
	require.ErrorContains(t, err, "label selector")
	none, err := ParseLabels("")
	require.NoError(t, err)
	require.Nil(t, none)
}
