package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/active-cluster-sync/active-cluster-sync/internal/stacktest"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// No kubelet runs the Deployment here: the worker is a process that uses the token of its service account.

// render is what an overlay says.
func render(t *testing.T, overlay string) resmap.ResMap {
	t.Helper()
	dir := filepath.Join(stacktest.Root(), "deployments", "kubernetes", "overlays", overlay)
	rendered, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	require.NoError(t, err)
	return rendered
}

// install applies an overlay and returns the kubeconfig of its service account. What it made goes with the
// test, but for the namespace.
func install(t *testing.T, overlay string, on *cluster) (kubeconfig string) {
	t.Helper()
	groups, err := restmapper.GetAPIGroupResources(on.typed.Discovery())
	require.NoError(t, err)
	mapper := restmapper.NewDiscoveryRESTMapper(groups)
	for _, resource := range render(t, overlay).Resources() {
		fields, err := resource.Map()
		require.NoError(t, err)
		obj := &unstructured.Unstructured{Object: fields}
		place(t, on, mapper, obj)
	}
	return kubeconfigOf(t, on)
}

func place(t *testing.T, on *cluster, mapper meta.RESTMapper, obj *unstructured.Unstructured) {
	t.Helper()
	mapping, err := mapper.RESTMapping(obj.GroupVersionKind().GroupKind(), obj.GroupVersionKind().Version)
	require.NoError(t, err)
	api := on.objects.Resource(mapping.Resource).Namespace(obj.GetNamespace())
	_, err = api.Create(t.Context(), obj, metav1.CreateOptions{FieldManager: "kubectl", FieldValidation: metav1.FieldValidationStrict})
	if obj.GetKind() == "Namespace" && apierrors.IsAlreadyExists(err) {
		return // the credentials are in it
	}
	require.NoError(t, err, "%s %s", obj.GetKind(), obj.GetName())
	if obj.GetKind() != "Namespace" {
		t.Cleanup(func() { _ = api.Delete(context.Background(), obj.GetName(), metav1.DeleteOptions{}) })
	}
}

// kubeconfigOf writes a kubeconfig with a token of the worker's service account.
func kubeconfigOf(t *testing.T, on *cluster) string {
	t.Helper()
	issued, err := on.typed.CoreV1().ServiceAccounts(workflows.CredentialsNamespace).CreateToken(t.Context(), "worker", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	require.NoError(t, err)
	config, err := clientcmd.LoadFromFile(stack.Kubeconfig(on.context))
	require.NoError(t, err)
	current := config.Contexts[config.CurrentContext]
	server := config.Clusters[current.Cluster]
	path := filepath.Join(t.TempDir(), "kubeconfig")
	require.NoError(t, clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:  map[string]*clientcmdapi.Cluster{"c": server},
		AuthInfos: map[string]*clientcmdapi.AuthInfo{"worker": {Token: issued.Status.Token}},
		Contexts:  map[string]*clientcmdapi.Context{on.context: {Cluster: "c", AuthInfo: "worker"}},
	}, path))
	return path
}

// may asks the API server for a right of the worker's, as the worker.
func may(t *testing.T, kubeconfig string, on *cluster, verb string, resource schema.GroupResource, subresource string) bool {
	t.Helper()
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(
		&clientcmd.ClientConfigLoadingRules{ExplicitPath: kubeconfig}, &clientcmd.ConfigOverrides{CurrentContext: on.context}).ClientConfig()
	require.NoError(t, err)
	client := kubernetes.NewForConfigOrDie(rest.CopyConfig(config))
	review, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(t.Context(), &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Verb: verb, Group: resource.Group, Resource: resource.Resource, Subresource: subresource, Namespace: workflows.CredentialsNamespace,
		}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	return review.Status.Allowed
}

// authority is the certificate of a new certificate authority.
func authority(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	certificate, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate}))
}

func TestTheRightsOfThePushOverlayAreEnoughAndNoMore(t *testing.T) {
	primary, repo := clusters["primary"], newRepo(t)
	kubeconfig := install(t, "push", primary)
	newNamespace(t, primary, "installed")
	create(t, primary, configMaps, configMap("installed", "settings", "one"))
	startWorkerAs(t, "installed-push", kubeconfig, primary, t.TempDir())
	enroll(t, "installed-push", primary, repo, workflows.Push)
	reaches(t, "installed-push", inSync)
	require.Contains(t, git(t, repo, "show", "main:namespaces/installed/configmaps/settings.yaml"), "key: one")
	for _, file := range files(t, repo) {
		require.NotContains(t, file, "active-cluster-sync", "what the sync is made of stays out of Git")
	}
	for _, verb := range []string{"create", "update", "patch", "delete", "deletecollection"} {
		for _, resource := range []schema.GroupResource{{Resource: "secrets"}, {Resource: "pods"}, {Group: "apps", Resource: "deployments"}, {Group: "rbac.authorization.k8s.io", Resource: "clusterroles"}} {
			require.False(t, may(t, kubeconfig, primary, verb, resource, ""), "%s %s", verb, resource)
		}
	}
	require.False(t, may(t, kubeconfig, primary, "create", schema.GroupResource{Resource: "pods"}, "exec"))
	require.False(t, may(t, kubeconfig, primary, "impersonate", schema.GroupResource{Resource: "users"}, ""))
}

