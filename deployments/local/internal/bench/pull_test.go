package bench

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"
)

func TestBodyIsWhatTheFileSaysAndWhereItsPathSays(t *testing.T) {
	secret := objects(20)[17]
	for path, c := range map[string]struct {
		content, collection string
		stage               stage
		body                map[string]any
	}{
		"cluster/namespaces/a.yaml": {
			"apiVersion: v1\nkind: Namespace\nmetadata:\n  name: a\n", "/api/v1/namespaces", foundations,
			map[string]any{"apiVersion": "v1", "kind": "Namespace", "metadata": map[string]any{"name": "a"}},
		},
		"namespaces/a/roles.rbac.authorization.k8s.io/x%3Ay.yaml": {
			"apiVersion: rbac.authorization.k8s.io/v1\nmetadata:\n  name: x:y\n", "/apis/rbac.authorization.k8s.io/v1/namespaces/a/roles", prerequisites,
			map[string]any{"apiVersion": "rbac.authorization.k8s.io/v1", "metadata": map[string]any{"name": "x:y"}},
		},
		"namespaces/a/deployments.apps/d.yaml": {
			"apiVersion: apps/v1\n", "/apis/apps/v1/namespaces/a/deployments", workloads, map[string]any{"apiVersion": "apps/v1"},
		},
		"namespaces/a/secrets/s.yaml": {
			"apiVersion: v1\ndata:\n  username: ENC[x]\nmetadata:\n  name: " + secret.id + "\nsops:\n  mac: ENC[y]\n",
			"/api/v1/namespaces/a/secrets", prerequisites,
			map[string]any{"apiVersion": "v1", "metadata": map[string]any{"name": secret.id}, "data": secretData(secret)},
		},
	} {
		got, err := newBody(path, []byte(c.content), map[string]object{secret.id: secret})
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		var body map[string]any
		if err := json.Unmarshal(got.json, &body); err != nil {
			t.Fatal(err)
		}
		if got.collection != c.collection || got.stage != c.stage || !reflect.DeepEqual(body, c.body) {
			t.Errorf("%s: got %s, stage %d, %s", path, got.collection, got.stage, got.json)
		}
	}
	if secret.resource != secrets || secretData(secret)["username"] != "dXNlci0xNw==" {
		t.Errorf("%s has %v", secret.id, secretData(secret))
	}
	for path, content := range map[string]string{
		"README/x.yaml":               "a: b\n",
		"namespaces/a/secrets/s.yaml": "apiVersion: v1\nmetadata:\n  name: unknown\nsops: {}\n",
	} {
		if got, err := newBody(path, []byte(content), nil); err == nil {
			t.Errorf("%s became %+v", path, got)
		}
	}
}

func TestApplyIsReadFromTheWorkersLog(t *testing.T) {
	line := `{"time":"2026-01-02T03:04:05.5Z","level":"INFO","msg":"Apply","cluster":"standby","activity":"Apply","duration":"1.25s","revision":"ab","added":3,"updated":2,"deleted":1,"failed":0}`
	got, ok := readLogged([]byte(line))
	want := logged{"standby", "Apply", time.Date(2026, 1, 2, 3, 4, 5, 5e8, time.UTC), 1250 * time.Millisecond, 6}
	if !ok || got != want {
		t.Errorf("got %+v, %v", got, ok)
	}
	for _, other := range []string{"", "not JSON", `{"msg":"object changed","action":"created"}`, `{"activity":"Fetch"}`} {
		if got, ok := readLogged([]byte(other)); ok {
			t.Errorf("%q is taken for %+v", other, got)
		}
	}
}
