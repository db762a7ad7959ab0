package e2e

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/active-cluster-sync/active-cluster-sync/internal/manifest"
	"github.com/active-cluster-sync/active-cluster-sync/workflows"
)

// mesh are clusters that share a branch with people who edit it directly. Every value that somebody writes is
// another one, so that what became of it can be told.
type mesh struct {
	t      *testing.T
	random *rand.Rand
	ns     string
	repo   string
	sides  []*shared
	clone  string // of the person who edits Git
	last   int
	// written are all values, with the name of the cluster in which they were written, or "git".
	written map[string]string
	// replaced are the values that somebody who had seen them has replaced or deleted, by the place of that.
	replaced map[string]map[string]bool
}

func newMesh(t *testing.T, ns, repo string, sides ...*shared) *mesh {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("ACS_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("ACS_SEED=%d", seed)
	m := &mesh{
		t: t, random: rand.New(rand.NewPCG(seed, 0)), ns: ns, repo: repo, sides: sides, //nolint:gosec // to be had again
		clone: t.TempDir(), written: map[string]string{}, replaced: map[string]map[string]bool{"git": {}},
	}
	for _, s := range sides {
		m.replaced[s.name] = map[string]bool{}
	}
	m.git("clone", "--quiet", stack.RepoDir(repo), ".")
	return m
}

func (m *mesh) git(args ...string) {
	m.t.Helper()
	out, err := m.tryGit(args...)
	require.NoError(m.t, err, "git %v: %s", args, out)
}

func (m *mesh) tryGit(args ...string) (string, error) {
	out, err := exec.CommandContext(m.t.Context(), "git", append([]string{"-C", m.clone, "-c", "user.name=P", "-c", "user.email=p@example.com"}, args...)...).CombinedOutput()
	return string(out), err
}

// value is one that nobody has written before.
func (m *mesh) value(place string) string {
	m.last++
	value := fmt.Sprintf("v%d.", m.last)
	m.written[value] = place
	return value
}

var meshValue = regexp.MustCompile(`v\d+\.`)

// sees notes that somebody at a place replaces what he has seen.
func (m *mesh) sees(place string, seen ...string) {
	for _, text := range seen {
		for _, value := range meshValue.FindAllString(text, -1) {
			m.replaced[place][value] = true
		}
	}
}

// name is an object's, of few, so that edits meet.
func (m *mesh) name() string { return fmt.Sprintf("m%d", m.random.IntN(8)) }

func (m *mesh) key() string { return fmt.Sprintf("k%d", m.random.IntN(3)) }

// edit is a random one, anywhere.
func (m *mesh) edit() {
	switch n := m.random.IntN(len(m.sides)*2 + 1); {
	case n == len(m.sides)*2:
		m.editGit()
	default:
		m.editCluster(m.sides[n/2])
	}
}

func (m *mesh) editCluster(s *shared) {
	switch n := m.random.IntN(10); {
	case n == 0:
		m.deleteIn(s, m.name())
	case n < 3:
		m.changeIn(s, deployments, "cart", func(o *unstructured.Unstructured) {
			container := firstContainer(o)
			m.sees(s.name, fmt.Sprint(container["image"]))
			container["image"] = "example.com/cart:" + m.value(s.name)
		})
	case n < 4:
		m.changeIn(s, deployments, "cart", func(o *unstructured.Unstructured) {
			field(int64(1+m.random.IntN(9)), "spec", "replicas")(o)
		})
	default:
		key := m.key()
		m.changeIn(s, configMaps, m.name(), func(o *unstructured.Unstructured) {
			now, _, _ := unstructured.NestedString(o.Object, "data", key)
			m.sees(s.name, now)
			field(m.value(s.name), "data", key)(o)
		})
	}
}

// changeIn changes an object in the cluster, or makes it.
func (m *mesh) changeIn(s *shared, resource schema.GroupVersionResource, name string, change func(*unstructured.Unstructured)) {
	m.t.Helper()
	api := s.on.objects.Resource(resource).Namespace(m.ns)
	eventually(m.t, func() bool {
		obj := get(m.t, s.on, resource, m.ns, name)
		seen, last := m.replaced[s.name], m.last
		m.replaced[s.name] = map[string]bool{}
		var err error
		if obj == nil {
			obj = object(m.t, "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: "+name+", namespace: "+m.ns+", labels: {acs: "+m.ns+"}}\ndata: {}")
			change(obj)
			_, err = api.Create(m.t.Context(), obj, metav1.CreateOptions{FieldManager: "kubectl"})
		} else {
			change(obj)
			_, err = api.Update(m.t.Context(), obj, metav1.UpdateOptions{FieldManager: "kubectl-edit"})
		}
		if err == nil {
			for value := range m.replaced[s.name] {
				seen[value] = true
			}
		} else { // the sync was faster: nothing was written
			for n := last + 1; n <= m.last; n++ {
				delete(m.written, fmt.Sprintf("v%d.", n))
			}
		}
		m.replaced[s.name] = seen
		return err == nil
	}, func() string { return "could not edit " + name })
}

// deleteIn deletes what was seen, as somebody does who looks first.
func (m *mesh) deleteIn(s *shared, name string) {
	obj := get(m.t, s.on, configMaps, m.ns, name)
	if obj == nil {
		return
	}
	version := obj.GetResourceVersion()
	err := s.on.objects.Resource(configMaps).Namespace(m.ns).Delete(m.t.Context(), name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: &version}})
	if err == nil {
		m.sees(s.name, fmt.Sprint(obj.Object["data"]))
	}
	require.True(m.t, err == nil || apierrors.IsConflict(err) || apierrors.IsNotFound(err), "%v", err)
}

