package merge

import "testing"

func TestFieldsThatOnlyMakeSenseTogetherAreDecidedTogether(t *testing.T) {
	pods.tell(t, []story{
		{
			name:          "Git has a variable refer to a Secret, the cluster changes its value",
			base:          `{containers: [{name: app, env: [{name: A, value: "1"}]}]}`,
			git:           `{containers: [{name: app, env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: k}}}]}]}`,
			cluster:       `{containers: [{name: app, tty: true, env: [{name: A, value: "2"}]}]}`,
			merged:        `{containers: [{name: app, tty: true, env: [{name: A, valueFrom: {secretKeyRef: {name: s, key: k}}}]}]}`,
			conflicts:     []string{"/containers/0/env/0/value", "/containers/0/env/0/valueFrom"},
			preferCluster: `{containers: [{name: app, tty: true, env: [{name: A, value: "2"}]}]}`,
		},
		{
			name:          "both replace a probe's way of probing",
			base:          `{containers: [{name: app, livenessProbe: {httpGet: {port: 80}, periodSeconds: 10}}]}`,
			git:           `{containers: [{name: app, livenessProbe: {tcpSocket: {port: 80}, periodSeconds: 10}}]}`,
			cluster:       `{containers: [{name: app, livenessProbe: {grpc: {port: 81}, periodSeconds: 20}}]}`,
			merged:        `{containers: [{name: app, livenessProbe: {tcpSocket: {port: 80}, periodSeconds: 20}}]}`,
			conflicts:     []string{"/containers/0/livenessProbe/grpc", "/containers/0/livenessProbe/tcpSocket"},
			preferCluster: `{containers: [{name: app, livenessProbe: {grpc: {port: 81}, periodSeconds: 20}}]}`,
		},
		{
			name:    "one replaces it, the other changes how often",
			base:    `{containers: [{name: app, livenessProbe: {httpGet: {port: 80}, periodSeconds: 10}}]}`,
			git:     `{containers: [{name: app, livenessProbe: {tcpSocket: {port: 80}, periodSeconds: 10}}]}`,
			cluster: `{containers: [{name: app, livenessProbe: {httpGet: {port: 80}, periodSeconds: 20}}]}`,
			merged:  `{containers: [{name: app, livenessProbe: {tcpSocket: {port: 80}, periodSeconds: 20}}]}`,
		},
		{
			name:    "the other replaces it, and one changes how often",
			base:    `{containers: [{name: app, livenessProbe: {httpGet: {port: 80}, periodSeconds: 10}}]}`,
			git:     `{containers: [{name: app, livenessProbe: {httpGet: {port: 80}, periodSeconds: 20}}]}`,
			cluster: `{containers: [{name: app, livenessProbe: {tcpSocket: {port: 80}, periodSeconds: 10}}]}`,
			merged:  `{containers: [{name: app, livenessProbe: {tcpSocket: {port: 80}, periodSeconds: 20}}]}`,
		},
		{
			name:    "neither replaces it, and both change how it probes",
			base:    `{containers: [{name: app, livenessProbe: {httpGet: {port: 80, path: /}}}]}`,
			git:     `{containers: [{name: app, livenessProbe: {httpGet: {port: 80, path: /live}}}]}`,
			cluster: `{containers: [{name: app, livenessProbe: {httpGet: {port: 81, path: /}}}]}`,
			merged:  `{containers: [{name: app, livenessProbe: {httpGet: {port: 81, path: /live}}}]}`,
		},
		{
			name:          "one replaces a volume's source, the other changes it",
			base:          `{containers: [{name: app}], volumes: [{name: data, emptyDir: {}}]}`,
			git:           `{containers: [{name: app}], volumes: [{name: data, secret: {secretName: data, optional: true}}]}`,
			cluster:       `{containers: [{name: app}], volumes: [{name: data, emptyDir: {sizeLimit: 1Gi}}]}`,
			merged:        `{containers: [{name: app}], volumes: [{name: data, secret: {secretName: data, optional: true}}]}`,
			conflicts:     []string{"/volumes/0/emptyDir", "/volumes/0/secret"},
			preferCluster: `{containers: [{name: app}], volumes: [{name: data, emptyDir: {sizeLimit: 1Gi}}]}`,
		},
		{
			name:          "both add a volume of the same name",
			base:          `{containers: [{name: app}]}`,
			git:           `{containers: [{name: app}], volumes: [{name: data, emptyDir: {}}]}`,
			cluster:       `{containers: [{name: app}], volumes: [{name: data, configMap: {name: data}}]}`,
			merged:        `{containers: [{name: app}], volumes: [{name: data, emptyDir: {}}]}`,
			conflicts:     []string{"/volumes/0/configMap", "/volumes/0/emptyDir"},
			preferCluster: `{containers: [{name: app}], volumes: [{name: data, configMap: {name: data}}]}`,
		},
		{
			name:          "a security profile's type and its file",
			base:          `{securityContext: {seccompProfile: {type: RuntimeDefault}}}`,
			git:           `{securityContext: {seccompProfile: {type: Localhost, localhostProfile: a.json}}}`,
			cluster:       `{securityContext: {seccompProfile: {type: Unconfined}}}`,
			merged:        `{securityContext: {seccompProfile: {type: Localhost, localhostProfile: a.json}}}`,
			conflicts:     []string{"/securityContext/seccompProfile/localhostProfile", "/securityContext/seccompProfile/type"},
			preferCluster: `{securityContext: {seccompProfile: {type: Unconfined}}}`,
		},
	})
	budget.tell(t, []story{{
		name:          "a budget says what must be there or what may be missing",
		base:          `{minAvailable: 1}`,
		git:           `{maxUnavailable: 1}`,
		cluster:       `{minAvailable: 2, unhealthyPodEvictionPolicy: AlwaysAllow}`,
		merged:        `{maxUnavailable: 1, unhealthyPodEvictionPolicy: AlwaysAllow}`,
		conflicts:     []string{"/maxUnavailable", "/minAvailable"},
		preferCluster: `{minAvailable: 2, unhealthyPodEvictionPolicy: AlwaysAllow}`,
	}})
	service.tell(t, []story{{
		name:          "a service's type and what only that type has",
		base:          `{type: NodePort, externalTrafficPolicy: Cluster, ports: [{port: 80, protocol: TCP, targetPort: 80}]}`,
		git:           `{type: LoadBalancer, externalTrafficPolicy: Cluster, loadBalancerClass: a, ports: [{port: 80, protocol: TCP, targetPort: 80}]}`,
		cluster:       `{type: ClusterIP, externalTrafficPolicy: Cluster, ports: [{port: 80, protocol: TCP, targetPort: 8080}]}`,
		merged:        `{type: LoadBalancer, externalTrafficPolicy: Cluster, loadBalancerClass: a, ports: [{port: 80, protocol: TCP, targetPort: 8080}]}`,
		conflicts:     []string{"/loadBalancerClass", "/type"},
		preferCluster: `{type: ClusterIP, externalTrafficPolicy: Cluster, ports: [{port: 80, protocol: TCP, targetPort: 8080}]}`,
	}})
}

