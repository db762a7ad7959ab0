package manifest

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSkip(t *testing.T) {
	resource := func(group, name string) Resource { return Resource{Group: group, Name: name, Namespaced: true} }
	for _, c := range []struct {
		resource Resource
		object   string
		reason   string
	}{
		{deployments, `{metadata: {name: a, namespace: b}}`, ""},
		{deployments, `{metadata: {name: a, namespace: b, annotations: {active-cluster-sync.io/ignore: "true"}}}`, ReasonIgnored},
		{deployments, `{metadata: {name: a, namespace: b, annotations: {active-cluster-sync.io/ignore: "false"}}}`, ""},
		{deployments, `{metadata: {name: a, namespace: b, ownerReferences: [{kind: X, controller: true}]}}`, ReasonOwned},
		{deployments, `{metadata: {name: a, namespace: b, ownerReferences: [{kind: X}, {kind: Y, controller: false}]}}`, ""},
		{deployments, `{metadata: {name: a, namespace: b, deletionTimestamp: "2026-01-01T00:00:00Z", finalizers: [x]}}`, ""},
		{resource("", "secrets"), `{type: Opaque}`, ReasonSecret},
		{resource("", "secrets"), `{type: helm.sh/release.v1}`, ReasonSecret},
		{resource("", "secrets"), `{type: kubernetes.io/service-account-token}`, ReasonAccountToken},
		{resource("", "secrets"), `{type: bootstrap.kubernetes.io/token}`, ReasonBootstrapToken},
		{resource("", "configmaps"), `{metadata: {name: kube-root-ca.crt, namespace: b}}`, ReasonKubernetes},
		{resource("", "configmaps"), `{metadata: {name: istio-ca-root-cert, namespace: b}}`, ReasonPublished},
		{resource("", "configmaps"), `{metadata: {name: cluster-info, namespace: kube-public}}`, ReasonKubernetes},
		{resource("", "configmaps"), `{metadata: {name: cluster-info, namespace: b}}`, ""},
		{resource("", "configmaps"), `{metadata: {name: extension-apiserver-authentication, namespace: kube-system}}`, ReasonKubernetes},
		{resource("", "configmaps"), `{metadata: {name: a, namespace: b, annotations: {control-plane.alpha.kubernetes.io/leader: x}}}`, ReasonLock},
		{resource("", "configmaps"), `{metadata: {name: a, namespace: b, annotations: {control-plane.alpha.kubernetes.io/leader: x}}, data: {a: b}}`, ""},
		{services, `{metadata: {name: kubernetes, namespace: default}}`, ReasonKubernetes},
		{services, `{metadata: {name: kubernetes, namespace: b}}`, ""},
		{services, `{metadata: {name: a, namespace: active-cluster-sync}}`, ReasonSync},
		{resource("admissionregistration.k8s.io", "validatingadmissionpolicies"), `{metadata: {name: active-cluster-sync-lock-standby}}`, ReasonSync},
		{resource("admissionregistration.k8s.io", "validatingadmissionpolicybindings"), `{metadata: {name: active-cluster-sync-lock-standby}}`, ReasonSync},
		{resource("admissionregistration.k8s.io", "validatingadmissionpolicies"), `{metadata: {name: theirs}}`, ""},
		{resource("", "serviceaccounts"), `{metadata: {name: default, namespace: b, uid: x, creationTimestamp: x}}`, ReasonKubernetes},
		{resource("", "serviceaccounts"), `{metadata: {name: default, namespace: b}, secrets: [{name: default-token-x7k2p}]}`, ReasonKubernetes},
		{resource("", "serviceaccounts"), `{metadata: {name: default, namespace: b}, imagePullSecrets: [{name: pull}]}`, ""},
		{resource("", "serviceaccounts"), `{metadata: {name: default, namespace: b}, automountServiceAccountToken: false}`, ""},
		{resource("", "serviceaccounts"), `{metadata: {name: default, namespace: b, annotations: {a: b}}}`, ""},
		{resource("", "serviceaccounts"), `{metadata: {name: other, namespace: b}}`, ""},
		{namespaces, `{metadata: {name: default, uid: x, labels: {kubernetes.io/metadata.name: default}}, spec: {finalizers: [kubernetes]}, status: {phase: Active}}`, ReasonKubernetes},
		{namespaces, `{metadata: {name: default, labels: {kubernetes.io/metadata.name: default, istio-injection: enabled}}, spec: {finalizers: [kubernetes]}}`, ""},
		{namespaces, `{metadata: {name: shop}}`, ""},
		{resource("", "pods"), `{metadata: {name: a, namespace: b}, status: {phase: Running}}`, ""},
		{resource("", "pods"), `{metadata: {name: a, namespace: b}, status: {phase: Succeeded}}`, ReasonFinishedPod},
		{resource("", "pods"), `{metadata: {name: a, namespace: b}, status: {phase: Failed}}`, ReasonFinishedPod},
		{resource("", "pods"), `{metadata: {name: a, namespace: b, annotations: {kubernetes.io/config.mirror: x}}}`, ReasonMirrorPod},
		{resource("batch", "jobs"), `{metadata: {name: a, namespace: b}}`, ReasonJob},
		{resource("batch", "cronjobs"), `{metadata: {name: a, namespace: b}}`, ""},
		{resource("", "persistentvolumes"), `{metadata: {name: a, annotations: {pv.kubernetes.io/provisioned-by: x}}}`, ReasonProvisioned},
		{resource("", "persistentvolumes"), `{metadata: {name: a}}`, ""},
		{clusterRoles, `{metadata: {name: admin, labels: {kubernetes.io/bootstrapping: rbac-defaults}}}`, ReasonKubernetes},
		{clusterRoles, `{metadata: {name: system:mine}}`, ""},
		{roles, `{metadata: {name: a, namespace: b, labels: {kubernetes.io/bootstrapping: rbac-defaults}}}`, ReasonKubernetes},
		{resource("apiregistration.k8s.io", "apiservices"), `{metadata: {name: v1., labels: {kube-aggregator.kubernetes.io/automanaged: onstart}}}`, ReasonKubernetes},
		{resource("apiregistration.k8s.io", "apiservices"), `{metadata: {name: v1beta1.metrics.k8s.io}}`, ""},
		{resource("flowcontrol.apiserver.k8s.io", "flowschemas"), `{metadata: {name: exempt, annotations: {apf.kubernetes.io/autoupdate-spec: "true"}}}`, ReasonKubernetes},
		{resource("flowcontrol.apiserver.k8s.io", "flowschemas"), `{metadata: {name: exempt, annotations: {apf.kubernetes.io/autoupdate-spec: "false"}}}`, ""},
		{resource("scheduling.k8s.io", "priorityclasses"), `{metadata: {name: system-node-critical}}`, ReasonKubernetes},
		{resource("scheduling.k8s.io", "priorityclasses"), `{metadata: {name: high}}`, ""},
		{resource("networking.k8s.io", "servicecidrs"), `{metadata: {name: kubernetes}}`, ReasonKubernetes},
		{resource("certificates.k8s.io", "clustertrustbundles"), `{spec: {signerName: kubernetes.io/kube-apiserver-serving}}`, ReasonKubernetes},
		{resource("certificates.k8s.io", "clustertrustbundles"), `{spec: {signerName: example.com/mine}}`, ""},
		{resource("", "events"), `{}`, ReasonUnwatched},
		{resource("acme.cert-manager.io", "orders"), `{}`, ReasonUnwatched},
		{resource("example.com", "secrets"), `{metadata: {name: a, namespace: b}}`, ""},
		{resource("example.com", "jobs"), `{metadata: {name: a, namespace: b}}`, ""},
	} {
		obj := decodeAny(t, c.object)
		before := cloneObject(obj)
		reason, skip := Skip(c.resource, obj, Selection{})
		require.Equal(t, c.reason, reason, c.object)
		require.Equal(t, c.reason != "", skip, c.object)
		require.Equal(t, before, obj, "Skip changes the object")
	}
}

