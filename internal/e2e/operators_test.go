package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/restmapper"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// published are manifests of other projects, as they publish them: definitions of kinds, roles, accounts,
// Deployments of operators, and instances. In each module, in this order.
var published = []struct {
	module string
	files  []string
}{
	{"github.com/prometheus-operator/prometheus-operator", []string{
		"bundle.yaml", "example/rbac/*/*.yaml", "example/admission-webhook/*.yaml", "example/networkpolicies/*.yaml",
		"example/user-guides/alerting/*-*.yaml", "example/user-guides/getting-started/*.yaml",
		"example/additional-scrape-configs/additional-*.yaml", "example/thanos/*.yaml",
	}},
	{"github.com/cert-manager/cert-manager", []string{
		"deploy/manifests/namespace.yaml", "deploy/crds/*.yaml", "test/fixtures/cert-manager-resources.yaml",
	}},
	{"sigs.k8s.io/gateway-api", []string{"config/crd/standard/*.yaml", "examples/standard/*.yaml", "examples/standard/*/*.yaml"}},
}

// gates are what these projects make only while they run, or only with Helm: roles that are put together by
// labels, and webhooks, one of which refuses everything while nobody answers for it, as cert-manager's does.
const gates = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: platform-view}
aggregationRule: {clusterRoleSelectors: [{matchLabels: {platform.example.com/aggregate: view}}]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: certificates-view, labels: {platform.example.com/aggregate: view, rbac.authorization.k8s.io/aggregate-to-view: "true"}}
rules: [{apiGroups: [cert-manager.io], resources: [certificates, issuers], verbs: [get, list, watch]}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: platform-view}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: platform-view}
subjects: [{kind: ServiceAccount, name: cert-manager, namespace: cert-manager}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: cert-manager, namespace: cert-manager}
automountServiceAccountToken: false
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: cert-manager-webhook, annotations: {cert-manager.io/inject-ca-from-secret: cert-manager/cert-manager-webhook-ca}}
webhooks:
- name: webhook.cert-manager.io
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Fail
  matchPolicy: Equivalent
  timeoutSeconds: 30
  clientConfig: {service: {name: cert-manager-webhook, namespace: cert-manager, path: /validate}}
  namespaceSelector: {matchExpressions: [{key: cert-manager.io/disable-validation, operator: NotIn, values: ["true"]}]}
  rules: [{apiGroups: [cert-manager.io, acme.cert-manager.io], apiVersions: [v1], operations: [CREATE, UPDATE], resources: ["*/*"]}]
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {name: prometheus-operator-defaults}
webhooks:
- name: defaults.monitoring.coreos.com
  admissionReviewVersions: [v1]
  sideEffects: None
  failurePolicy: Ignore
  timeoutSeconds: 1
  clientConfig: {service: {name: prometheus-operator-admission-webhook, namespace: default, path: /mutate}}
  rules: [{apiGroups: [monitoring.coreos.com], apiVersions: ["*"], operations: [CREATE, UPDATE], resources: [prometheusrules]}]
