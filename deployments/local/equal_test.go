package main

import (
	"slices"
	"testing"

	"sigs.k8s.io/yaml"
)

func TestDifferencesAreThoseThatAUserMade(t *testing.T) {
	const deployment = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: checkout, namespace: lantern-shop}, spec: {replicas: 2}}`
	for name, test := range map[string]struct {
		left, right string
		want        []string
	}{
		"what the server adds": {
			left:  `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: b, uid: "1", resourceVersion: "5"}, data: {k: v}}`,
			right: `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: b, uid: "2", resourceVersion: "9"}, data: {k: v}}`,
		},
		"status": {
			left:  `{apiVersion: v1, kind: Namespace, metadata: {name: a}, status: {phase: Active}}`,
			right: `{apiVersion: v1, kind: Namespace, metadata: {name: a}}`,
		},
		"how it was applied": {
			left:  `{apiVersion: v1, kind: Namespace, metadata: {name: a, annotations: {kubectl.kubernetes.io/last-applied-configuration: x}}}`,
			right: `{apiVersion: v1, kind: Namespace, metadata: {name: a}}`,
		},
		"addresses of a Service": {
			left:  `{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {clusterIP: 10.96.0.7, clusterIPs: [10.96.0.7]}}`,
			right: `{apiVersion: v1, kind: Service, metadata: {name: a}, spec: {clusterIP: 10.96.0.8, clusterIPs: [10.96.0.8]}}`,
		},
		"replicas of the autoscaler": {
			left:  `{apiVersion: apps/v1, kind: Deployment, metadata: {name: storefront, namespace: lantern-shop}, spec: {replicas: 3}}`,
			right: `{apiVersion: apps/v1, kind: Deployment, metadata: {name: storefront, namespace: lantern-shop}, spec: {replicas: 1}}`,
		},
		"a headless Service with an address": {
			left:  `{apiVersion: v1, kind: Service, metadata: {name: a, namespace: b}, spec: {clusterIP: None}}`,
			right: `{apiVersion: v1, kind: Service, metadata: {name: a, namespace: b}, spec: {clusterIP: 10.96.0.8}}`,
			want:  []string{"Service b/a differs"},
		},
		"replicas": {
			left:  deployment,
			right: `{apiVersion: apps/v1, kind: Deployment, metadata: {name: checkout, namespace: lantern-shop}, spec: {replicas: 5}}`,
			want:  []string{"Deployment.apps lantern-shop/checkout differs"},
		},
		"a label": {
			left:  deployment,
			right: `{apiVersion: apps/v1, kind: Deployment, metadata: {name: checkout, namespace: lantern-shop, labels: {a: b}}, spec: {replicas: 2}}`,
			want:  []string{"Deployment.apps lantern-shop/checkout differs"},
		},
		"an annotation": {
			left:  deployment,
			right: `{apiVersion: apps/v1, kind: Deployment, metadata: {name: checkout, namespace: lantern-shop, annotations: {a: b}}, spec: {replicas: 2}}`,
			want:  []string{"Deployment.apps lantern-shop/checkout differs"},
		},
		"fields outside of spec": {
			left:  `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: b}, data: {k: v}}`,
			right: `{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: b}, data: {k: w}}`,
			want:  []string{"ConfigMap b/a differs"},
		},
		"a missing object": {left: deployment, want: []string{"Deployment.apps lantern-shop/checkout is missing"}},
		"an extra object":  {right: deployment, want: []string{"Deployment.apps lantern-shop/checkout is too many"}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := differences(objects(t, test.left), objects(t, test.right)); !slices.Equal(got, test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func objects(t *testing.T, text string) []object {
	t.Helper()
	if text == "" {
		return nil
	}
	var o object
	if err := yaml.Unmarshal([]byte(text), &o); err != nil {
		t.Fatal(err)
	}
	return []object{o}
}
