package manifest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// kindsOf are the resources of the objects in these tests.
var kindsOf = map[string]Resource{
	"APIService":                     {Group: "apiregistration.k8s.io", Name: "apiservices"},
	"ClusterRole":                    clusterRoles,
	"ConfigMap":                      {Name: "configmaps", Namespaced: true},
	"CronJob":                        {Group: "batch", Name: "cronjobs", Namespaced: true},
	"CustomResourceDefinition":       {Group: "apiextensions.k8s.io", Name: "customresourcedefinitions"},
	"DaemonSet":                      {Group: "apps", Name: "daemonsets", Namespaced: true},
	"Deployment":                     deployments,
	"HorizontalPodAutoscaler":        {Group: "autoscaling", Name: "horizontalpodautoscalers", Namespaced: true},
	"Job":                            {Group: "batch", Name: "jobs", Namespaced: true},
	"MutatingWebhookConfiguration":   {Group: "admissionregistration.k8s.io", Name: "mutatingwebhookconfigurations"},
	"Namespace":                      namespaces,
	"PersistentVolume":               {Name: "persistentvolumes"},
	"PersistentVolumeClaim":          {Name: "persistentvolumeclaims", Namespaced: true},
	"Pod":                            {Name: "pods", Namespaced: true},
	"PodTemplate":                    {Name: "podtemplates", Namespaced: true},
	"Service":                        services,
	"ServiceAccount":                 {Name: "serviceaccounts", Namespaced: true},
	"StatefulSet":                    {Group: "apps", Name: "statefulsets", Namespaced: true},
	"ValidatingWebhookConfiguration": {Group: "admissionregistration.k8s.io", Name: "validatingwebhookconfigurations"},
	"Widget":                         {Group: "example.com", Name: "widgets", Namespaced: true},
}

func decodeOne(t testing.TB, text string) (Resource, map[string]any) {
	t.Helper()
	documents, problems := Decode("test.yaml", []byte(text))
	require.Empty(t, problems)
	require.Len(t, documents, 1)
	obj := documents[0].Object
	id := IDOf(obj)
	r, ok := kindsOf[id.Kind]
	require.True(t, ok, id.Kind)
	r.Kind, r.Version = id.Kind, "v1"
	return r, obj
}

func encode(t testing.TB, obj map[string]any) string {
	t.Helper()
	text, err := Encode(obj)
	require.NoError(t, err)
	return string(text)
}

// The files *.live.yaml are what an API server 1.37 with a controller manager said about objects that were
// made with kubectl apply; *.git.yaml is what of it a person has written, or the server has defaulted.
func TestNormaliseWhatAServerSays(t *testing.T) {
	files, err := filepath.Glob("testdata/server/*.live.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".live.yaml"), func(t *testing.T) {
			live, err := os.ReadFile(file)
			require.NoError(t, err)
			want, err := os.ReadFile(strings.Replace(file, ".live.", ".git.", 1))
			require.NoError(t, err)
			s := Surroundings{Scaled: strings.Contains(file, "scaled")}

			r, obj := decodeOne(t, string(live))
			Normalise(r, obj, s)
			require.Equal(t, string(want), encode(t, obj))

			_, unchanged := decodeOne(t, string(live))
			require.Equal(t, unchanged, Denormalise(r, obj, unchanged, s), "Denormalise doesn't lead back")

			again := cloneObject(obj)
			Normalise(r, again, s)
			require.Equal(t, obj, again, "what a file holds is changed")
		})
	}
}