`

func TestAStandbyOfAClusterWithOperatorsExportsTheSame(t *testing.T) {
	pair, err := stacktest.Start(t.Context(), stacktest.Options{Clusters: []string{"operated", "copy"}})
	require.NoError(t, err)
	t.Cleanup(pair.Stop)
	primary, err := connect(pair, "operated")
	require.NoError(t, err)
	standby, err := connect(pair, "copy")
	require.NoError(t, err)
	applied := applyPublished(t, primary)
	t.Logf("%d objects of other projects", applied)
	require.Greater(t, applied, 150)

	repo := newRepo(t)
	startWorker(t, "operated", primary, t.TempDir())
	enroll(t, "operated", primary, repo, workflows.Push, "--secrets", "plaintext")
	pushed := reaches(t, "operated", inSync)
	require.Subset(t, files(t, repo), []string{
		"cluster/customresourcedefinitions.apiextensions.k8s.io/prometheuses.monitoring.coreos.com.yaml",
		"cluster/clusterroles.rbac.authorization.k8s.io/prometheus-operator.yaml",
		"cluster/clusterroles.rbac.authorization.k8s.io/platform-view.yaml",
		"cluster/validatingwebhookconfigurations.admissionregistration.k8s.io/cert-manager-webhook.yaml",
		"cluster/mutatingwebhookconfigurations.admissionregistration.k8s.io/prometheus-operator-defaults.yaml",
		"namespaces/default/prometheuses.monitoring.coreos.com/prometheus.yaml",
		"namespaces/default/serviceaccounts/prometheus-operator.yaml",
	})
	require.NotContains(t, git(t, repo, "show", "main:cluster/clusterroles.rbac.authorization.k8s.io/platform-view.yaml"), "\nrules:",
		"a controller puts these rules together on each cluster")

	w := startWorker(t, "copy", standby, t.TempDir())
	enroll(t, "copy", standby, repo, workflows.Pull, "--secrets", "plaintext")
	first := reaches(t, "copy", func(s workflows.Status) bool { return s.Revision != "" })
	require.Empty(t, first.Failed, describe(first, nil))
	settled := reaches(t, "copy", inSync)
	require.Equal(t, pushed.Revision, settled.Revision)
	writes := strings.Count(w.log.String(), `"msg":"object changed"`)
	reaches(t, "copy", func(s workflows.Status) bool { return s.Ticks >= settled.Ticks+10 && inSync(s) })
	require.Equal(t, writes, strings.Count(w.log.String(), `"msg":"object changed"`), "written in ten ticks with nothing to do")

	back := repo + "-back"
	require.NoError(t, stack.AddRepo(t.Context(), back, token))
	startWorker(t, "back", standby, t.TempDir())
	enroll(t, "back", standby, back, workflows.Push, "--secrets", "plaintext")
	reaches(t, "back", inSync)
	require.Equal(t, trees(t, repo), trees(t, back))
	require.Equal(t, pushed.Revision, git(t, repo, "rev-parse", "main"), "the primary has nothing new to say")
}

// trees are the files on a branch with their hashes, but for the one that says which cluster it is.
func trees(t *testing.T, repo string) []string {
	t.Helper()
	var lines []string
	for line := range strings.Lines(git(t, repo, "ls-tree", "-r", "main")) {
		if !strings.Contains(line, manifest.MarkerFile) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// applyPublished applies all that is published as `kubectl apply --server-side` does, and returns how many
// objects that is.
func applyPublished(t *testing.T, on *cluster) int {
	t.Helper()
	folders, err := stacktest.ThirdParty(t.Context())
	require.NoError(t, err)
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(on.typed.Discovery()))
	count := 0
	take := func(file string, content []byte) {
		documents, problems := manifest.Decode(file, content)
		require.Empty(t, problems)
		for _, d := range documents {
			applyPerson(t, on, mapper, &unstructured.Unstructured{Object: d.Object}, file)
		}
		count += len(documents)
	}
	for _, p := range published {
		for _, pattern := range p.files {
			found, err := filepath.Glob(filepath.Join(folders[p.module], pattern))
			require.NoError(t, err)
			require.NotEmpty(t, found, pattern)
			for _, file := range found {
				content, err := os.ReadFile(file)
				require.NoError(t, err)
				take(file, content)
			}
		}
	}
	take("gates", []byte(gates))
	return count
}

// applyPerson applies one object. The definition of its kind may have been applied just before, and its
// namespace may be one that the reader of an example is expected to have.
func applyPerson(t *testing.T, on *cluster, mapper *restmapper.DeferredDiscoveryRESTMapper, obj *unstructured.Unstructured, file string) {
	t.Helper()
	var last error
	eventually(t, func() bool {
		kind := obj.GroupVersionKind()
		mapping, err := mapper.RESTMapping(kind.GroupKind(), kind.Version)
		if err != nil {
			mapper.Reset()
			last = err
			return false
		}
		var api dynamic.ResourceInterface = on.objects.Resource(mapping.Resource)
		if mapping.Scope.Name() == meta.RESTScopeNameNamespace {
			if obj.GetNamespace() == "" {
				obj.SetNamespace(metav1.NamespaceDefault)
			}
			api = on.objects.Resource(mapping.Resource).Namespace(obj.GetNamespace())
		}
		_, last = api.Apply(t.Context(), obj.GetName(), obj, metav1.ApplyOptions{FieldManager: "kubectl", Force: true})
		var status *apierrors.StatusError
		if errors.As(last, &status) && apierrors.IsNotFound(last) && status.ErrStatus.Details.Kind == "namespaces" {
			create(t, on, namespaces, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+obj.GetNamespace()+"}")
		}
		require.False(t, apierrors.IsInvalid(last) || apierrors.IsBadRequest(last), "%s: %v", file, last)
		return last == nil
	}, func() string { return fmt.Sprintf("%s: %s %s: %v", file, obj.GetKind(), obj.GetName(), last) })
}