// decodeAny reads YAML that need not be a whole object.
func decodeAny(t *testing.T, text string) map[string]any {
	t.Helper()
	values, err := part{text: []byte(text), line: 1}.parse()
	require.Nil(t, err)
	return values[0].value.(map[string]any)
}

func TestWatchResource(t *testing.T) {
	for resource, watched := range map[Resource]bool{
		deployments: true, services: true, namespaces: true, clusterRoles: true,
		{Name: "secrets"}:                                                    true,
		{Name: "pods"}:                                                       true,
		{Name: "events"}:                                                     false,
		{Name: "nodes"}:                                                      false,
		{Name: "endpoints"}:                                                  false,
		{Name: "events", Group: "example.com"}:                               true,
		{Name: "events", Group: "events.k8s.io"}:                             false,
		{Name: "leases", Group: "coordination.k8s.io"}:                       false,
		{Name: "endpointslices", Group: "discovery.k8s.io"}:                  false,
		{Name: "pods", Group: "metrics.k8s.io"}:                              false,
		{Name: "tokenreviews", Group: "authentication.k8s.io"}:               false,
		{Name: "certificates", Group: "cert-manager.io"}:                     true,
		{Name: "certificaterequests", Group: "cert-manager.io"}:              false,
		{Name: "ciliumidentities", Group: "cilium.io"}:                       false,
		{Name: "ciliumnetworkpolicies", Group: "cilium.io"}:                  true,
		{Name: "policyreports", Group: "wgpolicyk8s.io"}:                     false,
		{Name: "resourceclaims", Group: "resource.k8s.io"}:                   true,
		{Name: "storageversionmigrations", Group: "storagemigration.k8s.io"}: false,
	} {
		require.Equal(t, watched, WatchResource(resource), resource.String())
	}
}

func TestScaleTargets(t *testing.T) {
	for object, want := range map[string][]ID{
		`{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: h, namespace: ns}, spec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: d}}}`: {{"apps", "Deployment", "ns", "d"}},
		`{apiVersion: autoscaling/v1, kind: HorizontalPodAutoscaler, metadata: {name: h, namespace: ns}, spec: {scaleTargetRef: {kind: ReplicationController, name: d}}}`:           {{"", "ReplicationController", "ns", "d"}},
		`{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: h, namespace: ns}, spec: {}}`:                                                                 nil,
		`{apiVersion: example.com/v2, kind: HorizontalPodAutoscaler, metadata: {name: h, namespace: ns}, spec: {scaleTargetRef: {kind: A, name: d}}}`:                               nil,
		`{apiVersion: apps/v1, kind: Deployment, metadata: {name: h, namespace: ns}, spec: {scaleTargetRef: {kind: A, name: d}}}`:                                                   nil,
	} {
		require.Equal(t, want, ScaleTargets(decodeAny(t, object)), object)
	}
}

func TestIDOf(t *testing.T) {
	for object, want := range map[string]string{
		`{apiVersion: apps/v1, kind: Deployment, metadata: {name: cart, namespace: shop}}`: "Deployment.apps shop/cart",
		`{apiVersion: v1, kind: Namespace, metadata: {name: shop}}`:                        "Namespace shop",
		`{metadata: []}`: " ",
	} {
		require.Equal(t, want, IDOf(decodeAny(t, object)).String())
	}
}