// editGit edits the branch directly. Who is too late begins again.
func (m *mesh) editGit() {
	name, key, drop := m.name(), m.key(), m.random.IntN(6) == 0
	eventually(m.t, func() bool {
		m.git("fetch", "--quiet")
		m.git("reset", "--hard", "--quiet", "origin/main")
		value := m.value("git")
		seen := m.write(name, key, value, drop)
		m.git("add", "--all")
		if out, _ := m.tryGit("status", "--porcelain"); out == "" {
			delete(m.written, value)
			return true
		}
		m.git("commit", "--quiet", "-m", "Edit "+name)
		if _, err := m.tryGit("push", "--quiet", "origin", "main"); err != nil {
			delete(m.written, value)
			return false
		}
		if drop {
			delete(m.written, value)
		}
		m.sees("git", seen)
		return true
	}, func() string { return "could not edit Git" })
}

// write changes one key of an object in its file, wherever that is, or makes the file, or deletes it.
func (m *mesh) write(name, key, value string, drop bool) (seen string) {
	path := filepath.Join(m.clone, "namespaces", m.ns, "configmaps", name+".yaml")
	content, err := os.ReadFile(path)
	switch {
	case errors.Is(err, os.ErrNotExist) && drop:
		return ""
	case errors.Is(err, os.ErrNotExist):
		text := strings.Replace(labelled(m.ns, name, ""), "key: one", key+": "+value, 1)
		write(m.t, m.clone, strings.TrimPrefix(path, m.clone+"/"), text)
		return ""
	case drop:
		require.NoError(m.t, os.Remove(path))
		return string(content)
	}
	require.NoError(m.t, err)
	pair := regexp.MustCompile(`\b` + key + `: "?(v\d+\.)"?`)
	text := string(content)
	switch found := pair.FindString(text); {
	case found != "":
		seen, text = found, strings.Replace(text, found, key+": "+value, 1)
	case strings.Contains(text, "\ndata: {"):
		text = strings.Replace(text, "\ndata: {", "\ndata: {"+key+": "+value+", ", 1)
	default:
		text = strings.Replace(text, "\ndata:\n", "\ndata:\n  "+key+": "+value+"\n", 1)
	}
	require.Contains(m.t, text, value)
	require.NoError(m.t, os.WriteFile(path, []byte(text), 0o600))
	return seen
}

// settle waits until all clusters and Git agree.
func (m *mesh) settle() {
	m.t.Helper()
	for _, s := range m.sides {
		syncNow(m.t, s.name)
	}
	eventually(m.t, func() bool {
		tip := git(m.t, m.repo, "rev-parse", "main")
		for _, s := range m.sides {
			now := syncNow(m.t, s.name)
			if !inSync(now) || now.Revision != tip {
				return false
			}
		}
		return true
	}, func() string {
		text := git(m.t, m.repo, "log", "--oneline", "-20", "main")
		for _, s := range m.sides {
			text += "\n" + describe(status(m.t, s.name))
		}
		return text
	})
}

