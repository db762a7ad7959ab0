package merge

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkThreeWay is what an object costs that both sides changed: a Deployment of 3.5 KB.
func BenchmarkThreeWay(b *testing.B) {
	typ := deployment.typed(b)
	base := largeDeployment(b)
	git := largeDeployment(b, "image: shop/cart:1", "image: shop/cart:2", "replicas: 3", "replicas: 4")
	cluster := largeDeployment(b, "image: shop/cart:1", "image: shop/cart:3", "{name: SETTING_7, value: a-value-of-some-length-7}", "{name: SETTING_7, value: other}")
	b.ReportAllocs()
	for b.Loop() {
		if _, conflicts, err := ThreeWay(typ, base, git, cluster, Git); err != nil || len(conflicts) != 1 {
			b.Fatal(conflicts, err)
		}
	}
}

// BenchmarkCarry is what it costs to bring one change of it into its file.
func BenchmarkCarry(b *testing.B) {
	typ := deployment.typed(b)
	from, to := largeDeployment(b), largeDeployment(b, "image: shop/cart:1", "image: shop/cart:3")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Carry(typ, from, from, to); err != nil {
			b.Fatal(err)
		}
	}
}

// largeDeployment is one as an API server answers with it and as it is normalised, with texts replaced.
func largeDeployment(b *testing.B, replaced ...string) map[string]any {
	var env strings.Builder
	for i := range 20 {
		fmt.Fprintf(&env, "\n        - {name: SETTING_%d, value: a-value-of-some-length-%d}", i, i)
	}
	text := `
apiVersion: apps/v1
kind: Deployment
metadata:
  name: cart
  namespace: shop
  labels: {app.kubernetes.io/name: cart, app.kubernetes.io/part-of: shop, app.kubernetes.io/managed-by: people}
  annotations: {example.com/owner: the cart team, example.com/runbook: https://runbooks.example.com/shop/cart}
spec:
  replicas: 3
  progressDeadlineSeconds: 600
  revisionHistoryLimit: 10
  selector: {matchLabels: {app.kubernetes.io/name: cart}}
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 25%, maxUnavailable: 25%}}
  template:
    metadata: {labels: {app.kubernetes.io/name: cart, app.kubernetes.io/part-of: shop}}
    spec:
      containers:
      - name: cart
        image: shop/cart:1
        imagePullPolicy: IfNotPresent
        args: [serve, --listen=:8080, --metrics=:9090]
        ports:
        - {name: http, containerPort: 8080, protocol: TCP}
        - {name: metrics, containerPort: 9090, protocol: TCP}
        livenessProbe: {httpGet: {path: /livez, port: http, scheme: HTTP}, periodSeconds: 10, timeoutSeconds: 1, successThreshold: 1, failureThreshold: 3}
        readinessProbe: {httpGet: {path: /readyz, port: http, scheme: HTTP}, periodSeconds: 10, timeoutSeconds: 1, successThreshold: 1, failureThreshold: 3}
        resources: {requests: {cpu: 100m, memory: 128Mi}, limits: {memory: 256Mi}}
        securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
        terminationMessagePath: /dev/termination-log
        terminationMessagePolicy: File
        volumeMounts:
        - {name: settings, mountPath: /etc/cart, readOnly: true}
        - {name: temporary, mountPath: /tmp}
        env:` + env.String() + `
      dnsPolicy: ClusterFirst
      restartPolicy: Always
      schedulerName: default-scheduler
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      serviceAccountName: cart
      serviceAccount: cart
      terminationGracePeriodSeconds: 30
      volumes:
      - {name: settings, configMap: {name: cart, defaultMode: 420}}
      - {name: temporary, emptyDir: {}}
`
	return parse(b, strings.NewReplacer(replaced...).Replace(text))
}
