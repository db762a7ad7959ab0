package chaos

import (
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/yaml"

	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets"
	"github.com/active-cluster-sync/active-cluster-sync/internal/secrets/agekey"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// requireAlike waits until the primary, Git and the standby hold the same objects with the same content, and makes
// sure then that the sync says so, too. The objects are compared here without the product's own means, and after
// that as fresh enrolments of both clusters store them.
func requireAlike(t *testing.T, repo, key string) {
	t.Helper()
	var different []string
	eventually(t, func() bool {
		left, err := live(t, primary)
		if err != nil {
			different = []string{err.Error()}
			return false
		}
		right, err := live(t, standby)
		if err != nil {
			different = []string{err.Error()}
			return false
		}
		different = append(differences("Git", left, stored(t, repo, key)), differences("the standby", left, right)...)
		return len(different) == 0
	}, func() string { return strings.Join(different, "\n") })
	reaches(t, pushName, at(git(t, repo, "rev-parse", "main")))
	reaches(t, pullName, at(git(t, repo, "rev-parse", "main")))

	var trees []string
	for _, c := range []*cluster{primary, standby} {
		name := "again-" + c.name
		require.NoError(t, host.AddRepo(t.Context(), name, token))
		startWorker(t, name, c)
		enroll(t, name, c, name, workflows.Push, "--secrets", "exclude")
		reaches(t, name, inSync)
		trees = append(trees, tree(t, name))
	}
	require.Equal(t, tree(t, repo), trees[0], "Git holds what a fresh enrolment of the primary stores")
	require.Equal(t, trees[0], trees[1], "the standby is stored as the primary is")
}

// tree lists the files of the busy namespaces with their content's hashes, but for Secrets, whose encryption is
// different each time.
func tree(t *testing.T, repo string) string {
	t.Helper()
	lines := strings.Split(git(t, repo, "ls-tree", "-r", "main", "namespaces/"+busy[0], "namespaces/"+busy[1]), "\n")
	return strings.Join(slices.DeleteFunc(lines, func(line string) bool { return strings.Contains(line, "/secrets/") }), "\n")
}

// live are the objects of a cluster in the busy namespaces, of the kinds that change, by identity.
func live(t *testing.T, on *cluster) (map[string]map[string]any, error) {
	t.Helper()
	found := map[string]map[string]any{}
	for _, kind := range kinds {
		for _, ns := range busy {
			list, err := on.objects.Resource(kind.resource).Namespace(ns).List(t.Context(), metav1.ListOptions{})
			if err != nil {
				return nil, err
			}
			for _, o := range list.Items {
				if o.GetName() != "kube-root-ca.crt" {
					found[o.GetKind()+" "+ns+"/"+o.GetName()] = essence(&o)
				}
			}
		}
	}
	return found, nil
}

// stored are the same objects as Git holds them, with Secrets decrypted.
func stored(t *testing.T, repo, key string) map[string]map[string]any {
	t.Helper()
	identity, err := os.ReadFile(key)
	require.NoError(t, err)
	keys, err := agekey.Parse(identity, nil)
	require.NoError(t, err)
	dir := t.TempDir()
	out, err := exec.CommandContext(t.Context(), "git", "clone", "--quiet", "--depth=1", "file://"+host.RepoDir(repo), dir).CombinedOutput()
	require.NoError(t, err, string(out))
	found := map[string]map[string]any{}
	for _, ns := range busy {
		files, err := filepath.Glob(filepath.Join(dir, "namespaces", ns, "*", "*.yaml"))
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			if strings.Contains(file, "/secrets/") {
				require.Contains(t, string(text), "ENC[", "%s is encrypted", file)
				text, err = secrets.Open(keys, text)
				require.NoError(t, err, file)
			}
			o := &unstructured.Unstructured{}
			require.NoError(t, yaml.Unmarshal(text, &o.Object))
			if isBusy(o) {
				found[o.GetKind()+" "+ns+"/"+o.GetName()] = essence(o)
			}
		}
	}
	return found
}

// isBusy tells whether an object is of a kind that changes; each namespace has an account, too.
func isBusy(o *unstructured.Unstructured) bool {
	return slices.Contains([]string{"ConfigMap", "Secret", "Service", "Deployment"}, o.GetKind())
}

// essence is an object without what its cluster decides by itself.
func essence(o *unstructured.Unstructured) map[string]any {
	kept := maps.Clone(o.Object)
	delete(kept, "status")
	delete(kept, "sops")
	annotations := o.GetAnnotations()
	delete(annotations, "deployment.kubernetes.io/revision")
	if len(annotations) == 0 {
		annotations = nil
	}
	kept["metadata"] = map[string]any{"name": o.GetName(), "namespace": o.GetNamespace(), "labels": o.GetLabels(), "annotations": annotations}
	if spec, ok := kept["spec"].(map[string]any); ok && o.GetKind() == "Service" {
		spec = maps.Clone(spec)
		for _, allocated := range []string{"clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"} {
			delete(spec, allocated)
		}
		kept["spec"] = spec
	}
	return kept
}

// differences says in what somebody holds other objects than the primary.
func differences(who string, want, got map[string]map[string]any) (found []string) {
	for name, o := range want {
		switch other, ok := got[name]; {
		case !ok:
			found = append(found, who+" lacks "+name)
		case !reflect.DeepEqual(plain(o), plain(other)):
			found = append(found, fmt.Sprintf("%s has another %s:\n%s\nrather than\n%s", who, name, plain(other), plain(o)))
		}
	}
	for name := range got {
		if _, ok := want[name]; !ok {
			found = append(found, who+" has "+name+", which the primary hasn't")
		}
	}
	slices.Sort(found)
	return found
}

// plain is an object as text: numbers that were read from YAML and from JSON are the same in it.
func plain(o map[string]any) string {
	text, err := yaml.Marshal(o)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
