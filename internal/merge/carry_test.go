package merge

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChangesAreCarriedIntoAPartialManifest(t *testing.T) {
	for _, c := range []struct {
		name          string
		place         place
		doc, from, to string
		want          string
	}{
		{
			name:  "one field, and no default of the server",
			place: deployment,
			doc:   `{replicas: 1}`,
			from:  `{replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600}`,
			to:    `{replicas: 3, revisionHistoryLimit: 10, progressDeadlineSeconds: 600}`,
			want:  `{replicas: 3}`,
		},
		{
			name:  "a default that was changed",
			place: deployment,
			doc:   `{replicas: 1}`,
			from:  `{replicas: 1, strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 25%, maxUnavailable: 25%}}}`,
			to:    `{replicas: 1, strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 50%, maxUnavailable: 25%}}}`,
			want:  `{replicas: 1, strategy: {rollingUpdate: {maxSurge: 50%}}}`,
		},
		{
			name:  "a default that went away leaves nothing behind",
			place: deployment,
			doc:   `{replicas: 1}`,
			from:  `{replicas: 1, strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 25%, maxUnavailable: 25%}}}`,
			to:    `{replicas: 1, strategy: {type: Recreate}}`,
			want:  `{replicas: 1, strategy: {type: Recreate}}`,
		},
		{
			name:  "a field that was removed, where it was written and where not",
			place: pods,
			doc:   `{hostNetwork: true, securityContext: {runAsUser: 1}}`,
			from:  `{hostNetwork: true, securityContext: {runAsUser: 1, fsGroup: 2}, dnsConfig: {searches: [a]}}`,
			to:    `{securityContext: {runAsUser: 1}}`,
			want:  `{securityContext: {runAsUser: 1}}`,
		},
		{
			name:  "a default below one that went away leaves nothing behind",
			place: pods,
			doc:   `{hostNetwork: true}`,
			from:  `{hostNetwork: true, securityContext: {runAsUser: 1, fsGroup: 2}, volumes: [{name: a}, {name: b}]}`,
			to:    `{hostNetwork: true, securityContext: {runAsUser: 1}, volumes: [{name: b}]}`,
			want:  `{hostNetwork: true}`,
		},
		{
			name:  "a map that is emptied stays, for it may mean something",
			place: pods,
			doc:   `{volumes: [{name: data, emptyDir: {sizeLimit: 1Gi}}]}`,
			from:  `{volumes: [{name: data, emptyDir: {sizeLimit: 1Gi}}]}`,
			to:    `{volumes: [{name: data, emptyDir: {}}]}`,
			want:  `{volumes: [{name: data, emptyDir: {}}]}`,
		},
		{
			name:  "a label where there were none",
			place: metadata,
			doc:   `{}`,
			from:  `{}`,
			to:    `{labels: {a: b}}`,
			want:  `{labels: {a: b}}`,
		},
		{
			name:  "a label where a webhook has set one, and the file says null",
			place: metadata,
			doc:   `{labels: null}`,
			from:  `{labels: {webhook: x}}`,
			to:    `{labels: {webhook: x, a: b}}`,
			want:  `{labels: {a: b}}`,
		},
		{
			name:  "items: one changed, one added, one removed, in the order of the file",
			place: pods,
			doc:   `{containers: [{name: app, image: "app:1", env: [{name: Z, value: "1"}, {name: B, value: "1"}, {name: A, value: "1"}]}]}`,
			from:  `{containers: [{name: app, image: "app:1", tty: false, env: [{name: Z, value: "1"}, {name: B, value: "1"}, {name: A, value: "1"}]}]}`,
			to:    `{containers: [{name: app, image: "app:1", tty: false, env: [{name: Z, value: "1"}, {name: NEW, value: "1"}, {name: A, value: "2"}]}]}`,
			want:  `{containers: [{name: app, image: "app:1", env: [{name: Z, value: "1"}, {name: NEW, value: "1"}, {name: A, value: "2"}]}]}`,
		},
		{
			name:  "a sidecar that a webhook adds doesn't come in, unless somebody changes it",
			place: pods,
			doc:   `{containers: [{name: app, image: "app:1"}]}`,
			from:  `{containers: [{name: app, image: "app:1", tty: false}, {name: mesh, image: "mesh:1"}, {name: log, image: "log:1", tty: false}]}`,
			to:    `{containers: [{name: app, image: "app:2", tty: false}, {name: mesh, image: "mesh:1"}, {name: log, image: "log:2", tty: false}]}`,
			want:  `{containers: [{name: app, image: "app:2"}, {name: log, image: "log:2", tty: false}]}`,
		},
		{
			name:  "the sidecar is removed, and the file never had it",
			place: pods,
			doc:   `{containers: [{name: app, image: "app:1"}]}`,
			from:  `{containers: [{name: app, image: "app:1"}, {name: mesh, image: "mesh:1"}]}`,
			to:    `{containers: [{name: app, image: "app:1"}]}`,
			want:  `{containers: [{name: app, image: "app:1"}]}`,
		},
		{
			name:  "the order is what changed",
			place: pods,
			doc:   `{initContainers: [{name: a}, {name: c}]}`,
			from:  `{initContainers: [{name: a, tty: false}, {name: b}, {name: c, tty: false}]}`,
			to:    `{initContainers: [{name: c, tty: false}, {name: b}, {name: a, tty: true}]}`,
			want:  `{initContainers: [{name: c}, {name: a, tty: true}]}`,
		},
		{
			name:  "a key that the file leaves to its default",
			place: service,
			doc:   `{ports: [{port: 80}, {port: 53, protocol: UDP}]}`,
			from:  `{ports: [{port: 80, protocol: TCP, targetPort: 80}, {port: 53, protocol: UDP, targetPort: 53}]}`,
			to:    `{ports: [{port: 80, protocol: TCP, targetPort: 8080}, {port: 53, protocol: UDP, targetPort: 53}]}`,
			want:  `{ports: [{port: 80, targetPort: 8080}, {port: 53, protocol: UDP}]}`,
		},
		{
			name:  "a port that was removed, by a key that the file leaves to its default",
			place: service,
			doc:   `{ports: [{port: 80}, {port: 53, protocol: UDP}]}`,
			from:  `{ports: [{port: 80, protocol: TCP, targetPort: 80}, {port: 53, protocol: UDP, targetPort: 53}]}`,
			to:    `{ports: [{port: 53, protocol: UDP, targetPort: 53}]}`,
			want:  `{ports: [{port: 53, protocol: UDP}]}`,
		},
		{
			name:  "an atomic list as a whole",
			place: pods,
			doc:   `{tolerations: [{key: a}]}`,
			from:  `{tolerations: [{key: a}, {key: webhook}]}`,
			to:    `{tolerations: [{key: b}, {key: webhook}]}`,
			want:  `{tolerations: [{key: b}, {key: webhook}]}`,
		},
		{
			name:  "a list with a variable that is there twice, as a whole",
			place: pods,
			doc:   `{containers: [{name: app, env: [{name: A, value: "1"}, {name: A, value: "2"}]}]}`,
			from:  `{containers: [{name: app, tty: false, env: [{name: A, value: "1"}, {name: A, value: "2"}]}]}`,
			to:    `{containers: [{name: app, tty: false, env: [{name: A, value: "2"}]}]}`,
			want:  `{containers: [{name: app, env: [{name: A, value: "2"}]}]}`,
		},
		{
			name:  "a set",
			place: widget,
			doc:   `{tags: [c, a]}`,
			from:  `{tags: [a, c, webhook]}`,
			to:    `{tags: [b, c, webhook]}`,
			want:  `{tags: [b, c]}`,
		},
		{
			name:  "what stands in the file in another form",
			place: widget,
			doc:   `{free: text, tags: a}`,
			from:  `{free: {a: 1, b: 1}, tags: [a]}`,
			to:    `{free: {a: 2, b: 1}, tags: [a, b]}`,
			want:  `{free: {a: 2, b: 1}, tags: [a, b]}`,
		},
		{
			name:  "keys of a ConfigMap",
			place: configMap,
			doc:   `{a: "1", b: "1"}`,
			from:  `{a: "1", b: "1"}`,
			to:    `{b: "2", c: "3"}`,
			want:  `{b: "2", c: "3"}`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			doc := c.place.object(t, c.doc)
			got, err := Carry(c.place.typed(t), doc, c.place.object(t, c.from), c.place.object(t, c.to))
			require.NoError(t, err)
			require.Equal(t, c.place.object(t, c.want), got)
			require.Equal(t, c.place.object(t, c.doc), doc)
		})
	}
}

func TestWithoutASchemaAChangedListIsCarriedAsAWhole(t *testing.T) {
	doc := pods.object(t, `{containers: [{name: app}]}`)
	from := pods.object(t, `{containers: [{name: app, tty: false}], dnsPolicy: Default}`)
	to := pods.object(t, `{containers: [{name: app, tty: true}], dnsPolicy: Default}`)
	got, err := Carry(Type{}, doc, from, to)
	require.NoError(t, err)
	require.Equal(t, pods.object(t, `{containers: [{name: app, tty: true}]}`), got)
}
