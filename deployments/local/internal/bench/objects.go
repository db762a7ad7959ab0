package bench

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// kind is one of the kinds that a cluster is filled with.
type kind struct {
	version  string // apiVersion
	name     string
	resource string
	folder   string // as in the repository: <resource>[.<group>]
	share    int    // of shares
	fill     func(object map[string]any, n int, random *rand.Rand)
}

// shares is the sum of all kinds' shares. Every so many objects in a row have
// the same mix.
const shares = 20

// kinds are roughly what a busy cluster holds. Nothing runs: Deployments have
// no replicas and CronJobs are suspended. Services have no address, of which
// there would be too few, and no selector, which would add endpoints.
var kinds = []kind{
	{"v1", "ConfigMap", "configmaps", "configmaps", 8, fillConfigMap},
	{"apps/v1", "Deployment", "deployments", "deployments.apps", 3, fillDeployment},
	{"v1", "Service", "services", "services", 2, fillService},
	{"v1", "ServiceAccount", "serviceaccounts", "serviceaccounts", 2, fillServiceAccount},
	{"rbac.authorization.k8s.io/v1", "Role", "roles", "roles.rbac.authorization.k8s.io", 1, fillRole},
	{"rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", "rolebindings.rbac.authorization.k8s.io", 1, fillRoleBinding},
	{"v1", "Secret", secrets, secrets, 1, fillSecret},
	{"batch/v1", "CronJob", "cronjobs", "cronjobs.batch", 1, fillCronJob},
	{"bench.example.com/v1", "Widget", "widgets", "widgets.bench.example.com", 1, fillWidget},
}

// secrets are left out by default or by choice, so they are counted apart.
const secrets = "secrets"

// object is one of those that a cluster is filled with.
type object struct {
	kind
	namespace, id string
	number        int
}

// objects returns n objects, the same at each call. The kinds come in turn and
// fill one namespace after the other.
func objects(n int) []object {
	var turn []kind
	for _, k := range kinds {
		for range k.share {
			turn = append(turn, k)
		}
	}
	all := make([]object, n)
	for i := range all {
		k := turn[i%shares]
		all[i] = object{
			kind:      k,
			namespace: fmt.Sprintf("%s%04d", namespacePrefix, i/perNamespace),
			id:        fmt.Sprintf("%s-%06d", strings.ToLower(k.name), i),
			number:    i,
		}
	}
	return all
}

const (
	namespacePrefix = "bench-"
	perNamespace    = 100
)

// collection is where an object is created.
func (o object) collection() string {
	prefix := "/apis/"
	if o.version == "v1" {
		prefix = "/api/"
	}
	return prefix + o.version + "/namespaces/" + o.namespace + "/" + o.resource
}

func (o object) path() string { return o.collection() + "/" + o.id }

func (o object) body() map[string]any {
	body := map[string]any{
		"apiVersion": o.version,
		"kind":       o.name,
		"metadata": map[string]any{
			"name": o.id, "namespace": o.namespace,
			"labels": map[string]any{
				"app.kubernetes.io/name":       fmt.Sprintf("app-%d", o.number/shares),
				"app.kubernetes.io/managed-by": "bench",
			},
		},
	}
	o.fill(body, o.number, rand.New(rand.NewPCG(uint64(o.number), 7)))
	return body
}

// prose is text that compresses as configuration does, a random text wouldn't.
func prose(random *rand.Rand, length int) string {
	words := []string{"server", "timeout", "enabled", "true", "upstream", "replica", "region", "europe", "listen", "cache", "limit", "=", "0.5", "queue", "\n"}
	var text strings.Builder
	for text.Len() < length {
		fmt.Fprintf(&text, "%s-%d ", words[random.IntN(len(words))], random.IntN(1000))
	}
	return text.String()
}

func fillConfigMap(o map[string]any, n int, random *rand.Rand) {
	o["data"] = map[string]any{
		"application.properties": prose(random, 800+random.IntN(2000)),
		"level":                  "info",
		"shard":                  fmt.Sprint(n),
	}
}

func fillSecret(o map[string]any, n int, random *rand.Rand) {
	o["type"] = "Opaque"
	o["stringData"] = map[string]any{
		"username": fmt.Sprintf("user-%d", n),
		"password": fmt.Sprintf("%x%x", random.Uint64(), random.Uint64()),
	}
}