func TestNormaliseFile(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{
			"what a person declares stays",
			`{apiVersion: v1, kind: Service, metadata: {name: a, namespace: b, finalizers: [example.com/mine]},
			  spec: {type: LoadBalancer, clusterIP: 10.0.0.1, ipFamilies: [IPv4], ipFamilyPolicy: SingleStack,
			         healthCheckNodePort: 30001, ports: [{port: 80, nodePort: 30080}]}}`,
			`{apiVersion: v1, kind: Service, metadata: {name: a, namespace: b, finalizers: [example.com/mine]},
			  spec: {type: LoadBalancer, clusterIP: 10.0.0.1, ipFamilies: [IPv4], ipFamilyPolicy: SingleStack,
			         healthCheckNodePort: 30001, ports: [{port: 80, nodePort: 30080}]}}`,
		}, {
			"what kubectl get wrote down goes, and what may have been allocated",
			`{apiVersion: v1, kind: Service,
			  metadata: {name: a, namespace: b, uid: x, resourceVersion: "1", generation: 1, creationTimestamp: "2026-01-01T00:00:00Z",
			             selfLink: /a, finalizers: [example.com/theirs], ownerReferences: [{kind: X, name: y}],
			             annotations: {kubectl.kubernetes.io/last-applied-configuration: "{}"}},
			  spec: {type: NodePort, clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], ipFamilies: [IPv4], ipFamilyPolicy: SingleStack,
			         ports: [{port: 80, nodePort: 30080}, {port: 443, protocol: UDP}]},
			  status: {loadBalancer: {}}}`,
			`{apiVersion: v1, kind: Service, metadata: {name: a, namespace: b},
			  spec: {type: NodePort, ports: [{port: 80}, {port: 443, protocol: UDP}]}}`,
		}, {
			"what kubectl create --dry-run leaves empty",
			`{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, namespace: b, creationTimestamp: null, labels: {}, annotations: null, finalizers: []},
			  spec: {strategy: {}, template: {metadata: {creationTimestamp: null, labels: {app: a}}, spec: {containers: [{name: c, resources: {}}]}}},
			  status: {}}`,
			`{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, namespace: b},
			  spec: {strategy: {}, template: {metadata: {labels: {app: a}}, spec: {containers: [{name: c, resources: {}}]}}}}`,
		}, {
			"empty values stay",
			`{apiVersion: example.com/v1, kind: Widget, metadata: {name: a, namespace: b},
			  spec: {map: {}, list: [], text: "", nothing: null, zero: 0, "off": false, replicas: 1, status: {a: b}, finalizers: [a], uid: x, clusterIP: x}, rules: [], secrets: []}`,
			`{apiVersion: example.com/v1, kind: Widget, metadata: {name: a, namespace: b},
			  spec: {map: {}, list: [], text: "", nothing: null, zero: 0, "off": false, replicas: 1, status: {a: b}, finalizers: [a], uid: x, clusterIP: x}, rules: [], secrets: []}`,
		}, {
			"a CRD's schema may call its properties as it likes",
			`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: a.b},
			  spec: {versions: [{schema: {openAPIV3Schema: {properties: {status: {type: object}, metadata: {type: object}, managedFields: {type: string}}}}}]}}`,
			`{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: a.b},
			  spec: {versions: [{schema: {openAPIV3Schema: {properties: {status: {type: object}, metadata: {type: object}, managedFields: {type: string}}}}}]}}`,
		}, {
			"the namespace that kubectl would take",
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: a}}`,
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: default}}`,
		}, {
			"no namespace for what has none",
			`{apiVersion: v1, kind: PersistentVolume, metadata: {name: a, namespace: b}}`,
			`{apiVersion: v1, kind: PersistentVolume, metadata: {name: a}}`,
		}, {
			"finalizers of Kubernetes are nobody's",
			`{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a, namespace: b, finalizers: [kubernetes.io/pvc-protection, example.com/mine, foregroundDeletion, snapshot.storage.kubernetes.io/x]}}`,
			`{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a, namespace: b, finalizers: [example.com/mine]}}`,
		}, {
			"the claim of a volume stays, but for its UID",
			`{apiVersion: v1, kind: PersistentVolume, metadata: {name: a}, spec: {claimRef: {kind: PersistentVolumeClaim, name: c, namespace: d, uid: x, resourceVersion: "1"}}}`,
			`{apiVersion: v1, kind: PersistentVolume, metadata: {name: a}, spec: {claimRef: {kind: PersistentVolumeClaim, name: c, namespace: d}}}`,
		}, {
			"Secrets with names of people stay",
			`{apiVersion: v1, kind: ServiceAccount, metadata: {name: a, namespace: b, uid: x}, secrets: [{name: a-token-x7k2p}, {name: a-token-extra}, {name: x-token-x7k2p}]}`,
			`{apiVersion: v1, kind: ServiceAccount, metadata: {name: a, namespace: b}, secrets: [{name: a-token-extra}, {name: x-token-x7k2p}]}`,
		}, {
			"a volume that is only called like that of a token stays",
			`{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: b, uid: x}, spec: {volumes: [{name: kube-api-access-mine, projected: {sources: [{serviceAccountToken: {path: token}}]}}, {name: kube-api-access-bcd24, projected: {sources: [{secret: {name: s}}]}}]}}`,
			`{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: b}, spec: {volumes: [{name: kube-api-access-mine, projected: {sources: [{serviceAccountToken: {path: token}}]}}, {name: kube-api-access-bcd24, projected: {sources: [{secret: {name: s}}]}}]}}`,
		}, {
			"a volume that the controller chose goes",
			`{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a, namespace: b, annotations: {pv.kubernetes.io/bound-by-controller: "yes", volume.kubernetes.io/selected-node: node-1}}, spec: {volumeName: pvc-1}}`,
			`{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a, namespace: b}, spec: {}}`,
		}, {
			"a Job that selects by itself keeps its selector",
			`{apiVersion: batch/v1, kind: Job, metadata: {name: a, namespace: b}, spec: {manualSelector: true, selector: {matchLabels: {job-name: a}}, template: {metadata: {labels: {job-name: a}}}}}`,
			`{apiVersion: batch/v1, kind: Job, metadata: {name: a, namespace: b}, spec: {manualSelector: true, selector: {matchLabels: {job-name: a}}, template: {metadata: {labels: {job-name: a}}}}}`,
		}, {
			"rules that are gathered go",
			`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: a}, aggregationRule: {clusterRoleSelectors: []}, rules: [{verbs: [get]}]}`,
			`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: a}, aggregationRule: {clusterRoleSelectors: []}}`,
		}, {
			"rules that are written stay",
			`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: a}, rules: [{verbs: [get]}]}`,
			`{apiVersion: rbac.authorization.k8s.io/v1, kind: ClusterRole, metadata: {name: a}, rules: [{verbs: [get]}]}`,
		}, {
			"a certificate authority goes only where it is injected",
			`{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: a}, webhooks: [{name: a, clientConfig: {caBundle: x}}]}`,
			`{apiVersion: admissionregistration.k8s.io/v1, kind: ValidatingWebhookConfiguration, metadata: {name: a}, webhooks: [{name: a, clientConfig: {caBundle: x}}]}`,
		}, {
			"status that looks like annotations",
			`{apiVersion: autoscaling/v1, kind: HorizontalPodAutoscaler, metadata: {name: a, namespace: b, annotations: {autoscaling.alpha.kubernetes.io/conditions: "[]", autoscaling.alpha.kubernetes.io/metrics: "[]"}}}`,
			`{apiVersion: autoscaling/v1, kind: HorizontalPodAutoscaler, metadata: {name: a, namespace: b, annotations: {autoscaling.alpha.kubernetes.io/metrics: "[]"}}}`,
		}, {
			"a lock's holder",
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: b, annotations: {control-plane.alpha.kubernetes.io/leader: x}}, data: {a: b}}`,
			`{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: b}, data: {a: b}}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, obj := decodeOne(t, c.file)
			Normalise(r, obj, Surroundings{})
			_, want := decodeOne(t, c.want)
			require.Equal(t, encode(t, want), encode(t, obj))
		})
	}
}