// Push-pull does what push and pull do, and each of these has a test of its own.
func TestThePushPullOverlayGrantsWhatThePullOverlayDoes(t *testing.T) {
	pull, err := render(t, "pull").AsYaml()
	require.NoError(t, err)
	both, err := render(t, "push-pull").AsYaml()
	require.NoError(t, err)
	require.Equal(t, string(pull), string(both))
	for _, role := range []string{"name: active-cluster-sync-read\n", "name: active-cluster-sync-write\n"} {
		require.Contains(t, string(both), role)
	}
}

func TestTheRightsOfThePullOverlayAreEnough(t *testing.T) {
	standby, repo := clusters["standby"], newRepo(t)
	kubeconfig := install(t, "pull", standby)
	dropAfter(t, standby, "installed")
	edit(t, repo, "what takes rights of all sorts", func(dir string) {
		write(t, dir, "all.yaml", strings.ReplaceAll(`
{apiVersion: v1, kind: Namespace, metadata: {name: installed}}
---
{apiVersion: v1, kind: ConfigMap, metadata: {name: settings, namespace: installed}, data: {key: one}}
---
{apiVersion: v1, kind: ServiceAccount, metadata: {name: robot, namespace: installed}}
---
# Grants more than the worker may do: it takes escalate.
{apiVersion: rbac.authorization.k8s.io/v1, kind: Role, metadata: {name: all, namespace: installed}, rules: [{apiGroups: ["*"], resources: ["*"], verbs: ["*"]}]}
---
# And bind.
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: admin, namespace: installed}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects: [{kind: ServiceAccount, name: robot, namespace: installed}]
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: kites.installed.example.com}
spec:
  group: installed.example.com
  names: {kind: Kite, plural: kites}
  scope: Namespaced
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}}]
---
{apiVersion: installed.example.com/v1, kind: Kite, metadata: {name: red, namespace: installed}}
---
# Takes attest.
{apiVersion: certificates.k8s.io/v1beta1, kind: ClusterTrustBundle, metadata: {name: "installed.example.com:signer:a"}, spec: {signerName: installed.example.com/signer, trustBundle: ANCHOR}}
`, "ANCHOR", strconv.Quote(authority(t))))
	})
	t.Cleanup(func() {
		bundles := schema.GroupVersionResource{Group: "certificates.k8s.io", Version: "v1beta1", Resource: "clustertrustbundles"}
		_ = standby.objects.Resource(bundles).Delete(context.Background(), "installed.example.com:signer:a", metav1.DeleteOptions{})
		crds := schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}
		_ = standby.objects.Resource(crds).Delete(context.Background(), "kites.installed.example.com", metav1.DeleteOptions{})
	})
	startWorkerAs(t, "installed-pull", kubeconfig, standby, t.TempDir())
	enroll(t, "installed-pull", standby, repo, workflows.Pull)
	reaches(t, "installed-pull", inSync)
	require.NotNil(t, get(t, standby, schema.GroupVersionResource{Group: "installed.example.com", Version: "v1", Resource: "kites"}, "installed", "red"))

	require.Equal(t, workflows.LockingOn, reaches(t, "installed-pull", inSync).Lock.State)
	jane := inAnEmergency(t, standby)
	change(t, jane, configMaps, "installed", "settings", setKey("edited"))
	remove(t, jane, schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}, "installed", "robot")
	syncNow(t, "installed-pull")
	value, _, _ := unstructured.NestedString(get(t, standby, configMaps, "installed", "settings").Object, "data", "key")
	require.Equal(t, "one", value)
	require.NotNil(t, get(t, standby, schema.GroupVersionResource{Version: "v1", Resource: "serviceaccounts"}, "installed", "robot"))
	require.False(t, may(t, kubeconfig, standby, "impersonate", schema.GroupResource{Resource: "users"}, ""))
	require.False(t, may(t, kubeconfig, standby, "deletecollection", schema.GroupResource{Resource: "pods"}, ""))
}
