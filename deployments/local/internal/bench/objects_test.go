package bench

import (
	"encoding/json"
	"testing"
)

func TestObjectsAreMixedAndTheSameEachTime(t *testing.T) {
	all, again := objects(1000), objects(1000)
	counts, paths := map[string]int{}, map[string]bool{}
	for i, o := range all {
		counts[o.resource]++
		paths[o.path()] = true
		first, err := json.Marshal(o.body())
		if err != nil {
			t.Fatal(err)
		}
		if second, _ := json.Marshal(again[i].body()); string(first) != string(second) {
			t.Fatalf("object %d is another one the second time", i)
		}
		if o.name == "ConfigMap" && (len(first) < 900 || len(first) > 3600) {
			t.Errorf("%s has %d bytes", o.path(), len(first))
		}
	}
	if len(paths) != 1000 {
		t.Errorf("%d paths for 1000 objects", len(paths))
	}
	for _, k := range kinds {
		if want := 1000 / shares * k.share; counts[k.resource] != want {
			t.Errorf("%d %s, want %d", counts[k.resource], k.resource, want)
		}
	}
}

func TestBranchMayLackSecretsOnlyAltogether(t *testing.T) {
	expected := map[string]int{"configmaps": 8, "deployments.apps": 3, "services": 2, "serviceaccounts": 2,
		"roles.rbac.authorization.k8s.io": 1, "rolebindings.rbac.authorization.k8s.io": 1, secrets: 2,
		"cronjobs.batch": 1, "widgets.bench.example.com": 1}
	found := func(folder string, n int) map[string]int {
		all := map[string]int{}
		for name, count := range expected {
			all[name] = count
		}
		all[folder] = n
		return all
	}
	for name, c := range map[string]struct {
		found map[string]int
		whole bool
	}{
		"all":          {expected, true},
		"no secret":    {found(secrets, 0), true},
		"one secret":   {found(secrets, 1), false},
		"no configmap": {found("configmaps", 0), false},
		"nothing":      {nil, false},
	} {
		if err := lacks(expected, c.found); (err == nil) != c.whole {
			t.Errorf("%s: %v", name, err)
		}
	}
}