func TestNormaliseTakesReplicasOfWhatIsScaled(t *testing.T) {
	r, obj := decodeOne(t, `{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, namespace: b}, spec: {replicas: 3, paused: true}}`)
	kept := cloneObject(obj)
	Normalise(r, kept, Surroundings{})
	require.Equal(t, int64(3), newObject(r, kept, Surroundings{}).at("spec", "replicas"))
	Normalise(r, obj, Surroundings{Scaled: true})
	require.Equal(t, map[string]any{"paused": true}, obj["spec"])
}

// A finalizer is told apart by who put it there.
func TestNormaliseFinalizerByManager(t *testing.T) {
	for manager, kept := range map[string]bool{
		"kubectl": true, "kubectl-client-side-apply": true, "kubectl-edit": true, "helm": true, "Helm": true, "argocd-controller": true,
		"kustomize-controller": true, "HashiCorp": true, "Mozilla": true, "active-cluster-sync": true, "pulumi-kubernetes": true,
		"kube-controller-manager": false, "manager": false, "helm-operator": false, "before-first-apply": false, "unknown": false, "": false,
	} {
		obj := map[string]any{
			"apiVersion": "example.com/v1", "kind": "Widget",
			"metadata": map[string]any{
				"name": "a", "namespace": "b", "uid": "x", "finalizers": []any{"example.com/it"},
				"managedFields": []any{map[string]any{
					"manager": manager, "operation": "Update",
					"fieldsV1": map[string]any{"f:metadata": map[string]any{"f:finalizers": map[string]any{`v:"example.com/it"`: map[string]any{}}}},
				}},
			},
		}
		Normalise(kindsOf["Widget"], obj, Surroundings{})
		require.Equal(t, kept, obj["metadata"].(map[string]any)["finalizers"] != nil, manager)
	}
}
