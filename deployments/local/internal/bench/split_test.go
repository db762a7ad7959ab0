package bench

import (
	"maps"
	"testing"
)

func TestListIsSplitIntoItsObjects(t *testing.T) {
	list := `apiVersion: v1
items:
- apiVersion: v1
  data:
    name: not-this
    text: |
      - a list in a text

      kind: nothing
  kind: ConfigMap
  metadata:
    labels:
      name: nor-this
    name: settings
    namespace: shop
- aggregationRule:
    clusterRoleSelectors:
    - matchLabels:
        x: "y"
  apiVersion: rbac.authorization.k8s.io/v1
  kind: ClusterRole
  metadata:
    name: system:reader
  rules:
  - verbs:
    - get
kind: List
metadata:
  resourceVersion: ""
`
	got := map[string]string{}
	err := splitList([]byte(list), func(path string, content []byte) error {
		got[path] = string(content)
		return nil
	})
	want := map[string]string{
		"shop/ConfigMap/settings.yaml": `apiVersion: v1
data:
  name: not-this
  text: |
    - a list in a text

    kind: nothing
kind: ConfigMap
metadata:
  labels:
    name: nor-this
  name: settings
  namespace: shop
`,
		"_cluster/ClusterRole.rbac.authorization.k8s.io/system:reader.yaml": `aggregationRule:
  clusterRoleSelectors:
  - matchLabels:
      x: "y"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: system:reader
rules:
- verbs:
  - get
`,
	}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestEmptyListHasNoObjects(t *testing.T) {
	err := splitList([]byte("apiVersion: v1\nitems: []\nkind: List\n"), func(path string, _ []byte) error {
		t.Errorf("an object %s", path)
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

func TestObjectWithoutNameIsAnError(t *testing.T) {
	err := splitList([]byte("items:\n- apiVersion: v1\n  kind: ConfigMap\n"), func(string, []byte) error { return nil })
	if err == nil {
		t.Error("no error")
	}
}