func podTemplate(n int, random *rand.Rand) map[string]any {
	app := map[string]any{"app": fmt.Sprintf("app-%d", n)}
	return map[string]any{
		"metadata": map[string]any{"labels": app},
		"spec": map[string]any{
			"restartPolicy": "Always",
			"containers": []any{map[string]any{
				"name":  "main",
				"image": fmt.Sprintf("registry.example.com/team/app-%d:1.%d.0", n, random.IntN(50)),
				"ports": []any{map[string]any{"name": "http", "containerPort": 8080}},
				"env": []any{
					map[string]any{"name": "LOG_LEVEL", "value": "info"},
					map[string]any{"name": "SHARD", "value": fmt.Sprint(n)},
				},
				"resources": map[string]any{
					"requests": map[string]any{"cpu": "100m", "memory": "128Mi"},
					"limits":   map[string]any{"memory": "256Mi"},
				},
				"readinessProbe": map[string]any{"httpGet": map[string]any{"path": "/ready", "port": "http"}},
			}},
		},
	}
}

func fillDeployment(o map[string]any, n int, random *rand.Rand) {
	template := podTemplate(n, random)
	o["spec"] = map[string]any{
		"replicas": 0,
		"selector": map[string]any{"matchLabels": map[string]any{"app": fmt.Sprintf("app-%d", n)}},
		"template": template,
	}
}

func fillCronJob(o map[string]any, n int, random *rand.Rand) {
	template := podTemplate(n, random)
	template["spec"].(map[string]any)["restartPolicy"] = "OnFailure"
	o["spec"] = map[string]any{
		"schedule": fmt.Sprintf("%d 3 * * *", n%60),
		"suspend":  true,
		"jobTemplate": map[string]any{
			"spec": map[string]any{"template": template},
		},
	}
}

func fillService(o map[string]any, _ int, _ *rand.Rand) {
	o["spec"] = map[string]any{
		"clusterIP": "None",
		"ports": []any{
			map[string]any{"name": "http", "port": 80, "targetPort": 8080},
			map[string]any{"name": "metrics", "port": 9090, "targetPort": 9090},
		},
	}
}

func fillServiceAccount(o map[string]any, n int, _ *rand.Rand) {
	o["imagePullSecrets"] = []any{map[string]any{"name": fmt.Sprintf("registry-%d", n%10)}}
}

func fillRole(o map[string]any, n int, _ *rand.Rand) {
	o["rules"] = []any{
		map[string]any{"apiGroups": []any{""}, "resources": []any{"configmaps", "services"}, "verbs": []any{"get", "list", "watch"}},
		map[string]any{"apiGroups": []any{"apps"}, "resources": []any{"deployments"}, "verbs": []any{"get", "patch"},
			"resourceNames": []any{fmt.Sprintf("app-%d", n)}},
	}
}

func fillRoleBinding(o map[string]any, n int, _ *rand.Rand) {
	o["roleRef"] = map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}
	o["subjects"] = []any{map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": fmt.Sprintf("team-%d", n%50)}}
}

func fillWidget(o map[string]any, n int, random *rand.Rand) {
	o["spec"] = map[string]any{
		"size":  n % 9,
		"color": []string{"red", "green", "blue"}[n%3],
		"notes": prose(random, 300),
	}
}

// widgetDefinition is the custom resource among the kinds.
var widgetDefinition = map[string]any{
	"apiVersion": "apiextensions.k8s.io/v1",
	"kind":       "CustomResourceDefinition",
	"metadata":   map[string]any{"name": "widgets.bench.example.com"},
	"spec": map[string]any{
		"group": "bench.example.com",
		"scope": "Namespaced",
		"names": map[string]any{"plural": "widgets", "singular": "widget", "kind": "Widget"},
		"versions": []any{map[string]any{
			"name": "v1", "served": true, "storage": true,
			"schema": map[string]any{"openAPIV3Schema": map[string]any{
				"type": "object",
				"properties": map[string]any{"spec": map[string]any{
					"type": "object",
					"properties": map[string]any{
						"size":  map[string]any{"type": "integer"},
						"color": map[string]any{"type": "string"},
						"notes": map[string]any{"type": "string"},
					},
				}},
			}},
		}},
	},
}