// agree compares the clusters with each other, file by file, and with what Git says.
func (m *mesh) agree() {
	m.t.Helper()
	exports := make([]map[string]string, 0, len(m.sides))
	for _, s := range m.sides {
		snapshot, err := exporter(m.t, s.on).Snapshot(m.t.Context(), nil)
		require.NoError(m.t, err)
		export := map[string]string{}
		for path, hash := range snapshot.Tree.Sub("namespaces/" + m.ns).All() {
			export[path] = hash.String()
		}
		exports = append(exports, export)
	}
	for _, export := range exports[1:] {
		require.Equal(m.t, exports[0], export, "the clusters differ")
	}
	declared := map[string]bool{}
	for _, file := range files(m.t, m.repo) {
		if !strings.HasSuffix(file, ".yaml") || strings.HasPrefix(filepath.Base(file), ".") {
			continue
		}
		documents, problems := manifest.Decode(file, []byte(git(m.t, m.repo, "show", "main:"+file)))
		require.Empty(m.t, problems)
		for _, d := range documents {
			o := unstructured.Unstructured{Object: d.Object}
			resource := map[string]schema.GroupVersionResource{"ConfigMap": configMaps, "Deployment": deployments, "Service": services, "Namespace": namespaces}[o.GetKind()]
			live := get(m.t, m.sides[0].on, resource, o.GetNamespace(), o.GetName())
			require.NotNil(m.t, live, "%s is in Git and not in the cluster", o.GetName())
			require.True(m.t, manifest.Declares(o.Object, live.Object), "%s: %v\n%v", file, o.Object, live.Object)
			if o.GetKind() == "ConfigMap" {
				require.Equal(m.t, o.Object["data"], live.Object["data"])
			}
			declared[o.GetKind()+"/"+o.GetName()] = true
		}
	}
	require.Len(m.t, declared, len(exports[0])+1, "objects of the cluster that Git lacks: %v\n%v", exports[0], declared) // and the namespace
}

// nothingLost looks for every value that nobody has replaced knowingly where it was written.
func (m *mesh) nothingLost() {
	m.t.Helper()
	history := git(m.t, m.repo, "log", "-p", "main")
	found := map[string]bool{}
	for _, value := range meshValue.FindAllString(history, -1) {
		found[value] = true
	}
	for value, place := range m.written {
		require.True(m.t, found[value] || m.replaced[place][value], "%s of %s is nowhere in the history", value, place)
	}
}

// nothingUndone looks at each commit of a cluster: what it takes away was replaced in that cluster by somebody who
// had seen it, or the conflict was told of.
func (m *mesh) nothingUndone() (commits, conflicts int) {
	m.t.Helper()
	for _, s := range m.sides {
		told := s.worker.log.String()
		for commit := range strings.Lines(git(m.t, m.repo, "log", "--first-parent", "--format=%H %(trailers:key=Cluster,valueonly,separator=) %s", "main")) {
			revision, rest, _ := strings.Cut(strings.TrimSpace(commit), " ")
			author, subject, _ := strings.Cut(rest, " ")
			if author != s.name || strings.HasPrefix(subject, "conflict(") {
				continue
			}
			commits++
			for file, values := range m.taken(revision) {
				for _, value := range values {
					if m.replaced[s.name][value] {
						continue
					}
					conflicts++
					reported := slices.ContainsFunc(strings.Split(told, "\n"), func(l string) bool {
						return strings.Contains(l, `"msg":"conflict"`) && strings.Contains(l, m.ns+"/"+file+`"`)
					})
					require.True(m.t, reported, "%s takes %s of %s out of %s\n%s", revision, value, m.written[value], file, m.story(file))
				}
			}
		}
	}
	return commits, conflicts
}

// story is all that is known of an object.
func (m *mesh) story(name string) string {
	lines := []string{git(m.t, m.repo, "log", "-p", "--format=%h %ad %s", "--date=iso", "main", "--", "namespaces/"+m.ns+"/configmaps/"+name+".yaml")}
	for _, s := range m.sides {
		for line := range strings.Lines(s.worker.log.String()) {
			if strings.Contains(line, m.ns+"/"+name+`"`) || strings.Contains(line, `"msg":"Commit`) || strings.Contains(line, `"msg":"Apply`) {
				lines = append(lines, line)
			}
		}
	}
	return strings.Join(lines, "\n")
}

// taken are the values that a commit takes out of the branch, by object.
func (m *mesh) taken(revision string) map[string][]string {
	m.t.Helper()
	removed, added := map[string][]string{}, map[string]bool{}
	var object string
	before := revision + "^"
	if strings.HasPrefix(git(m.t, m.repo, "log", "-1", "--format=%s", before), "conflict(") {
		before += "^" // what was put aside between the two was never in force
	}
	for line := range strings.Lines(git(m.t, m.repo, "diff", "--unified=0", "--no-renames", before, revision)) {
		switch name, header := strings.CutPrefix(line, "--- "); {
		case header:
			if object = strings.TrimSuffix(filepath.Base(strings.TrimSpace(name)), ".yaml"); object == "all" {
				object = "cart" // the only object of that file which is edited
			}
		case strings.HasPrefix(line, "-"):
			removed[object] = append(removed[object], meshValue.FindAllString(line, -1)...)
		case strings.HasPrefix(line, "+"):
			for _, value := range meshValue.FindAllString(line, -1) {
				added[value] = true
			}
		}
	}
	for object, values := range removed {
		removed[object] = slices.DeleteFunc(values, func(value string) bool { return added[value] })
	}
	return removed
}

