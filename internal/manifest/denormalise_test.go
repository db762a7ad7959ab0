package manifest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// liveService is what a server has of a Service with one port that a person asked for and one that was
// allocated.
const liveService = `
apiVersion: v1
kind: Service
metadata:
  name: a
  namespace: b
  uid: x
  resourceVersion: "7"
  finalizers: [service.kubernetes.io/load-balancer-cleanup]
  managedFields:
  - apiVersion: v1
    manager: kubectl-edit
    operation: Update
    fieldsType: FieldsV1
    fieldsV1: {"f:spec": {"f:ports": {".": {}, 'k:{"port":81,"protocol":"TCP"}': {".": {}, "f:nodePort": {}}}}}
spec:
  type: NodePort
  clusterIP: 10.0.0.1
  clusterIPs: [10.0.0.1]
  ipFamilies: [IPv4]
  ipFamilyPolicy: SingleStack
  ports:
  - {port: 80, protocol: TCP, nodePort: 30001}
  - {port: 81, protocol: TCP, nodePort: 30081}
status: {loadBalancer: {}}
`

func TestDenormaliseService(t *testing.T) {
	for _, c := range []struct{ name, git, want string }{
		{
			"allocated parts are taken over, what a person has set live isn't",
			`{type: NodePort, ports: [{port: 80}, {port: 81}]}`,
			`{type: NodePort, ports: [{port: 80, nodePort: 30001}, {port: 81}],
			  clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], ipFamilies: [IPv4], ipFamilyPolicy: SingleStack}`,
		}, {
			"a port of another protocol is another port",
			`{type: NodePort, ports: [{port: 80, protocol: UDP}]}`,
			`{type: NodePort, ports: [{port: 80, protocol: UDP}],
			  clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], ipFamilies: [IPv4], ipFamilyPolicy: SingleStack}`,
		}, {
			"no node port that Git gives to another port",
			`{type: NodePort, ports: [{port: 80}, {port: 82, nodePort: 30001}]}`,
			`{type: NodePort, ports: [{port: 80}, {port: 82, nodePort: 30001}],
			  clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], ipFamilies: [IPv4], ipFamilyPolicy: SingleStack}`,
		}, {
			"the same node port for another protocol, as the server allocates it",
			`{type: NodePort, ports: [{port: 80}, {port: 80, protocol: UDP, nodePort: 30001}]}`,
			`{type: NodePort, ports: [{port: 80, nodePort: 30001}, {port: 80, protocol: UDP, nodePort: 30001}],
			  clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], ipFamilies: [IPv4], ipFamilyPolicy: SingleStack}`,
		}, {
			"no node ports for a type that has none",
			`{type: ClusterIP, ports: [{port: 80}]}`,
			`{type: ClusterIP, ports: [{port: 80}],
			  clusterIP: 10.0.0.1, clusterIPs: [10.0.0.1], ipFamilies: [IPv4], ipFamilyPolicy: SingleStack}`,
		}, {
			"no address for a headless one",
			`{clusterIP: None, ports: [{port: 80}]}`,
			`{clusterIP: None, ports: [{port: 80}], ipFamilies: [IPv4], ipFamilyPolicy: SingleStack}`,
		}, {
			"no address for a name",
			`{type: ExternalName, externalName: example.com}`,
			`{type: ExternalName, externalName: example.com}`,
		}, {
			"the families that Git wants",
			`{ipFamilyPolicy: PreferDualStack}`,
			`{ipFamilyPolicy: PreferDualStack, clusterIP: 10.0.0.1}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, live := decodeOne(t, liveService)
			_, git := decodeOne(t, `{apiVersion: v1, kind: Service, metadata: {name: a, namespace: b}, spec: `+c.git+`}`)
			out := Denormalise(r, git, live, Surroundings{})
			_, want := decodeOne(t, `{apiVersion: v1, kind: Service, metadata: {name: a, namespace: b}, spec: `+c.want+`}`)
			require.Equal(t, want["spec"], out["spec"])
			require.Equal(t, "7", newObject(r, out, Surroundings{}).at("metadata", "resourceVersion"))
			require.Equal(t, live["status"], out["status"])
			require.Equal(t, []any{"service.kubernetes.io/load-balancer-cleanup"}, newObject(r, out, Surroundings{}).at("metadata", "finalizers"))
		})
	}
}

// What Git declares is entered in the managed fields, so that it isn't taken for allocated afterwards.
func TestDenormaliseClaimsWhatGitDeclares(t *testing.T) {
	r, live := decodeOne(t, liveService)
	_, git := decodeOne(t, `{apiVersion: v1, kind: Service, metadata: {name: a, namespace: b, finalizers: [example.com/mine]},
		spec: {type: NodePort, ports: [{port: 80, nodePort: 30001}, {port: 81, nodePort: 30081}]}}`)
	out := Denormalise(r, git, live, Surroundings{})
	managers := newObject(r, out, Surroundings{}).managers
	require.Len(t, managers, 2)
	require.Equal(t, map[string]any{
		"apiVersion": "v1", "manager": FieldManager, "operation": "Update", "fieldsType": "FieldsV1",
		"fieldsV1": map[string]any{
			"f:metadata": map[string]any{"f:finalizers": map[string]any{`v:"example.com/mine"`: map[string]any{}}},
			"f:spec": map[string]any{"f:ports": map[string]any{
				`k:{"port":80,"protocol":"TCP"}`: map[string]any{"f:nodePort": map[string]any{}},
			}},
		},
	}, managers[1])
	require.Equal(t, out, Denormalise(r, git, out, Surroundings{}), "claimed twice")

	Normalise(r, out, Surroundings{})
	require.Equal(t, git, out)
}

func TestDenormalise(t *testing.T) {
	for _, c := range []struct {
		name, git, live, want string
		scaled                bool
	}{
		{
			name: "drift goes",
			git:  `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: b, labels: {x: "1"}}, data: {k: v}}`,
			live: `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: b, labels: {x: "2", z: "3"}, annotations: {w: "4"}, uid: x, resourceVersion: "7"}, data: {k: w, l: m}, binaryData: {}}`,
			want: `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: b, labels: {x: "1"}, uid: x, resourceVersion: "7"}, data: {k: v}}`,
		}, {
			name: "finalizers of controllers stay, those that a person took out of Git go",
			git:  `{apiVersion: v1, kind: Widget, metadata: {name: a, namespace: b, finalizers: [x.com/new]}}`,
			live: `{apiVersion: v1, kind: Widget, metadata: {name: a, namespace: b, uid: x, finalizers: [x.com/operator, x.com/old],
			        managedFields: [{manager: kubectl, apiVersion: v1, operation: Update, fieldsV1: {"f:metadata": {"f:finalizers": {'v:"x.com/old"': {}}}}}]}}`,
			want: `{apiVersion: v1, kind: Widget, metadata: {name: a, namespace: b, uid: x, finalizers: [x.com/new, x.com/operator],
			        managedFields: [{manager: kubectl, apiVersion: v1, operation: Update, fieldsV1: {"f:metadata": {"f:finalizers": {'v:"x.com/old"': {}}}}},
			         {manager: active-cluster-sync, apiVersion: v1, operation: Update, fieldsType: FieldsV1, fieldsV1: {"f:metadata": {"f:finalizers": {'v:"x.com/new"': {}}}}}]}}`,
		}, {
			name: "a bound claim keeps its volume",
			git:  `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a, namespace: b}, spec: {resources: {requests: {storage: 2Gi}}}}`,
			live: `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a, namespace: b, uid: x, annotations: {pv.kubernetes.io/bound-by-controller: "yes", pv.kubernetes.io/bind-completed: "yes"}}, spec: {volumeName: v, resources: {requests: {storage: 1Gi}}}}`,
			want: `{apiVersion: v1, kind: PersistentVolumeClaim, metadata: {name: a, namespace: b, uid: x, annotations: {pv.kubernetes.io/bound-by-controller: "yes", pv.kubernetes.io/bind-completed: "yes"}}, spec: {volumeName: v, resources: {requests: {storage: 2Gi}}}}`,
		}, {
			name: "a volume for the same claim keeps its binding",
			git:  `{apiVersion: v1, kind: PersistentVolume, metadata: {name: a}, spec: {claimRef: {name: c, namespace: d}}}`,
			live: `{apiVersion: v1, kind: PersistentVolume, metadata: {name: a, uid: x}, spec: {claimRef: {name: c, namespace: d, uid: e, resourceVersion: "1"}}}`,
			want: `{apiVersion: v1, kind: PersistentVolume, metadata: {name: a, uid: x}, spec: {claimRef: {name: c, namespace: d, uid: e, resourceVersion: "1"}}}`,
		}, {
			name: "a volume for another claim doesn't",
			git:  `{apiVersion: v1, kind: PersistentVolume, metadata: {name: a}, spec: {claimRef: {name: other, namespace: d}}}`,
			live: `{apiVersion: v1, kind: PersistentVolume, metadata: {name: a, uid: x}, spec: {claimRef: {name: c, namespace: d, uid: e}}}`,
			want: `{apiVersion: v1, kind: PersistentVolume, metadata: {name: a, uid: x}, spec: {claimRef: {name: other, namespace: d}}}`,
		}, {
			name: "nor one that is no longer for a claim",
			git:  `{apiVersion: v1, kind: PersistentVolume, metadata: {name: a}, spec: {}}`,
			live: `{apiVersion: v1, kind: PersistentVolume, metadata: {name: a, uid: x}, spec: {claimRef: {name: c, namespace: d, uid: e}}}`,
			want: `{apiVersion: v1, kind: PersistentVolume, metadata: {name: a, uid: x}, spec: {}}`,
		}, {
			name: "a Pod keeps what was injected", // its specification can't be changed
			git:  `{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: b}, spec: {containers: [{name: c, volumeMounts: [{name: v, mountPath: /v}]}, {name: d}], volumes: [{name: v}]}}`,
			live: `{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: b, uid: x}, spec: {nodeName: n1, priority: 0,
			        containers: [{name: c, volumeMounts: [{name: v, mountPath: /v}, {name: kube-api-access-bcd24, mountPath: /var/run/secrets/kubernetes.io/serviceaccount}]},
			                     {name: d, volumeMounts: [{name: kube-api-access-bcd24, mountPath: /var/run/secrets/kubernetes.io/serviceaccount}]}],
			        volumes: [{name: kube-api-access-bcd24, projected: {sources: [{serviceAccountToken: {path: token}}]}}, {name: v}],
			        tolerations: [{key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 300}]}}`,
			want: `{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: b, uid: x}, spec: {nodeName: n1, priority: 0,
			        containers: [{name: c, volumeMounts: [{name: v, mountPath: /v}, {name: kube-api-access-bcd24, mountPath: /var/run/secrets/kubernetes.io/serviceaccount}]},
			                     {name: d, volumeMounts: [{name: kube-api-access-bcd24, mountPath: /var/run/secrets/kubernetes.io/serviceaccount}]}],
			        volumes: [{name: kube-api-access-bcd24, projected: {sources: [{serviceAccountToken: {path: token}}]}}, {name: v}],
			        tolerations: [{key: node.kubernetes.io/not-ready, operator: Exists, effect: NoExecute, tolerationSeconds: 300}]}}`,
		}, {
			name: "replicas are the autoscaler's", scaled: true,
			git:  `{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, namespace: b}, spec: {paused: true}}`,
			live: `{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, namespace: b, uid: x, annotations: {deployment.kubernetes.io/revision: "3"}}, spec: {replicas: 5}}`,
			want: `{apiVersion: apps/v1, kind: Deployment, metadata: {name: a, namespace: b, uid: x, annotations: {deployment.kubernetes.io/revision: "3"}}, spec: {paused: true, replicas: 5}}`,
		}, {
			name: "gathered rules stay while Git gathers",
			git:  `{apiVersion: v1, kind: ClusterRole, metadata: {name: a}, aggregationRule: {clusterRoleSelectors: []}}`,
			live: `{apiVersion: v1, kind: ClusterRole, metadata: {name: a, uid: x}, aggregationRule: {}, rules: [{verbs: [get]}]}`,
			want: `{apiVersion: v1, kind: ClusterRole, metadata: {name: a, uid: x}, aggregationRule: {clusterRoleSelectors: []}, rules: [{verbs: [get]}]}`,
		}, {
			name: "and go when it doesn't",
			git:  `{apiVersion: v1, kind: ClusterRole, metadata: {name: a}}`,
			live: `{apiVersion: v1, kind: ClusterRole, metadata: {name: a, uid: x}, aggregationRule: {}, rules: [{verbs: [get]}]}`,
			want: `{apiVersion: v1, kind: ClusterRole, metadata: {name: a, uid: x}}`,
		}, {
			name: "an object to be created",
			git:  `{apiVersion: v1, kind: Service, metadata: {name: a, namespace: b}, spec: {ports: [{port: 80, nodePort: 30080}]}}`,
			live: ``,
			want: `{apiVersion: v1, kind: Service, metadata: {name: a, namespace: b}, spec: {ports: [{port: 80, nodePort: 30080}]}}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, git := decodeOne(t, c.git)
			var live map[string]any
			if c.live != "" {
				_, live = decodeOne(t, c.live)
			}
			_, want := decodeOne(t, c.want)
			require.Equal(t, encode(t, want), encode(t, Denormalise(r, git, live, Surroundings{Scaled: c.scaled})))
		})
	}
}
