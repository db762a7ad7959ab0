package chaos

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// pair is a namespace of the primary, pushed to a repository from which the standby pulls it.
type pair struct {
	t          *testing.T
	namespace  string
	repo       string
	push, pull string // the enrolments
	values     int
}

// newPair enrols both sides and returns when the standby has the ConfigMap counter. Whoever calls it serves the
// enrolments.
func newPair(t *testing.T, name string, pushFlags ...string) *pair {
	t.Helper()
	p := &pair{t: t, namespace: name, repo: newRepo(t), push: name + "-push", pull: name + "-pull"}
	_, err := primary.objects.Resource(namespaces).Create(t.Context(), parse(t, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+name+", labels: {acs: "+name+"}}"), metav1.CreateOptions{})
	require.NoError(t, err)
	p.create("counter")
	enroll(t, p.push, primary, p.repo, workflows.Push, append([]string{"--secrets", "exclude", "--selector", "acs=" + name}, pushFlags...)...)
	reaches(t, p.push, inSync)
	enroll(t, p.pull, standby, p.repo, workflows.Pull, "--secrets", "exclude", "--selector", "acs="+name)
	reaches(t, p.pull, at(p.head()))
	return p
}

func (p *pair) head() string { return git(p.t, p.repo, "rev-parse", "main") }

func (p *pair) commits() int {
	return len(strings.Split(git(p.t, p.repo, "log", "--format=%H", "main"), "\n"))
}

// create makes a ConfigMap in the primary.
func (p *pair) create(name string) {
	p.t.Helper()
	obj := parse(p.t, fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: %s, labels: {acs: %[2]s}}\ndata: {key: start}", name, p.namespace))
	_, err := primary.objects.Resource(configMaps).Namespace(p.namespace).Create(p.t.Context(), obj, metav1.CreateOptions{FieldManager: "kubectl"})
	require.NoError(p.t, err)
}

func (p *pair) remove(name string) {
	p.t.Helper()
	require.NoError(p.t, primary.objects.Resource(configMaps).Namespace(p.namespace).Delete(p.t.Context(), name, metav1.DeleteOptions{}))
}

// change gives the counter in the primary a value that it hasn't had.
func (p *pair) change() string {
	p.t.Helper()
	p.values++
	value := fmt.Sprintf("value-%d", p.values)
	_, err := primary.objects.Resource(configMaps).Namespace(p.namespace).Patch(p.t.Context(), "counter", "application/merge-patch+json",
		[]byte(`{"data": {"key": "`+value+`"}}`), metav1.PatchOptions{FieldManager: "kubectl"})
	require.NoError(p.t, err)
	return value
}

// changeArrives changes the counter and waits until the standby has it, and both enrolments agree.
func (p *pair) changeArrives() {
	p.t.Helper()
	p.arrives(p.change())
}

func (p *pair) arrives(value string) {
	p.t.Helper()
	eventually(p.t, func() bool {
		obj := p.inStandby("counter")
		if obj == nil {
			return false
		}
		got, _, _ := unstructured.NestedString(obj.Object, "data", "key")
		return got == value
	}, func() string { return "the standby lacks " + value })
	p.agree()
}

// agree waits until both enrolments are in sync at the tip of the branch.
func (p *pair) agree() {
	p.t.Helper()
	for _, name := range []string{p.push, p.pull} {
		reaches(p.t, name, func(s workflows.Status) bool { return at(p.head())(s) })
	}
}

func (p *pair) inStandby(name string) *unstructured.Unstructured {
	obj, err := standby.objects.Resource(configMaps).Namespace(p.namespace).Get(p.t.Context(), name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	require.NoError(p.t, err)
	return obj
}

// lives are the UIDs and versions of the objects in the standby: they tell whether anything was deleted or written.
func (p *pair) lives() map[string]string {
	p.t.Helper()
	list, err := standby.objects.Resource(configMaps).Namespace(p.namespace).List(p.t.Context(), metav1.ListOptions{LabelSelector: "acs=" + p.namespace})
	require.NoError(p.t, err)
	found := map[string]string{}
	for _, o := range list.Items {
		found[o.GetName()] = string(o.GetUID()) + " " + o.GetResourceVersion()
	}
	return found
}