// TestAMeshOfTwoClustersLosesNoEdit has two clusters and people share a branch, all editing at the same time.
func TestAMeshOfTwoClustersLosesNoEdit(t *testing.T) {
	t.Parallel()
	const ns = "mesh"
	repo := newRepo(t)
	edit(t, repo, "The shop", func(dir string) { write(t, dir, "shop/all.yaml", strings.ReplaceAll(handWritten, "NS", ns)) })
	a := join(t, clusters["primary"], "mesh-a", ns, repo)
	a.settled()
	b := join(t, clusters["standby"], "mesh-b", ns, repo)
	b.settled()
	require.Contains(t, a.file(".cluster-sync.yaml"), `cluster: "mesh-b"`)
	m := newMesh(t, ns, repo, a, b)
	m.settle()
	for n := range 200 {
		m.edit()
		if n%20 == 19 {
			ticksPass(t, m.sides[n/20%2].name, 1)
		}
	}
	m.settle()
	m.agree()
	m.nothingLost()
	commits, conflicts := m.nothingUndone()
	t.Logf("%d values, %d commits of the clusters, %d values that lost a conflict in one of them", len(m.written), commits, conflicts)
	require.Greater(t, commits, 5)

	// It is quiet afterwards.
	tip := git(t, repo, "rev-parse", "main")
	ticksPass(t, a.name, 3)
	ticksPass(t, b.name, 3)
	require.Equal(t, tip, git(t, repo, "rev-parse", "main"))
}

// TestClustersWithPathsOfTheirOwnShareABranch has two clusters store what people do at the same time: who loses the
// race plans again in the same tick.
func TestClustersWithPathsOfTheirOwnShareABranch(t *testing.T) {
	t.Parallel()
	const ns = "own-paths"
	repo := newRepo(t)
	var sides []*shared
	for name, on := range map[string]*cluster{"own-a": clusters["primary"], "own-b": clusters["standby"]} {
		create(t, on, namespaces, "apiVersion: v1\nkind: Namespace\nmetadata: {name: "+ns+", labels: {acs: "+ns+"}}")
		create(t, on, configMaps, labelled(ns, "counter", ""))
		sides = append(sides, join(t, on, name, ns, repo, "--path", "clusters/"+name))
	}
	for _, s := range sides {
		reaches(t, s.name, inSync)
	}
	file := func(s *shared) string { return "clusters/" + s.name + "/namespaces/" + ns + "/configmaps/counter.yaml" }
	// The server takes its time with each push, so that both are there at once.
	hook := filepath.Join(stack.RepoDir(repo), "hooks", "pre-receive")
	require.NoError(t, os.WriteFile(hook, []byte("#!/bin/sh\nsleep 0.5\n"), 0o700)) //nolint:gosec // Git runs it
	for round := range 4 {
		value := fmt.Sprint("round-", round)
		for _, s := range sides {
			set(t, s.on, ns, "counter", value)
		}
		for _, s := range sides {
			eventually(t, func() bool { return strings.Contains(s.file(file(s)), "key: "+value) }, func() string { return tail(s.worker.log.String()) })
		}
	}
	require.NoError(t, os.Remove(hook))
	edit(t, repo, "by hand", func(dir string) {
		for _, s := range sides {
			write(t, dir, file(s), strings.Replace(labelled(ns, "counter", ""), "one", "hand-"+s.name, 1))
		}
	})
	for _, s := range sides {
		eventually(t, func() bool { return keyIn(t, s.on, ns, "counter") == "hand-"+s.name }, func() string { return tail(s.worker.log.String()) })
		now := reaches(t, s.name, inSync)
		require.Empty(t, now.Conflicts)
		require.NotContains(t, s.worker.log.String(), workflows.RemoteMoved)
		for commit := range strings.Lines(git(t, repo, "log", "--format=%H %(trailers:key=Cluster,valueonly,separator=)", "main")) {
			if revision, author, _ := strings.Cut(strings.TrimSpace(commit), " "); author == s.name {
				for path := range strings.Lines(git(t, repo, "diff-tree", "--root", "--no-commit-id", "--name-only", "-r", revision)) {
					require.True(t, strings.HasPrefix(path, "clusters/"+s.name+"/"), "%s changed %s", author, path)
				}
			}
		}
	}
}