func TestOtherKindsMerge(t *testing.T) {
	service.tell(t, []story{{
		name:          "a service's ports are told apart by number and protocol",
		base:          `{ports: [{port: 53, protocol: TCP, targetPort: 53}, {port: 53, protocol: UDP, targetPort: 53}]}`,
		git:           `{ports: [{port: 53, protocol: TCP, targetPort: 5353}, {port: 53, protocol: UDP, targetPort: 53}]}`,
		cluster:       `{ports: [{port: 53, protocol: UDP, targetPort: 5354}, {port: 80, protocol: TCP, targetPort: 80}]}`,
		merged:        `{ports: [{port: 53, protocol: TCP, targetPort: 5353}, {port: 53, protocol: UDP, targetPort: 5354}, {port: 80, protocol: TCP, targetPort: 80}]}`,
		conflicts:     []string{"/ports/0"},
		preferCluster: `{ports: [{port: 53, protocol: UDP, targetPort: 5354}, {port: 80, protocol: TCP, targetPort: 80}]}`,
	}})
	configMap.tell(t, []story{
		{
			name:          "the keys of a ConfigMap",
			base:          `{a: "1", b: "1", c: "1"}`,
			git:           `{a: "2", b: "2", c: "1", d: "2"}`,
			cluster:       `{a: "1", b: "3", e: "3"}`,
			merged:        `{a: "2", b: "2", d: "2", e: "3"}`,
			conflicts:     []string{"/b"},
			preferCluster: `{a: "2", b: "3", d: "2", e: "3"}`,
		},
		{
			name:    "keys that have the names of a pod's alternatives",
			base:    `{value: "1"}`,
			git:     `{value: "1", configMap: a, type: a}`,
			cluster: `{secret: a, valueFrom: b, value: "1"}`,
			merged:  `{secret: a, configMap: a, valueFrom: b, value: "1", type: a}`,
		},
	})
	role.tell(t, []story{{
		name:          "a role's rules are one value",
		base:          `[{apiGroups: [""], resources: [pods], verbs: [get]}]`,
		git:           `[{apiGroups: [""], resources: [pods], verbs: [get, list]}]`,
		cluster:       `[{apiGroups: [""], resources: [pods, services], verbs: [get]}]`,
		merged:        `[{apiGroups: [""], resources: [pods], verbs: [get, list]}]`,
		conflicts:     []string{""},
		preferCluster: `[{apiGroups: [""], resources: [pods, services], verbs: [get]}]`,
	}})
	autoscaler.tell(t, []story{{
		name:          "an autoscaler's metrics are one value, its bounds are not",
		base:          `{minReplicas: 1, maxReplicas: 3, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 80}}}]}`,
		git:           `{minReplicas: 2, maxReplicas: 3, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]}`,
		cluster:       `{minReplicas: 1, maxReplicas: 5, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}]}`,
		merged:        `{minReplicas: 2, maxReplicas: 5, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 70}}}]}`,
		conflicts:     []string{"/metrics"},
		preferCluster: `{minReplicas: 2, maxReplicas: 5, metrics: [{type: Resource, resource: {name: cpu, target: {type: Utilization, averageUtilization: 60}}}]}`,
	}})
	widget.tell(t, []story{
		{
			name:          "a custom resource says by its schema what its lists and maps are",
			base:          `{size: 1, tags: [a, b], steps: [x], colour: {red: 1, green: 1}, ports: [{port: 1, protocol: TCP}]}`,
			git:           `{size: 1, tags: [a, b, c], steps: [x, y], colour: {red: 2, green: 1}, ports: [{port: 1, protocol: TCP, target: t}]}`,
			cluster:       `{size: 2, tags: [b, d], steps: [z], colour: {red: 1, green: 2}, ports: [{port: 1, protocol: UDP}, {port: 1, protocol: TCP}]}`,
			merged:        `{size: 2, tags: [b, d, c], steps: [x, y], colour: {red: 2, green: 1}, ports: [{port: 1, protocol: UDP}, {port: 1, protocol: TCP, target: t}]}`,
			conflicts:     []string{"/colour", "/steps"},
			preferCluster: `{size: 2, tags: [b, d, c], steps: [z], colour: {red: 1, green: 2}, ports: [{port: 1, protocol: UDP}, {port: 1, protocol: TCP, target: t}]}`,
		},
		{
			name:          "fields that are alternatives in a pod, and not here",
			base:          `{image: "a:1", size: 1}`,
			git:           `{image: "a:2", size: 1}`,
			cluster:       `{image: "a:3", secret: a, size: 1}`,
			merged:        `{image: "a:2", secret: a, size: 1}`,
			conflicts:     []string{"/image"},
			preferCluster: `{image: "a:3", secret: a, size: 1}`,
		},
		{
			name:          "what the schema leaves open merges by fields, its lists are one value",
			base:          `{free: {a: 1, deep: {b: 1}, list: [{name: x}]}}`,
			git:           `{free: {a: 2, deep: {b: 1, c: 1}, list: [{name: x}, {name: y}]}}`,
			cluster:       `{free: {a: 1, deep: {b: 2}, list: [{name: x}, {name: z}]}}`,
			merged:        `{free: {a: 2, deep: {b: 2, c: 1}, list: [{name: x}, {name: y}]}}`,
			conflicts:     []string{"/free/list"},
			preferCluster: `{free: {a: 2, deep: {b: 2, c: 1}, list: [{name: x}, {name: z}]}}`,
		},
		{
			name:          "a null is a value",
			base:          `{free: {a: 1, b: 1}}`,
			git:           `{free: {a: null, b: 1}}`,
			cluster:       `{free: {b: null}}`,
			merged:        `{free: {a: null, b: null}}`,
			conflicts:     []string{"/free/a"},
			preferCluster: `{free: {b: null}}`,
		},
		{
			name:          "a pointer escapes names",
			base:          `{env: {}}`,
			git:           `{env: {"a~b/c": x}}`,
			cluster:       `{env: {"a~b/c": y}}`,
			merged:        `{env: {"a~b/c": x}}`,
			conflicts:     []string{"/env/a~0b~1c"},
			preferCluster: `{env: {"a~b/c": y}}`,
		},
	})
}
